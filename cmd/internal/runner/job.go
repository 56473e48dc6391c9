package runner

import (
	"slices"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

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
	// Err says why the job cannot be begun at all; it is then only reported, as an error.
	Err error
	// Spec tells the text of the spec from others.
	Spec string
	// Decided is what came of the image in a run that this one resumes. What of it is
	// still to be posted is posted, and nothing is launched.
	Decided *report.ImageResult
	Owed    bool // the report of what was decided, to Polar

	// Remotes are those that the image may be launched on, the best first, and Place
	// makes the job for one of them when it is about to be launched there: Checks and
	// Host may depend on it. Where there are none, Host is on Image.Remote.
	Remotes []string
	Place   func(remote string) (Job, error)
	// Expected is how long the job may take, or zero: the longest begin first.
	Expected time.Duration
	// Alone: no other such job is under way on the same remote, as with a card that
	// only one guest can have.
	Alone bool
}

// settled tells whether nothing is launched for the job.
func (j Job) settled() bool { return j.Nothing != "" || j.Err != nil || j.Decided != nil }

// Pending tells whether a check of the job is still to pass here, as far as is known.
func (j Job) Pending() bool {
	return j.Nothing == "" || slices.ContainsFunc(j.Checks, func(c Check) bool { return c.Unknown && c.Again })
}

// on returns the job as it is on the remote.
func (j Job) on(remote string) (Job, error) {
	if j.Place == nil {
		return j, nil
	}
	placed, err := j.Place(remote)
	if err != nil {
		j.Image.Remote = remote
		return j, err
	}
	return placed, nil
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
