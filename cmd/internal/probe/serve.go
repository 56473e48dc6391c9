package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/collect"
)

// Serve reads a plan from in, carries it out on sys, and writes events to out.
// It returns nil when it could say all that it had to, whatever the verdicts.
func Serve(ctx context.Context, in io.Reader, out io.Writer, sys *checks.System) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &writer{enc: json.NewEncoder(out), cancel: cancel}
	plan, err := readPlan(in)
	told := time.Now()
	w.token = plan.Token
	if err != nil {
		w.write(Event{Kind: Broken, Detail: err.Error()})
		return err
	}
	if plan.Timeout > 0 {
		why := errors.New("the run's time is over")
		if plan.Blame {
			why = checks.TimedOut(plan.Timeout.Round(time.Second))
		}
		ctx, cancel = context.WithTimeoutCause(ctx, plan.Timeout, why)
		defer cancel()
	}
	sys.Host, sys.Told = plan.Host, told
	w.write(Event{Kind: Hello, Protocol: Protocol, Arch: runtime.GOARCH})
	if plan.Collect != nil { // from a guest that may never get ready
		collect.Evidence(ctx, sys, *plan.Collect, func(name, text string) {
			w.write(Event{Kind: Evidence, Check: name, Detail: text})
		})
		w.write(Event{Kind: End})
		return w.err
	}
	ready, err := checks.WaitReady(ctx, sys, plan.Ready)
	var notReady *checks.NotReadyError
	switch {
	case errors.As(err, &notReady):
		w.write(Event{Kind: NotReady, Detail: err.Error()})
	case err != nil:
		w.write(Event{Kind: Broken, Detail: "waiting for the guest: " + err.Error()})
		return err
	default:
		w.write(Event{Kind: Ready, Ready: &ready})
		checks.Run(ctx, sys, plan.Checks, w)
		describe(ctx, sys, plan, w)
	}
	w.write(Event{Kind: End})
	return w.err
}

// describe answers what the plan asks to be described or found.
func describe(ctx context.Context, sys *checks.System, plan Plan, w *writer) {
	answer := func(nth int, found []checks.Description, err error) {
		a := Answer{Nth: nth, Found: found}
		if err != nil {
			a.Error, a.Found = err.Error(), nil
		}
		w.write(Event{Kind: Described, Answer: &a})
	}
	for i, item := range plan.Describe {
		d, err := item.Describe(ctx, sys)
		answer(i, []checks.Description{d}, err)
	}
	for i, name := range plan.Find {
		found, err := checks.Find(ctx, sys, name)
		answer(len(plan.Describe)+i, found, err)
	}
}

func readPlan(in io.Reader) (Plan, error) {
	var plan Plan
	dec := json.NewDecoder(io.LimitReader(in, maxPlan))
	if err := dec.Decode(&plan); err != nil {
		return plan, fmt.Errorf("read the plan: %w", err)
	}
	if plan.Protocol != Protocol {
		return plan, fmt.Errorf("the plan is of protocol %d, this probe speaks %d", plan.Protocol, Protocol)
	}
	return plan, nil
}

// A writer turns what a run observes into events. Once the host cannot be
// reached any more, it ends the run: nobody is there to read the rest.
type writer struct {
	token  string
	cancel context.CancelFunc

	mu  sync.Mutex
	enc *json.Encoder
	err error
}

func (w *writer) write(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	e.Token = w.token
	if w.err = w.enc.Encode(e); w.err != nil {
		w.cancel()
	}
}

func (w *writer) CheckStarted(name string) { w.write(Event{Kind: Check, Check: name}) }

func (w *writer) Result(check string, r checks.Result) {
	w.write(Event{Kind: Result, Check: check, Result: &r})
}

func (w *writer) CheckDone(name string, o checks.Outcome) {
	w.write(Event{Kind: Checked, Check: name, Outcome: &o})
}
