package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/probe"
	"github.com/upmaru/icepak/cmd/internal/report"
)

var errInterrupted = errors.New("interrupted")

// evidence is what the probe has told of a job's checks.
type evidence struct {
	job      Job
	watch    *Watch
	results  map[string][]checks.Result
	outcomes map[string]checks.Outcome
	notReady string
	begun    bool   // a check of the job has, in some look
	doubt    string // why a fail is not believed, or empty
	began    time.Time
	log      strings.Builder // what the probe did, and when
}

func newEvidence(job Job, w *Watch) *evidence {
	job.Checks = slices.Clone(job.Checks) // before adds to them
	return &evidence{
		job: job, watch: w,
		results:  map[string][]checks.Result{},
		outcomes: map[string]checks.Outcome{},
		began:    time.Now(),
	}
}

// wantsImage tells whether a check that is evaluated asks for the image's facts.
func (e *evidence) wantsImage() bool {
	return slices.ContainsFunc(e.job.Checks, func(c Check) bool { return c.evaluated() && wantsImage(c.Items) })
}

// note takes down that the probe did something.
func (e *evidence) note(ev probe.Event) {
	if ev.Kind == probe.Result || e.log.Len() > maxCited {
		return
	}
	fmt.Fprintf(&e.log, "%8.3f s %s %s", time.Since(e.began).Seconds(), ev.Kind, ev.Check)
	if ev.Outcome != nil {
		fmt.Fprintf(&e.log, " %s, %d of %d", ev.Outcome.Verdict, ev.Outcome.Passed, ev.Outcome.Total)
	}
	e.log.WriteString(" " + ev.Detail + "\n")
}

// probe has the guest's probe evaluate the job's checks.
func (e *evidence) probe(ctx context.Context, guest Guest) error {
	return converse(ctx, guest, e.watch, conversation{
		plan:  e.plan,
		image: e.wantsImage(),
		begin: e.lost,
		event: e.event,
	})
}

// plan is what the probe is asked to do.
func (e *evidence) plan() probe.Plan {
	p := probe.Plan{Ready: e.job.Ready, Timeout: e.job.Timeout}
	for _, c := range e.job.Checks {
		if c.Again {
			p.Checks = append(p.Checks, c.Check)
		}
	}
	return p
}

// event takes one event of the probe.
func (e *evidence) event(ev probe.Event) {
	e.note(ev)
	switch ev.Kind {
	case probe.Hello:
		e.watch.Begin(report.ReadyFor)
	case probe.Ready:
		e.watch.Begin(report.Evaluate)
		for _, family := range ev.Ready.Missing {
			e.watch.Warn(fmt.Sprintf("no usable %s address while the guest got ready", family))
		}
	case probe.NotReady:
		e.notReady = ev.Detail
	case probe.Check:
		e.begun = true
		e.watch.emit(report.Event{Kind: report.CheckStarted, Check: ev.Check})
	case probe.Result:
		e.results[ev.Check] = append(e.results[ev.Check], *ev.Result)
		e.watch.emit(report.Event{Kind: report.ResultFound, Check: ev.Check, Result: ev.Result})
	case probe.Checked:
		if _, twice := e.outcomes[ev.Check]; !twice {
			e.outcomes[ev.Check] = *ev.Outcome
			if !e.waits(ev.Check) {
				e.done(ev.Check)
			}
		}
	}
}

func (e *evidence) done(name string) {
	e.watch.emit(report.Event{Kind: report.CheckDone, Check: name, Checked: e.decided(name)})
}

// decided returns the result of a check of the job that the probe has decided.
func (e *evidence) decided(name string) *report.CheckResult {
	for _, c := range e.job.Checks {
		if o, ok := e.outcomes[name]; ok && c.Name == name {
			if c.Unknown {
				o = c.skipped()
			}
			return &report.CheckResult{Name: name, Title: c.Title, Source: c.Source,
				Outcome: e.doubted(confirmed(o, e.results[name])), Results: e.results[name]}
		}
	}
	return nil
}

// confirmed holds a pass against the results that it rests on: a pass without a
// result that passed, or with one that did not, is not believed.
func confirmed(o checks.Outcome, results []checks.Result) checks.Outcome {
	if o.Verdict != checks.Pass {
		return o
	}
	passed := 0
	for _, r := range results {
		switch r.Verdict {
		case checks.Pass:
			passed++
		case checks.Skip:
		default:
			passed = -len(results) - 1
		}
	}
	if passed <= 0 {
		o.Verdict, o.Reason = checks.Error, "the probe's events contradict one another"
	}
	return o
}

// verdicts draws the verdicts of all the job's checks and of the image. err is what
// ended the job early, or nil.
func (e *evidence) verdicts(err error) ([]report.CheckResult, checks.Verdict, string) {
	rest, reason := checks.Error, "the probe said nothing of it"
	var fault *ImageFault
	switch {
	case e.notReady != "":
		rest, reason = checks.Fail, e.notReady
	case errors.As(err, &fault):
		rest, reason = checks.Fail, fault.Error()
	case err != nil:
		reason = err.Error()
	}
	all := undecided(e.job.Checks, rest, reason)
	for i := range all {
		if c := e.decided(all[i].Name); c != nil && e.notReady == "" {
			all[i] = *c
		}
	}
	verdict := imageVerdict(all)
	if verdict == checks.Pass && err != nil {
		verdict = checks.Error
	}
	if err == nil && e.notReady == "" {
		reason = ""
	}
	if verdict == checks.Skip {
		reason = "no check was evaluated"
	}
	return all, verdict, reason
}

// undecided gives every check the verdict, but for those that passed earlier and
// were not to be evaluated again, and those that are skipped in any case.
func undecided(cs []Check, v checks.Verdict, reason string) []report.CheckResult {
	var all []report.CheckResult
	for _, c := range cs {
		res := report.CheckResult{Name: c.Name, Title: c.Title, Source: c.Source}
		switch {
		case c.Earlier && !c.Again:
			res.Earlier, res.Verdict = true, checks.Pass
		case c.Skip != "":
			res.Outcome = c.skipped()
		default:
			res.Verdict, res.Reason = v, reason
		}
		all = append(all, res)
	}
	return all
}

// imageVerdict is the verdict of an image whose checks came to this.
func imageVerdict(cs []report.CheckResult) checks.Verdict {
	var all []checks.Verdict
	for _, c := range cs {
		all = append(all, c.Verdict)
	}
	return report.Verdict(all)
}
