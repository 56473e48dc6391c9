package checks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"time"
)

// Evaluate looks at the item's resource and returns a result for each property
// that the spec asserts. Where it says within or retry_count, a look that fails
// is repeated until it holds or that is over, and the last look's results count.
// What was looked at beforehand is not looked at again.
func (it Item) Evaluate(ctx context.Context, sys *System) []Result {
	if it.Known != nil {
		return it.Known
	}
	start := time.Now()
	common := it.Resource.common()
	var list []Result
	var whole bool
	switch {
	case common.Skip:
		list = it.skipped("skip is set")
	case common.BeforeBoot:
		list = it.skipped("it is looked at before the boot only, and this one was not started by icepak")
		notHere(list)
	case ctx.Err() != nil:
		list = []Result{{}}
	default:
		sys.facts.forgetOld()
		list, whole = it.try(ctx, sys, start.Add(time.Duration(common.Within)))
	}
	if ctx.Err() != nil {
		interrupted(list, context.Cause(ctx), whole)
	}
	it.stamp(list, time.Since(start))
	return list
}

// skipped has a result for each property that the spec asserts, and at least one.
func (it Item) skipped(why string) []Result {
	properties := slices.Sorted(maps.Keys(it.Sources))
	if len(properties) == 0 {
		properties = []string{""}
	}
	var list []Result
	for _, property := range properties {
		list = append(list, Result{Property: property, Verdict: Skip, Message: why})
	}
	return list
}

// try looks until it holds, or until the deadline has passed after a look and
// no retries are left. It tells whether the last look was over before ctx was.
func (it Item) try(ctx context.Context, sys *System, deadline time.Time) (list []Result, whole bool) {
	began := time.Now()
	common := it.Resource.common()
	for retries := common.RetryCount; ; {
		list = it.look(ctx, sys)
		if holds(list) || ctx.Err() != nil {
			return list, ctx.Err() == nil
		}
		// A look that comes late costs a twentieth of the wait at the most, and a long
		// wait costs few looks.
		pause := min(max(time.Since(began)/20, 50*time.Millisecond), time.Second)
		switch left := time.Until(deadline); {
		case left > 0:
			pause = min(pause, left)
		case retries > 0:
			retries--
			pause = common.RetryDelay.Or(time.Second)
		default:
			return list, true
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return list, true
		}
		sys.Refresh()
	}
}

// stuckAfter is how long a resource may go on after its context has ended.
const stuckAfter = 3 * time.Second

// look evaluates the resource once. One that panics gives an error; one that
// does not return although its context has ended, for instance because a read
// hangs in the kernel, is left behind.
func (it Item) look(ctx context.Context, sys *System) []Result {
	done := make(chan []Result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- []Result{{
					Verdict: Error,
					Message: oneLine(fmt.Sprintf("icepak has a bug: %v", p)),
					Output:  head(string(debug.Stack()), maxOutput),
				}}
			}
		}()
		done <- it.Resource.Evaluate(ctx, sys)
	}()
	select {
	case list := <-done:
		return list
	case <-ctx.Done():
	}
	select {
	case list := <-done:
		return list
	case <-time.After(stuckAfter):
		return []Result{{Message: "it hangs"}}
	}
}

func holds(list []Result) bool {
	for _, r := range list {
		if r.Verdict == Fail || r.Verdict == Error {
			return false
		}
	}
	return true
}

// A timeoutError is the cause of a check's context that has run out.
type timeoutError struct{ after time.Duration }

// TimedOut is the cause to be given to a context whose end is the fault of what is
// under way.
func TimedOut(after time.Duration) error { return &timeoutError{after} }

// late tells whether the context has ended by the fault of what is under way.
func late(ctx context.Context) bool {
	_, ok := errors.AsType[*timeoutError](context.Cause(ctx))
	return ok
}

func (e *timeoutError) Error() string { return fmt.Sprintf("timed out after %s", e.after) }

// interrupted marks results of a look during which the context ended. None of
// them is to be believed: that a port cannot be reached, for instance, would
// hold for no other reason. A check that takes too long is the image's fault;
// any other end is not. Where the look was whole and only not repeated any more,
// what it could not find out stays so.
func interrupted(list []Result, cause error, whole bool) {
	verdict, message := Error, fmt.Sprintf("interrupted: %v", cause)
	_, late := errors.AsType[*timeoutError](cause)
	if late {
		verdict, message = Fail, cause.Error()
	}
	for i := range list {
		r := &list[i]
		if r.Verdict == Skip || r.Verdict == Error && late && whole {
			continue
		}
		r.Verdict = verdict
		if r.Message == "" {
			r.Message = message
		} else {
			r.Message = oneLine(message + ": " + r.Message)
		}
	}
}

// stamp fills in what a resource does not know of itself. Durations add up to
// what the whole item took.
func (it Item) stamp(list []Result, took time.Duration) {
	for i := range list {
		r := &list[i]
		r.Type, r.ID, r.Title = it.Type, it.ID, it.Resource.common().Title
		r.Source = it.Sources[r.Property]
		if r.Source == "" {
			r.Source = it.Source
		}
		took -= r.Duration
	}
	if len(list) > 0 && took > 0 {
		list[0].Duration += took
	}
}
