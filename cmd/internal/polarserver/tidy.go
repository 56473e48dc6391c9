package polarserver

import (
	"context"
	"time"
)

// DefaultPruneAfter is how long a version may be in testing, as in Polar.
const DefaultPruneAfter = 72 * time.Hour

// keepUploads is how long files are kept that were uploaded and became no version's.
const keepUploads = 24 * time.Hour

// tidyEvery is how often a server looks for what has been there for too long.
const tidyEvery = time.Hour

// tidy makes versions inactive that have been in testing for longer than pruneAfter,
// unless that is 0, and removes abandoned uploads.
func (s *server) tidy(ctx context.Context, pruneAfter time.Duration) error {
	if pruneAfter > 0 {
		if _, err := s.store.Prune(ctx, pruneAfter); err != nil {
			return err
		}
	}
	return s.store.CollectUploads(ctx, keepUploads)
}

// keepTidy tidies every hour until ctx is done.
func (s *server) keepTidy(ctx context.Context, pruneAfter time.Duration) {
	again := time.NewTicker(tidyEvery)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if err := s.tidy(ctx, pruneAfter); err != nil && ctx.Err() == nil {
			s.log.Error("not tidied", "error", err)
		}
	}
}
