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

// A Rebooter is a guest that may be restarted.
type Rebooter interface {
	// Reboot shuts the guest down and starts it again. The error is an *ImageFault
	// where the image is to blame, and errNotOurs where the guest is not to be
	// restarted after all.
	Reboot(ctx context.Context, w *Watch) error
}

var _ Rebooter = (*instance)(nil)

// errNotOurs says that a guest was not launched by us.
var errNotOurs = errors.New("the guest is not ours to restart")

// shutdownTime is how long a guest may take to shut down.
const shutdownTime = 30 * time.Second

// Reboot restarts an instance that we have launched. The probe is pushed again:
// what the guest has done to it is not known.
func (g *instance) Reboot(ctx context.Context, w *Watch) error {
	if !g.owned {
		return errNotOurs
	}
	w.Begin(report.Reboot)
	forced, err := g.inst.Stop(ctx, shutdownTime)
	if err != nil {
		return fmt.Errorf("stop the instance: %w", err)
	}
	if forced {
		w.Warn(fmt.Sprintf("the guest did not shut down within %s, and was stopped by force", shutdownTime))
	}
	return g.boot(ctx, w, report.Reboot, g.program)
}

// waits tells whether a check has passed and is to be looked at once more.
func (e *evidence) waits(name string) bool {
	c := e.decided(name)
	return c != nil && c.Verdict == checks.Pass &&
		slices.ContainsFunc(e.job.Checks, func(c Check) bool { return c.Name == name && c.Reboot })
}

// reboot restarts the guest and has the checks that ask for it evaluated once
// more. Its error is of the guest or the server, and has decided those that
// were not evaluated.
func (e *evidence) reboot(ctx context.Context, guest Guest) error {
	l := &secondLook{evidence: e, found: map[string][]checks.Result{}, outcomes: map[string]checks.Outcome{}}
	for _, c := range e.job.Checks {
		if e.waits(c.Name) {
			l.names = append(l.names, c.Name)
		}
	}
	if len(l.names) == 0 || e.notReady != "" {
		return nil
	}
	defer func() {
		for _, name := range l.names {
			e.done(name)
		}
	}()
	err := errNotOurs
	if r, ok := guest.(Rebooter); ok {
		err = r.Reboot(ctx, e.watch)
	}
	if errors.Is(err, errNotOurs) {
		e.watch.Warn(fmt.Sprintf("%v; evaluated on this boot only: %s", err, strings.Join(l.names, ", ")))
		return nil
	}
	if err == nil {
		err = converse(ctx, guest, e.watch, conversation{plan: l.plan, image: e.wantsImage(), begin: l.begin, event: l.event})
	}
	err = l.fault(err)
	for _, name := range l.names {
		l.decide(name, cause(ctx, err))
	}
	return err
}

// A secondLook is what the probe tells after the reboot.
type secondLook struct {
	*evidence // of the first look
	names     []string
	found     map[string][]checks.Result
	outcomes  map[string]checks.Outcome
	ready     bool
	lost      bool // it was begun again
	notReady  string
}

// plan has the checks again, without what is done or known already. That what they
// need has passed is known of those that are not evaluated again.
func (l *secondLook) plan() probe.Plan {
	p := l.evidence.plan()
	var again []checks.Check
	for _, c := range p.Checks {
		if c = c.Repeated(); slices.Contains(l.names, c.Name) && len(c.Items) > 0 {
			again = append(again, c)
		}
	}
	for i := range again {
		again[i].Needs = slices.DeleteFunc(slices.Clone(again[i].Needs), func(need string) bool {
			return !slices.ContainsFunc(again, func(c checks.Check) bool { return c.Name == need })
		})
	}
	p.Checks = again
	return p
}

func (l *secondLook) begin() {
	clear(l.found)
	clear(l.outcomes)
	l.ready, l.lost, l.notReady = false, true, ""
}

func (l *secondLook) event(ev probe.Event) {
	switch ev.Kind {
	case probe.Ready:
		l.ready = true
		l.watch.Begin(report.Evaluate)
		for _, family := range ev.Ready.Missing {
			l.watch.Warn(fmt.Sprintf("no usable %s address while the guest got ready after the reboot", family))
		}
	case probe.NotReady:
		l.notReady = ev.Detail
	case probe.Check:
		l.watch.emit(report.Event{Kind: report.CheckStarted, Check: ev.Check})
	case probe.Result:
		r := l.compared(ev.Check, *ev.Result)
		l.found[ev.Check] = append(l.found[ev.Check], r)
		l.watch.emit(report.Event{Kind: report.ResultFound, Check: ev.Check, Result: &r})
	case probe.Checked:
		if _, twice := l.outcomes[ev.Check]; !twice {
			l.outcomes[ev.Check] = *ev.Outcome
		}
	}
}

// compared says of what does not hold any more that it did.
func (l *secondLook) compared(check string, r checks.Result) checks.Result {
	r.When = checks.AfterReboot
	held := slices.ContainsFunc(l.results[check], func(first checks.Result) bool {
		return first.Verdict == checks.Pass && first.Type == r.Type && first.ID == r.ID && first.Property == r.Property
	})
	if held && r.Verdict == checks.Fail {
		r.Message = strings.TrimSuffix("held before the reboot: "+r.Message, ": ")
	}
	return r
}

// fault says of an error that it is of the second boot.
func (l *secondLook) fault(err error) error {
	const notAgain = "does not start a second time: "
	var fault *ImageFault
	switch {
	case l.notReady != "":
		return &ImageFault{Reason: notAgain + l.notReady}
	case errors.As(err, &fault) && l.ready:
		return &ImageFault{Reason: "after the reboot: " + fault.Error()}
	case errors.As(err, &fault):
		return &ImageFault{Reason: notAgain + strings.TrimPrefix(fault.Error(), "the image does not start: ")}
	case err != nil:
		return fmt.Errorf("reboot: %w", err)
	}
	return nil
}

// decide draws a check's verdict from both looks. err is what ended the second one
// early, or nil.
func (l *secondLook) decide(name string, err error) {
	o := l.evidence.outcomes[name]
	again, told := l.outcomes[name]
	again = confirmed(again, l.found[name])
	var fault *ImageFault
	switch {
	case told && again.Verdict == checks.Fail && again.Total == 0: // all that there was is skipped
	case told && again.Verdict == checks.Fail && l.lost:
		o.Verdict, o.Reason = checks.Error, askedAgain
	case told:
		o.Verdict, o.Reason = again.Verdict, again.Reason
	case errors.As(err, &fault):
		o.Verdict, o.Reason = checks.Fail, fault.Error()
	case err != nil:
		o.Verdict, o.Reason = checks.Error, err.Error()
	case l.repeats(name):
		o.Verdict, o.Reason = checks.Error, "the probe said nothing of it after the reboot"
	}
	o.Passed, o.Total, o.Duration = o.Passed+again.Passed, o.Total+again.Total, o.Duration+again.Duration
	l.evidence.outcomes[name] = o
	l.results[name] = append(l.results[name], l.found[name]...)
}

// repeats tells whether there is something of the check to be evaluated again.
func (l *secondLook) repeats(name string) bool {
	return slices.ContainsFunc(l.plan().Checks, func(c checks.Check) bool { return c.Name == name })
}
