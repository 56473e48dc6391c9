package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/upmaru/icepak/checks"
)

// This file has what keeps a fail from being believed: it may be our side's.

// A Lodger is a guest whose host may have no room left for it.
type Lodger interface {
	// Full says what of the host is full, or nothing.
	Full(ctx context.Context) string
}

var _ Lodger = (*instance)(nil)

// Full asks the server for the room in the instance's storage pool.
func (g *instance) Full(ctx context.Context) string {
	if g.inst == nil {
		return ""
	}
	if pool := g.inst.FullPool(ctx); pool != "" {
		return fmt.Sprintf("the server's storage pool %s is full", pool)
	}
	return ""
}

// askedAgain is why a fail is doubted that was found when the probe was asked again.
const askedAgain = "it failed when the probe was asked once more, in a guest that had been through some of the checks"

// lost notes that what the probe has said so far is forgotten, and asked once more.
// What the checks that began have done to the guest is still there: another look that
// fails may fail for that.
func (e *evidence) lost() {
	if e.begun {
		e.doubt = askedAgain
	}
	clear(e.results)
	clear(e.outcomes)
	e.notReady = ""
}

// doubts takes nothing for the image's fault where the host had no room. It returns
// what ended the job early, err, as it is to be taken.
func (e *evidence) doubts(ctx context.Context, guest Guest, err error) error {
	var fault *ImageFault
	blamed := errors.As(err, &fault)
	failed := slices.ContainsFunc(e.job.Checks, func(c Check) bool { return e.outcomes[c.Name].Verdict == checks.Fail })
	lodger, ok := guest.(Lodger)
	if !ok || !blamed && !failed && e.notReady == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), knockTime)
	defer cancel()
	full := lodger.Full(ctx)
	if full == "" {
		return err
	}
	e.doubt = full
	switch {
	case e.notReady != "":
		err, e.notReady = fmt.Errorf("%s: %s", full, e.notReady), ""
	case blamed:
		err = fmt.Errorf("%s: %s", full, fault)
	}
	return err
}

// doubted is an outcome as far as it can be believed.
func (e *evidence) doubted(o checks.Outcome) checks.Outcome {
	if e.doubt != "" && o.Verdict == checks.Fail {
		o.Verdict, o.Reason = checks.Error, e.doubt
	}
	return o
}
