package checks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Ready says what is waited for, inside the guest, before checks are evaluated.
type Ready struct {
	// System waits until init has finished starting the system. A guest that
	// never gets there has failed.
	System bool `json:"system"`
	// Network waits for a usable global address: ipv4, ipv6. It is only a wait:
	// whether the image must have one is for a check to assert.
	Network []string `json:"network,omitempty" oneof:"ipv4,ipv6"`
	Timeout Duration `json:"timeout,omitempty"`
}

// DefaultReadyTimeout bounds the wait where Ready names no timeout.
const DefaultReadyTimeout = 2 * time.Minute

// A ReadyReport says how the guest came up.
type ReadyReport struct {
	// State is what init says of the system: running, or degraded where units
	// have failed; empty where it was not waited for.
	State       string   `json:"state,omitempty"`
	FailedUnits []string `json:"failed_units,omitempty"`
	// SystemIn is how long the system took, NetworkIn the last of the families
	// that came, both from the start of the wait.
	SystemIn  time.Duration            `json:"system_in,omitempty"`
	NetworkIn time.Duration            `json:"network_in,omitempty"`
	Families  map[string]time.Duration `json:"families,omitempty"` // each by itself
	Missing   []string                 `json:"missing,omitempty"`  // families that did not come
}

// A NotReadyError is a guest whose system did not come up.
type NotReadyError struct {
	State  string        // what init said last, such as starting or maintenance
	Detail string        // what it is at, such as jobs that are still running
	After  time.Duration // how long it was waited for
}

func (e *NotReadyError) Error() string {
	is := "is " + e.State
	switch e.State {
	case "starting", "initializing":
		is = "is still starting"
	case "maintenance":
		is = "is in maintenance, where it waits for an administrator,"
	case stopping:
		is = "is shutting down"
	case unknown:
		is = "does not say how it is"
	}
	msg := fmt.Sprintf("the system %s after %s", is, e.After.Round(100*time.Millisecond))
	if e.Detail != "" {
		msg += ": " + e.Detail
	}
	return msg
}

// WaitReady waits until the guest is as ready says. The error is the cause of ctx's
// end, or a *NotReadyError where the system has not come up, also where that cause
// is of TimedOut; a network that did not come is only reported.
func WaitReady(ctx context.Context, sys *System, ready Ready) (ReadyReport, error) {
	start := time.Now()
	waiting, cancel := context.WithTimeout(ctx, ready.Timeout.Or(DefaultReadyTimeout))
	defer cancel()
	defer sys.watchNetwork(waiting)() // for a boot resource

	// The two waits write different fields of the report.
	var report ReadyReport
	var systemErr error
	var wait sync.WaitGroup
	wait.Go(func() {
		report.waitNetwork(waiting, sys, ready.Network, start)
	})
	if ready.System {
		if systemErr = report.waitSystem(ctx, waiting, sys, start); systemErr != nil {
			cancel() // the network does not matter any more
		}
	}
	wait.Wait()
	sys.Refresh()
	if notReady, ok := errors.AsType[*NotReadyError](systemErr); ok {
		return report, notReady
	}
	if ctx.Err() != nil {
		return report, context.Cause(ctx)
	}
	return report, nil
}

// Pauses between two looks: short at first, for most guests come up at once. Looks that
// take long do so in a busy guest, and would take a part of what its boot needs: they get
// a fifth of the time at most, up to a second's pause.
const (
	minReadyPause = 50 * time.Millisecond
	maxReadyPause = 250 * time.Millisecond
	maxBusyPause  = time.Second
	busyShare     = 4 // of a look's time
)

// askTime bounds what is asked of a system that did not come up.
const askTime = 3 * time.Second

// poll looks until it is done, fails or ctx ends.
func poll(ctx context.Context, look func() (done bool, err error)) error {
	for pause := minReadyPause; ; pause = min(pause*5/4, maxReadyPause) {
		began := time.Now()
		if done, err := look(); done || err != nil {
			return err
		}
		select {
		case <-time.After(max(pause, min(busyShare*time.Since(began), maxBusyPause))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waitNetwork waits for an address of each family.
func (r *ReadyReport) waitNetwork(ctx context.Context, sys *System, families []string, start time.Time) {
	r.Missing = slices.Clone(families)
	r.Families = map[string]time.Duration{}
	look := func() (bool, error) {
		links, err := sys.links()
		if err != nil {
			return false, nil // it may come; if not, the families are missing
		}
		r.Missing = slices.DeleteFunc(r.Missing, func(family string) bool {
			has := slices.ContainsFunc(links, func(l Link) bool { return !l.Loopback && l.has(family) })
			if has {
				r.NetworkIn = time.Since(start)
				r.Families[family] = r.NetworkIn
			}
			return has
		})
		return len(r.Missing) == 0, nil
	}
	_ = poll(ctx, look) // the end of ctx leaves the families missing
}

// waitSystem waits, as long as waiting is not over, until init has started the
// system.
func (r *ReadyReport) waitSystem(ctx, waiting context.Context, sys *System, start time.Time) error {
	last := systemLook{state: unknown, detail: "init does not answer"}
	err := poll(waiting, func() (bool, error) {
		look, err := sys.lookAtSystem(waiting)
		switch {
		case err == nil:
			last = look
			sys.came.note(systemUp, look.booted)
		case waiting.Err() == nil:
			last = systemLook{state: unknown, detail: err.Error()}
		}
		return last.booted || last.failed, nil
	})
	r.SystemIn = time.Since(start)
	if ctx.Err() != nil && !late(ctx) {
		return ctx.Err()
	}
	// The time may be over; what init is at is asked all the same.
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	if last.state != running {
		r.FailedUnits = sys.failedUnits(asking)
	}
	if err == nil && last.booted {
		r.State = last.state
		return nil
	}
	if last.detail == "" && last.state != stopping {
		last.detail = sys.bootDetail(asking, r.FailedUnits)
	}
	return &NotReadyError{State: last.state, Detail: oneLine(last.detail), After: r.SystemIn}
}
