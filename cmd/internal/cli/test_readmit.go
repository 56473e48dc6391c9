package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// readmit has Polar put the version that is asked for into the testing channel,
// where the feed does not list it: its push has ended too early, or Polar has
// taken it out after a while. All that can be wrong is found before that. A version
// that is active needs no test: then there is a job that says so.
func (p *planner) readmit(ctx context.Context, key string) (*runner.Job, error) {
	serial := p.opts.source.serial
	if p.feed.Has(key, serial) {
		return nil, nil
	}
	if !simplestreams.VisibleSerial(serial) {
		return nil, usagef("LXD sees no version %s: its serial does not start with a date, as in 20260131", serial)
	}
	if _, _, err := p.specFor(ctx, key); err != nil {
		return nil, err
	}
	product, err := p.polar.Product(ctx, key)
	if err != nil {
		return nil, err
	}
	version, err := p.polar.Version(ctx, product.ID, serial)
	if err != nil {
		return nil, err
	}
	if job, err := p.promotedAlready(ctx, product.Key, serial); job != nil || err != nil {
		return job, err
	}
	if _, err := p.remotes.candidates(ctx, need{arch: archOf(key)}, false); err != nil {
		return nil, err
	}
	refused := p.polar.VersionEvent(ctx, version.ID, polar.Test, "")
	if r, ok := errors.AsType[*polar.RefusedError](refused); ok && r.State == polar.Active {
		return activeAlready(product.Key, serial), nil
	}
	// Whatever was answered, the feed tells what has become of it.
	if p.feed, err = simplestreams.Fetch(ctx, http.DefaultClient, p.opts.source.testing); err != nil {
		return nil, err
	}
	if !p.feed.Has(key, serial) {
		return nil, &notInTestingError{product.Key + " " + serial, refused}
	}
	p.warn("%s %s was not in the testing channel: Polar has put it there again", product.Key, serial)
	return nil, nil
}

// promotedAlready is the job of a version that the active channel lists, where that
// is known; else there is none.
func (p *planner) promotedAlready(ctx context.Context, key, serial string) (*runner.Job, error) {
	if p.opts.source.active == "" {
		return nil, nil
	}
	feed, err := simplestreams.Fetch(ctx, http.DefaultClient, p.opts.source.active)
	if err != nil || !feed.Has(key, serial) {
		return nil, err
	}
	return activeAlready(key, serial), nil
}

func activeAlready(key, serial string) *runner.Job {
	return &runner.Job{Image: report.Image{Product: key, Serial: serial}, Nothing: "promoted already; nothing is launched"}
}

// A notInTestingError says that a version is not in the testing channel, and does
// not get there.
type notInTestingError struct {
	version string
	refused error // nil where Polar says that it is there
}

func (e *notInTestingError) Error() string {
	if e.refused == nil {
		return fmt.Sprintf("%s is in testing, says Polar, but the feed does not list it", e.version)
	}
	return fmt.Sprintf("%s is not in the testing channel, and does not get there: %v", e.version, e.refused)
}

func (e *notInTestingError) Unwrap() error { return e.refused }
