package checks

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Run evaluates the checks one after another and tells the observer. A check
// comes after the checks that it needs, and otherwise in the given order. One
// whose needs have not all passed is skipped, and so is what needs that one.
func Run(ctx context.Context, sys *System, list []Check, obs Observer) {
	sys.services = servicesOf(list)
	if wantsFamilies(list) {
		defer sys.watchNetwork(ctx)()
	}
	passed := make(map[string]bool, len(list))
	for _, c := range inOrder(list) {
		obs.CheckStarted(c.Name)
		start := time.Now()
		o := runCheck(ctx, sys, c, passed, obs)
		o.Duration = time.Since(start)
		passed[c.Name] = o.Verdict == Pass
		obs.CheckDone(c.Name, o)
	}
}

func runCheck(ctx context.Context, sys *System, c Check, passed map[string]bool, obs Observer) Outcome {
	if c.Skip != "" {
		return Outcome{Verdict: Skip, Reason: c.Skip}
	}
	for _, need := range c.Needs {
		if !passed[need] {
			return Outcome{Verdict: Skip, Reason: "needs " + need}
		}
	}
	if late(ctx) { // by the fault of an earlier check
		return Outcome{Verdict: Error, Reason: fmt.Sprintf("not begun: %v", context.Cause(ctx))}
	}
	timeout := cmp.Or(c.Timeout, DefaultTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, &timeoutError{timeout})
	defer cancel()

	var count tally
	for _, item := range c.Items {
		for _, r := range item.Evaluate(ctx, sys) {
			count.add(r)
			obs.Result(c.Name, r)
		}
	}
	return count.outcome()
}

// A tally counts a check's results.
type tally struct {
	passed, failed, errors int
	elsewhere              string // why something cannot be looked at here
}

func (t *tally) add(r Result) {
	switch r.Verdict {
	case Pass:
		t.passed++
	case Fail:
		t.failed++
	case Skip:
		if r.NotHere {
			t.elsewhere = r.Message
		}
	default: // whatever is no verdict cannot count for the image
		t.errors++
	}
}

func (t *tally) outcome() Outcome {
	o := Outcome{Verdict: Pass, Passed: t.passed, Total: t.passed + t.failed + t.errors}
	switch {
	case t.failed > 0:
		o.Verdict = Fail
	case t.errors > 0:
		o.Verdict = Error
	case t.passed == 0 && t.elsewhere != "":
		o.Verdict, o.Reason = Skip, t.elsewhere
	case t.passed == 0:
		o.Verdict, o.Reason = Fail, "nothing was evaluated"
	}
	return o
}

// inOrder sorts the checks so that each comes after what it needs, keeping the
// order otherwise. Those of a cycle, which a spec cannot have, come last.
func inOrder(list []Check) []Check {
	listed := make(map[string]bool, len(list))
	for _, c := range list {
		listed[c.Name] = true
	}
	sorted := make([]Check, 0, len(list))
	placed := make(map[string]bool, len(list))
	taken := make([]bool, len(list))
	ready := func(c Check) bool {
		for _, need := range c.Needs {
			if listed[need] && !placed[need] {
				return false
			}
		}
		return true
	}
	for len(sorted) < len(list) {
		i := firstIndex(list, taken, ready)
		sorted = append(sorted, list[i])
		taken[i], placed[list[i].Name] = true, true
	}
	return sorted
}

// firstIndex is the first check not taken that is ready, or the first not
// taken where none is.
func firstIndex(list []Check, taken []bool, ready func(Check) bool) int {
	first := -1
	for i, c := range list {
		switch {
		case taken[i]:
		case ready(c):
			return i
		case first < 0:
			first = i
		}
	}
	return first
}
