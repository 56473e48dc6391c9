package polarserver

import (
	"context"
	"time"
)

// DefaultPruneAfter is how long a version may be in testing, as in Polar.
const DefaultPruneAfter = 72 * time.Hour

// pruneEvery is how often a server looks for versions that have been in testing
// for too long.
const pruneEvery = time.Hour

// keepPruned prunes every hour until ctx is done.
func (s *server) keepPruned(ctx context.Context, after time.Duration) {
	if after <= 0 {
		return
	}
	again := time.NewTicker(pruneEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if _, err := s.store.Prune(ctx, after); err != nil && ctx.Err() == nil {
			s.log.Error("not pruned", "error", err)
		}
	}
}
