// Package runner carries a run out: it launches each image once, has the probe
// evaluate the checks in it, draws the verdicts, posts them, promotes, and
// leaves nothing behind.
package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// A Host is where guests come from: an image on a remote, an instance that
// runs already, or this machine.
type Host interface {
	// Launch returns a guest that is running. It tells w of the stages that it goes
	// through. The error is an *ImageFault where the image is to blame. A guest
	// that comes with an error is still to be deleted. before, unless it is nil, is
	// called once on a guest that is launched for this, before it is started.
	Launch(ctx context.Context, w *Watch, before Before) (Guest, error)
}

// A Guest is the instance under test. What takes it time it tells w as a stage.
type Guest interface {
	// Probe runs the probe on the plan, whose events go to out, and returns when
	// the probe has ended. The error is an *ImageFault where the guest has
	// stopped or runs nothing any more.
	Probe(ctx context.Context, plan []byte, out Events) error
	// Diagnose collects what the guest and its host know of a failure.
	Diagnose(ctx context.Context, w *Watch) []report.Diagnostic
	// Keep leaves the guest running and returns its name, or nothing where there is
	// none. What else was brought for it is removed.
	Keep(ctx context.Context) (string, error)
	// Delete removes the guest and what was fetched only for it.
	Delete(ctx context.Context, w *Watch) error
}

// An ImageFault says that it is the image that does not work.
type ImageFault struct {
	Reason string
	Err    error // may be nil
}

func (f *ImageFault) Error() string {
	if f.Err == nil {
		return f.Reason
	}
	return f.Reason + ": " + f.Err.Error()
}

func (f *ImageFault) Unwrap() error { return f.Err }

// Keep says which guests are left running.
type Keep string

// The values of Keep.
const (
	KeepNever  Keep = "never"
	KeepFailed Keep = "failed"
	KeepAlways Keep = "always"
)

// A Runner carries jobs out.
type Runner struct {
	Tracker Tracker            // nil: nothing is posted
	Emit    func(report.Event) // told of everything; called from one goroutine at a time
	Keep    Keep
	Promote bool
	// Parallel is how many images are under way at once on a remote, by its name; one
	// where it says nothing.
	Parallel map[string]int
	// Alive asks whether a remote answers. It is asked after what may be its fault, and
	// from several goroutines. nil: every remote does.
	Alive func(ctx context.Context, remote string) error
	// FailFast begins no other image once one has failed.
	FailFast bool
	// Artifacts is the folder that evidence of failed images is written to; empty
	// for none.
	Artifacts string
	Version   string  // icepak's
	ID        string  // by which the instances that are kept are found
	Journal   Journal // nil: none is kept
	// PostWait is how long Polar is waited for, where it does not answer, once there is
	// nothing else to do.
	PostWait time.Duration
}

// cleanUpTime bounds each thing that is done after a job has ended or was
// interrupted: evidence, deletion, posting.
const cleanUpTime = 2 * time.Minute

// Run carries the jobs out, as many at once as their remotes take, and returns what
// came of them, in the order of jobs. What a remote could not decide is tried once on
// another. Where ctx ends, the jobs under way are cleaned up, and the rest is reported
// as not done.
func (r *Runner) Run(ctx context.Context, jobs []Job) report.Summary {
	sum := report.Summary{Started: time.Now(), Version: r.Version}
	d := newDispatch(r, slices.Clone(jobs))
	d.carryOut(ctx)
	sum.Images, sum.Warnings = d.images, d.warnings
	sum.Unposted, sum.Waiting = d.out.unposted, d.out.waiting
	sum.Verdict = worst(sum.Images)
	sum.Duration = time.Since(sum.Started)
	return sum
}

// worst is the verdict of a run: a fail outweighs an error, and where nothing was
// found out about an image, the others do not make the run a pass.
func worst(images []report.ImageResult) checks.Verdict {
	order := []checks.Verdict{checks.Fail, checks.Error, checks.Skip}
	for _, v := range order {
		for _, img := range images {
			if img.Verdict == v {
				return v
			}
		}
	}
	return checks.Pass
}

// A try is what came of a job on one remote.
type try struct {
	job   Job
	res   report.ImageResult
	watch *Watch
	began bool         // something was launched, or was to be
	fault *RemoteFault // the remote's, where that kept the job from being decided
}

// try carries a job out as far as its verdicts, and cleans up, whatever happens on
// the way.
func (r *Runner) try(ctx context.Context, job Job) *try {
	w := newWatch(r.Emit, job.Image)
	w.emit(report.Event{Kind: report.ImageStarted})
	a := &try{job: job, res: report.ImageResult{Image: job.Image}, watch: w}
	switch {
	case job.Decided != nil:
		a.res = *job.Decided
	case ctx.Err() != nil:
		a.undecided(checks.Error, errNotBegun)
	case job.Err != nil:
		a.undecided(checks.Error, job.Err)
	case job.Nothing != "":
		a.res.Checks, a.res.Reason = undecided(job.Checks, checks.Skip, ""), job.Nothing
		a.res.Verdict = imageVerdict(a.res.Checks)
	default:
		a.began = true
		r.evaluate(ctx, a)
	}
	return a
}

