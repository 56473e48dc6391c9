package trace

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// An image is the spans of the work on one. Those of its stages are ended with it: only
// then it is known which one failed.
type image struct {
	*span
	stages []*stage
	checks map[string]*span // those under way
	told   map[string]bool  // checks that have had a span
}

type stage struct {
	*span
	name  report.Stage
	until time.Time // zero while it goes on
}

func newImage(r *Reporter, i report.Image, at time.Time) *image {
	return &image{
		span:   r.start(r.run.within, i.Product+" "+i.Type, at, names(i)...),
		checks: make(map[string]*span), told: make(map[string]bool),
	}
}

// event takes an event of the image and tells whether it was the last.
func (i *image) event(e report.Event) (last bool) {
	switch e.Kind {
	case report.StageStarted:
		i.stop(e.Time)
		s := i.reporter.start(i.within, string(e.Stage), e.Time, text("icepak.stage", string(e.Stage)))
		i.stages = append(i.stages, &stage{span: s, name: e.Stage})
	case report.CheckStarted:
		i.check(e.Check, e.Time)
	case report.ResultFound:
		if e.Result != nil && faulty(e.Result.Verdict) {
			i.check(e.Check, e.Time).tell(e.Time, "result", result(*e.Result)...)
		}
	case report.CheckDone:
		if e.Checked != nil {
			i.checked(*e.Checked, e.Time)
		}
	case report.Warning:
		i.tell(e.Time, "warning", text("icepak.detail", e.Detail))
	case report.Moved: // to a remote where it is another
		i.finish(e.Time, report.ImageResult{Verdict: checks.Error, Reason: e.Detail})
		return true
	case report.ImageDone:
		if e.Done != nil {
			i.finish(e.Time, *e.Done)
			return true
		}
	}
	return false
}

// stop ends the stage under way.
func (i *image) stop(at time.Time) {
	if n := len(i.stages); n > 0 && i.stages[n-1].until.IsZero() {
		i.stages[n-1].until = at
	}
}

// check returns the span of a check, which begins unless it is under way: after a
// reboot, it goes on.
func (i *image) check(name string, at time.Time) *span {
	if s := i.checks[name]; s != nil {
		return s
	}
	parent := i.within
	if n := len(i.stages); n > 0 {
		parent = i.stages[n-1].within
	}
	s := i.reporter.start(parent, "check "+name, at, text("icepak.check", name))
	i.checks[name], i.told[name] = s, true
	return s
}

func (i *image) checked(c report.CheckResult, at time.Time) {
	s := i.check(c.Name, at.Add(-max(0, c.Duration)))
	s.SetAttributes(attribute.Int("icepak.passed", c.Passed), attribute.Int("icepak.total", c.Total))
	why := ""
	if faulty(c.Verdict) {
		why = report.Why(c)
	}
	s.judge(c.Verdict, why)
	s.end(at)
	delete(i.checks, c.Name)
}

// finish ends all spans of the image.
func (i *image) finish(at time.Time, r report.ImageResult) {
	i.stop(at)
	for _, c := range r.Checks {
		switch {
		case i.checks[c.Name] != nil:
			i.checked(c, at)
		case faulty(c.Verdict) && !i.told[c.Name]:
			i.tell(at, "check", text("icepak.check", c.Name), text("icepak.verdict", string(c.Verdict)), text("icepak.reason", report.Why(c)))
		}
	}
	for name := range i.checks { // of which nothing is known
		i.checked(report.CheckResult{Name: name, Outcome: checks.Outcome{Verdict: checks.Error}}, at)
	}
	failed := -1
	for n, s := range i.stages {
		if s.name == r.Failed {
			failed = n
		}
	}
	for n, s := range i.stages {
		if n == failed {
			s.judge(r.Verdict, r.Reason)
		}
		s.end(s.until)
	}
	if r.Failed != "" {
		i.SetAttributes(text("icepak.failed_stage", string(r.Failed)))
	}
	i.judge(r.Verdict, r.Reason)
	i.end(at)
}

func faulty(v checks.Verdict) bool { return v != checks.Pass && v != checks.Skip }

// result is what an event says of a result that is no pass.
func result(r checks.Result) []attribute.KeyValue {
	return []attribute.KeyValue{
		text("icepak.result", report.Label(r)), text("icepak.verdict", string(r.Verdict)),
		text("icepak.message", r.Message), text("icepak.source", r.Source),
	}
}
