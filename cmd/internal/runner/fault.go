package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/report"
)

var (
	errNotBegun = errors.New("interrupted before it began")
	errFailFast = errors.New("not begun: another image has failed (--fail-fast)")
	errNoRemote = errors.New("not begun: every remote that could run it is gone, full or too slow")
)

// A RemoteFault says that the remote, and not the image, kept a job from being decided.
type RemoteFault struct {
	Err  error
	Full bool // it has no room for one more instance
}

func (f *RemoteFault) Error() string { return f.Err.Error() }

func (f *RemoteFault) Unwrap() error { return f.Err }

// remoteFault says why the remote is to blame that a job, which ended with err, was not
// decided, or returns nil. What the image did, or our own side, is no fault of the
// remote's.
func (r *Runner) remoteFault(ctx context.Context, res report.ImageResult, err error) *RemoteFault {
	name := cmp.Or(res.Remote, "this machine")
	if err == nil || ctx.Err() != nil || res.Verdict != checks.Error {
		return nil
	}
	early := slices.Contains([]report.Stage{report.Fetch, report.Create, report.Start}, res.Failed)
	var timeout timeoutError
	switch {
	case early && lxd.Full(err): // later, the words may be the guest's
		return &RemoteFault{Err: fmt.Errorf("%s is full: %w", name, err), Full: true}
	case lxd.Unanswered(err):
		return &RemoteFault{Err: fmt.Errorf("%s did not answer: %w", name, err)}
	}
	if err := r.alive(ctx, res.Remote); err != nil && ctx.Err() == nil {
		return &RemoteFault{Err: err}
	}
	if early && errors.As(err, &timeout) {
		return &RemoteFault{Err: fmt.Errorf("%s is too slow: %w, and it was still at the stage %s", name, err, res.Failed)}
	}
	return nil
}

// alive asks whether the remote works.
func (r *Runner) alive(ctx context.Context, remote string) error {
	if r.Alive == nil {
		return nil
	}
	return r.Alive(ctx, remote)
}
