package runner

import (
	"context"
	"encoding/json"
	"time"

	"github.com/upmaru/icepak/cmd/internal/report"
)

// A Journal is told how far a run has come, so that another run can finish what this
// one leaves.
type Journal interface {
	// Note returns once the step is kept. Several goroutines call it. A step that
	// cannot be kept ends no run.
	Note(Step)
}

// A StepKind says what a Step is.
type StepKind string

const (
	Launching StepKind = "launching" // an instance is about to be created for the image
	Fetching  StepKind = "fetching"  // the server does not have the image, and is about to get it
	Decided   StepKind = "decided"   // Report is what came of the image
	Sending   StepKind = "sending"   // the check's fail is about to be sent to Polar
	Posted    StepKind = "posted"    // the check's verdict is settled; Event is what Polar took, if anything
	Reported  StepKind = "reported"  // Polar has the report
	Cleaned   StepKind = "cleaned"   // nothing is left on the remote but what is kept
	Promoted  StepKind = "promoted"  // the image's version
)

// A Step is one that a run has come further, or is about to.
type Step struct {
	Kind   StepKind        `json:"step"`
	Image  report.Image    `json:"image"`
	Check  string          `json:"check,omitempty"`
	Event  string          `json:"event,omitempty"`
	Report json.RawMessage `json:"report,omitempty"` // a JSON report of the image alone
	Checks []Check         `json:"-"`                // as they are on the remote where the image is launched
}

// note has the journal keep the step, where there is one.
func (r *Runner) note(s Step) {
	if r.Journal != nil {
		r.Journal.Note(s)
	}
}

// document is the JSON report of one image.
func (r *Runner) document(res report.ImageResult, w *Watch) ([]byte, error) {
	return report.EncodeJSON(report.Summary{
		Verdict: res.Verdict, Started: w.began, Duration: time.Since(w.began), Images: []report.ImageResult{res}, Version: r.Version,
	})
}

// decided notes what came of a try that is not repeated. What an interruption left open
// is not decided, and neither is what its remote kept from being decided: that may be
// tried elsewhere.
func (r *Runner) decided(ctx context.Context, a *try) {
	if ctx.Err() == nil && a.fault == nil {
		r.noteResult(a)
	}
}

func (r *Runner) noteResult(a *try) {
	if r.Journal == nil {
		return
	}
	doc, err := r.document(a.res, a.watch)
	if err != nil {
		a.watch.Warn("the verdicts are not in the journal: " + err.Error())
		return
	}
	r.note(Step{Kind: Decided, Image: a.res.Image, Report: doc})
}
