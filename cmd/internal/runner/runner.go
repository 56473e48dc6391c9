// Package runner carries a run out: it launches each image once, has the probe
// evaluate the checks in it, draws the verdicts, posts them, promotes, and
// leaves nothing behind.
package runner

import (
	"context"
	"errors"
	"fmt"
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

// A Job is one image under test.
type Job struct {
	Image   report.Image
	Host    Host
	Ready   checks.Ready
	Checks  []Check
	Version *Version      // nil where Polar is not told
	Timeout time.Duration // of the whole job
	// Nothing says why there is nothing to do; the job is then only reported.
	Nothing string
	// Spec tells the text of the spec from others.
	Spec string
	// Decided is what came of the image in a run that this one resumes. What of it is
	// still to be posted is posted, and nothing is launched.
	Decided *report.ImageResult
	Owed    bool // the report of what was decided, to Polar
}

// A Check is a check of a job with what is known of it beforehand.
type Check struct {
	checks.Check
	Source   string
	Required bool
	ID       int64 // Polar's; zero where Polar does not track it
	// Earlier: Polar says that it has passed before. It is evaluated all the same
	// where a check that is still to pass needs it.
	Earlier bool
	// Again: it is evaluated in this run.
	Again bool
	// GPU is whose it needs: nvidia, amd, any. Empty: none.
	GPU string
	// Unknown: what Skip says keeps us from finding out, so that its verdict is an
	// error.
	Unknown bool
	// Settled: Polar has the verdict already, and Sent: a fail was sent, of which this
	// is not known. Both are of a run that this one resumes.
	Settled, Sent bool
}

// left says how a check stands that is not evaluated.
func (c Check) left() string {
	if c.Unknown {
		return "not evaluated"
	}
	return "skipped"
}

// skipped is the outcome of a check that is not evaluated.
func (c Check) skipped() checks.Outcome {
	if c.Unknown {
		return checks.Outcome{Verdict: checks.Error, Reason: c.Skip}
	}
	return checks.Outcome{Verdict: checks.Skip, Reason: c.Skip}
}

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
	// Artifacts is the folder that evidence of failed images is written to; empty
	// for none.
	Artifacts string
	Version   string  // icepak's
	ID        string  // by which the instances that are kept are found
	Journal   Journal // nil: none is kept
	// PostWait is how long, after the last job, Polar is waited for where it does not
	// answer.
	PostWait time.Duration

	posts *queue // of verdicts that wait for Polar
}

// cleanUpTime bounds each thing that is done after a job has ended or was
// interrupted: evidence, deletion, posting.
const cleanUpTime = 2 * time.Minute

// Run carries the jobs out, one after another, and returns what came of them.
// Where ctx ends, the job under way is cleaned up, and the rest is reported as
// not done.
func (r *Runner) Run(ctx context.Context, jobs []Job) report.Summary {
	sum := report.Summary{Started: time.Now(), Version: r.Version}
	r.posts = &queue{}
	for _, job := range jobs {
		res := r.job(ctx, job)
		sum.Images = append(sum.Images, res)
	}
	r.finish(ctx, jobs, &sum)
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

// job carries one job out, whatever happens on the way.
func (r *Runner) job(ctx context.Context, job Job) report.ImageResult {
	w := newWatch(r.Emit, job.Image)
	w.emit(report.Event{Kind: report.ImageStarted})
	res := report.ImageResult{Image: job.Image}
	switch {
	case job.Decided != nil:
		res = *job.Decided
		if r.Tracker != nil && job.Version != nil && ctx.Err() == nil {
			r.post(ctx, job, &res, w)
			if job.Owed {
				r.postReport(ctx, job, res, w)
			}
		}
	case ctx.Err() != nil:
		res.Verdict, res.Reason = checks.Error, "interrupted before it began"
		res.Checks = undecided(job.Checks, checks.Error, res.Reason)
	case job.Nothing != "":
		res.Checks, res.Reason = undecided(job.Checks, checks.Skip, ""), job.Nothing
		res.Verdict = imageVerdict(res.Checks)
	default:
		res = r.evaluate(ctx, job, w)
		res.Stages = w.stop()
		r.postReport(ctx, job, res, w)
		r.keepEvidence(&res, w)
	}
	w.emit(report.Event{Kind: report.ImageDone, Done: &res})
	return res
}

// evaluate launches the image, evaluates its checks, and cleans up.
func (r *Runner) evaluate(ctx context.Context, job Job, w *Watch) report.ImageResult {
	res := report.ImageResult{Image: job.Image}
	jobCtx, cancel := context.WithTimeoutCause(ctx, job.Timeout, timeoutError(job.Timeout))
	defer cancel()

	seen := newEvidence(job, w)
	r.note(Step{Kind: Launching, Image: job.Image})
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
	res.Checks, res.Verdict, res.Reason = seen.verdicts(err)

	if guest != nil {
		var fault *ImageFault
		res.Evidence = []report.Diagnostic{{Name: "probe.log", Text: seen.log.String()}}
		r.release(ctx, guest, job, &res, launched && !errors.As(err, &fault), w)
	} else if ctx.Err() == nil {
		r.decided(res, w)
	}
	if r.Tracker != nil && job.Version != nil && ctx.Err() == nil {
		w.Begin(report.Post)
		r.post(ctx, job, &res, w)
	}
	return res
}

// release collects evidence of a failure, and deletes the guest or keeps it. alive
// says that the guest may still answer.
func (r *Runner) release(ctx context.Context, guest Guest, job Job, res *report.ImageResult, alive bool, w *Watch) {
	broken := faulty(res.Verdict) && ctx.Err() == nil
	if broken {
		look, cancel := afterwards(ctx)
		defer cancel()
		explain(look, guest, job, res, alive, w)
	}
	if ctx.Err() == nil {
		r.decided(*res, w)
	}
	clean, cancel := afterwards(ctx)
	defer cancel()
	if r.Keep == KeepAlways || r.Keep == KeepFailed && broken {
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