// undecided says that the image was not looked at.
func (a *try) undecided(v checks.Verdict, why error) {
	a.res.Verdict, a.res.Reason = v, why.Error()
	a.res.Checks = undecided(a.job.Checks, v, a.res.Reason)
}

// report reports what came of a try that is not repeated. hand: Polar gets the report,
// too.
func (r *Runner) report(ctx context.Context, a *try, hand bool) {
	if a.began {
		a.res.Stages = a.watch.stop()
	}
	if hand {
		r.postReport(ctx, a)
	}
	if a.began {
		r.keepEvidence(&a.res, a.watch)
	}
	a.watch.emit(report.Event{Kind: report.ImageDone, Done: &a.res})
}

// evaluate launches the image, evaluates its checks, and cleans up.
func (r *Runner) evaluate(ctx context.Context, a *try) {
	job, w, res := a.job, a.watch, &a.res
	jobCtx, cancel := context.WithTimeoutCause(ctx, job.Timeout, timeoutError(job.Timeout))
	defer cancel()

	seen := newEvidence(job, w)
	r.note(Step{Kind: Launching, Image: job.Image, Checks: job.Checks})
	w.fetching = func(fingerprint string) {
		img := job.Image
		img.Fingerprint = fingerprint
		r.note(Step{Kind: Fetching, Image: img})
	}
	guest, err := job.Host.Launch(jobCtx, w, seen.before())
	launched := err == nil
	if launched {
		err = seen.probe(jobCtx, guest)
	}
	if err == nil {
		err = seen.reboot(jobCtx, guest)
	}
	if err != nil || seen.notReady != "" {
		res.Failed = w.now
	}
	if err != nil {
		err = cause(jobCtx, err)
	}
	if guest != nil {
		err = seen.doubts(ctx, guest, err)
	}
	res.Checks, res.Verdict, res.Reason = seen.verdicts(err)
	a.fault = r.remoteFault(ctx, *res, err)

	if guest != nil {
		var fault *ImageFault
		res.Evidence = []report.Diagnostic{{Name: "probe.log", Text: seen.log.String()}}
		r.release(ctx, guest, a, launched && !errors.As(err, &fault))
	} else {
		r.decided(ctx, a)
	}
	w.end()
}

// release collects evidence of a failure, and deletes the guest or keeps it. alive
// says that the guest may still answer.
func (r *Runner) release(ctx context.Context, guest Guest, a *try, alive bool) {
	job, res, w := a.job, &a.res, a.watch
	moves := a.fault != nil && len(job.Remotes) > 1 // then this guest is not the one to look at
	broken := faulty(res.Verdict) && ctx.Err() == nil
	if broken {
		look, cancel := afterwards(ctx)
		defer cancel()
		explain(look, guest, job, res, alive, w)
	}
	r.decided(ctx, a)
	clean, cancel := afterwards(ctx)
	defer cancel()
	if !moves && (r.Keep == KeepAlways || r.Keep == KeepFailed && broken) {
		var err error
		if res.Kept, err = guest.Keep(clean); err != nil {
			w.Warn(fmt.Sprintf("not cleaned up: %v", err))
		}
		if res.Kept != "" {
			res.Run = r.ID
			r.note(Step{Kind: Cleaned, Image: job.Image})
			return
		}
	}
	if err := guest.Delete(clean, w); err != nil {
		w.Warn(fmt.Sprintf("not cleaned up: %v; icepak clean tries again", err))
		return
	}
	r.note(Step{Kind: Cleaned, Image: job.Image})
}

// afterwards is a context for what has to be done although ctx may have ended.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
}

// timeoutError is the cause of a job's end by its own timeout.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	return fmt.Sprintf("not done within %s (--timeout)", time.Duration(e))
}

// interrupted tells whether ctx has ended by anything but a job's own timeout.
func interrupted(ctx context.Context) bool {
	var timeout timeoutError
	return ctx.Err() != nil && !errors.As(context.Cause(ctx), &timeout)
}

// cause tells an interruption and the job's timeout from all other errors: a
// context's own error says neither. What was proven of the image stays.
func cause(ctx context.Context, err error) error {
	var fault *ImageFault
	switch {
	case ctx.Err() == nil || errors.As(err, &fault):
		return err
	case interrupted(ctx):
		return errInterrupted
	}
	return context.Cause(ctx)
}
