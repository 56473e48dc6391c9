package push

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polar"
)

const testAttempts = 3 // to put a version into testing

// test puts the version into testing. To ask for it again is harmless: a version in
// testing stays there. One that was there before may be active, and then Polar
// refuses, with a 500 that could be a crash as well. It is asked again then, and what
// it goes on refusing, while it answers otherwise, is refused.
func (p *push) test(ctx context.Context) (refused bool, err error) {
	for attempt := 1; ; attempt++ {
		err := p.client.VersionEvent(ctx, p.version.ID, polar.Test, "")
		if err == nil {
			return false, nil
		}
		no, isRefusal := errors.AsType[*polar.RefusedError](err)
		switch {
		case isRefusal && no.Status == http.StatusConflict:
			if p.known && no.State == polar.Active {
				return true, nil
			}
			return false, err
		case !isRefusal && !silent(err), ctx.Err() != nil:
			return false, err
		case attempt == testAttempts:
			if p.known && isRefusal {
				return true, nil
			}
			return false, err
		}
		if err := pause(ctx, time.Duration(attempt)*p.opts.RetryWait); err != nil {
			return false, err
		}
	}
}

// silent tells whether Polar said nothing: no answer came, or a gateway's.
func silent(err error) bool {
	if _, ok := errors.AsType[*polar.UnreachableError](err); ok {
		return true
	}
	status, ok := errors.AsType[*polar.StatusError](err)
	return ok && status.Status >= http.StatusInternalServerError
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
