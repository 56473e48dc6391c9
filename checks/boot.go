package checks

import (
	"context"
	"math"
	"slices"
	"time"
)

// Boot is how the guest has started and what it is like then. Its times count
// from the start of the guest: of a container's first process, of a machine's
// kernel.
type Boot struct {
	Common
	// State is what init says of the system: running, degraded, starting …
	State Matcher `json:"state,omitzero" kind:"string"`
	// Running is what the server took from being told to start the guest until it
	// said that the guest runs. It is skipped where nobody started it.
	Running Matcher `json:"running,omitzero" kind:"time"`
	// Time is until init had started the system; IPv4 and IPv6 until there was an
	// address of the family to talk to other networks with.
	Time          Matcher `json:"time,omitzero" kind:"time"`
	IPv4          Matcher `json:"ipv4,omitzero" kind:"time"`
	IPv6          Matcher `json:"ipv6,omitzero" kind:"time"`
	FailedUnits   Matcher `json:"failed-units,omitzero" kind:"list"`
	StartingUnits Matcher `json:"starting-units,omitzero" kind:"list"` // init has still something to do with them
	// Processes and Memory are of the guest without the probe and what that runs,
	// and without what belongs to the kernel.
	Processes Matcher `json:"processes,omitzero" kind:"int"`
	Memory    Matcher `json:"memory,omitzero" kind:"size"`
}

// Evaluate gives a result for each property that is asserted. What has not
// come yet is waited for, as long as it would still be in time.
func (b *Boot) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	r.find("state", b.State, func() (any, error) { return sys.bootState(ctx) })
	if b.Running.IsSet() && sys.Host.Running == 0 {
		r.add(Result{Property: "running", Verdict: Skip, Expected: b.Running.expr, Message: "it was not started for this run"})
	} else {
		r.match("running", b.Running, seconds(sys.Host.Running))
	}
	r.came(ctx, "time", b.Time, sys.bootTime)
	r.came(ctx, "ipv4", b.IPv4, sys.familyTime("ipv4"))
	r.came(ctx, "ipv6", b.IPv6, sys.familyTime("ipv6"))
	r.find("failed-units", b.FailedUnits, func() (any, error) { return sys.failedAtBoot(ctx) })
	r.find("starting-units", b.StartingUnits, func() (any, error) { return sys.startingUnits(ctx) })
	r.find("processes", b.Processes, func() (any, error) { return sys.processCount(ctx) })
	r.find("memory", b.Memory, func() (any, error) { return sys.memoryUsed() })
	return r.list
}

// Times, counts and sizes differ from boot to boot.
func (*Boot) undescribed() []string {
	return []string{"running", "time", "ipv4", "ipv6", "starting-units", "processes", "memory"}
}

// came is find for a time of the boot. One of which only the latest is known
// proves that something came in time, and never that it did not.
func (r *results) came(ctx context.Context, property string, m Matcher, look func(context.Context, Matcher) (bootMoment, error)) {
	if !m.IsSet() {
		return
	}
	at, err := look(ctx, m)
	ok := r.find(property, m, func() (any, error) { return seconds(at.after), err })
	if last := r.last(); !ok && err == nil && at.late {
		last.Verdict = Error
		last.Message = "it was so already when it was first looked at, " + Time.show(seconds(at.after)) + " after the start"
	}
}

// seconds is a duration as a number of the kind Time, to the millisecond.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// bootState is what init says of the system.
func (s *System) bootState(ctx context.Context) (string, error) {
	manager, err := s.bootManager()
	if err != nil {
		return "", err
	}
	look, err := s.lookAtSystem(ctx)
	if _, ok := manager.(openRC); ok && err == nil && look.booted {
		failed, err := s.failedOpenRC(ctx)
		if len(failed) > 0 {
			look.state = degraded // in systemd's words
		}
		return look.state, err
	}
	return look.state, err
}

// bootManager is the init that is asked about the boot. One that keeps to itself how far
// it is does not make its image a bad one.
func (s *System) bootManager() (serviceManager, error) {
	manager, err := s.serviceManager()
	if err != nil {
		return nil, inconclusivef("how far the system is cannot be told: %w", err)
	}
	return manager, nil
}

// errNoNote is of an init that does not keep a list of what it has started.
var errNoNote = inconclusivef("its init keeps no note of that; systemd, OpenRC and dinit do")

// failedAtBoot names the units, or services, that have failed.
func (s *System) failedAtBoot(ctx context.Context) ([]string, error) {
	manager, err := s.bootManager()
	if err != nil {
		return nil, err
	}
	switch m := manager.(type) {
	case systemd:
		units, err := s.listing(ctx, "list-units", "--state=failed", "--all")
		return firstFields(units), err
	case openRC:
		return s.failedOpenRC(ctx)
	case dinit:
		return m.named(ctx, func(state serviceState) bool { return state.failed })
	}
	return nil, errNoNote
}

// failedOpenRC names the services that OpenRC has noted as failed, those that
// it finds crashed, and those whose process is gone.
func (s *System) failedOpenRC(ctx context.Context) ([]string, error) {
	names := s.entries("/run/openrc/failed")
	for _, service := range s.entries("/run/openrc/started") {
		if (openRC{s}).processGone(service) {
			names = append(names, service)
		}
	}
	out, err := s.run(ctx, "rc-status --crashed", Command{Args: []string{"rc-status", "--crashed"}})
	if _, none := err.(*commandError); err != nil && !none { // it exits with 1 where there is none
		return nil, err
	}
	names = append(names, firstFields(fieldsOf(out.Stdout))...)
	slices.Sort(names)
	return slices.Compact(names), nil
}

// startingUnits names the units that init has still something to do with.
func (s *System) startingUnits(ctx context.Context) ([]string, error) {
	manager, err := s.bootManager()
	if err != nil {
		return nil, err
	}
	switch m := manager.(type) {
	case systemd:
		jobs, err := s.listing(ctx, "list-jobs") // number, unit, kind, state
		units := []string{}
		for _, f := range jobs {
			if len(f) == 4 {
				units = append(units, f[1])
			}
		}
		return units, err
	case openRC:
		return append([]string{}, s.entries("/run/openrc/starting")...), nil
	case dinit:
		return m.named(ctx, func(state serviceState) bool { return state.starting })
	}
	return nil, errNoNote
}

func firstFields(lines [][]string) []string {
	names := make([]string, len(lines))
	for i, f := range lines {
		names[i] = f[0]
	}
	return names
}
