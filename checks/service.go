package checks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Service is a service of the init that the guest has booted with.
type Service struct {
	Common
	Name string `json:"name,omitempty"`
	// Start starts it first; it must stay up.
	Start bool `json:"start,omitempty" asserts:"true"`
	// Enabled is whether it is started at boot because somebody enabled it. A
	// static unit, which cannot be enabled and is started only when another
	// asks for it, is not; systemctl is-enabled calls it enabled.
	Enabled   Matcher `json:"enabled,omitzero" kind:"bool"`
	Running   Matcher `json:"running,omitzero" kind:"bool"`
	Runlevels Matcher `json:"runlevels,omitzero" kind:"list"`
}

// A serviceState is what an init system says of a service.
type serviceState struct {
	found      bool
	enabled    bool
	running    bool
	starting   bool   // not running yet, and may still get there
	failed     bool   // it ran, or should have, and came to a bad end
	finished   bool   // it ran once and ended well, as it is meant to
	restarts   int    // how often it was started again after it died
	process    int    // the number of its process, where another one means that it died
	enablement string // why it is not enabled, where that is not plain
	activity   string // why it is not running
	runlevels  []string
}

// A serviceManager knows the services of a guest.
type serviceManager interface {
	state(ctx context.Context, service string) (serviceState, error)
	// start starts the service. Its error is a *commandError where it was refused.
	start(ctx context.Context, service string) error
}

// Evaluate gives a result for each property that is asserted. Where the start
// failed it still looks at the others.
func (s *Service) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	name := cmp.Or(s.Name, s.Key)
	if s.Start {
		if err := sys.startService(ctx, name); err != nil {
			r.add(Result{Property: "start", Verdict: verdictOf(err), Message: oneLine(err.Error())})
			withOutput(r.list, err)
		} else {
			r.pass("start", nil)
		}
	}
	if !s.Enabled.IsSet() && !s.Running.IsSet() && !s.Runlevels.IsSet() {
		return r.list
	}
	started := len(r.list)
	state, err := sys.service(ctx, name)
	if err != nil {
		r.errRest(err)
	}
	if !r.match("enabled", s.Enabled, state.enabled) && err == nil && state.enablement != "" {
		r.explain(state.enablement)
	}
	if !r.match("running", s.Running, state.running) && err == nil && state.activity != "" {
		r.explain(state.activity)
	}
	r.match("runlevels", s.Runlevels, state.runlevels)
	withOutput(r.list[started:], err)
	return r.list
}

// service returns a service's state. Systemd is asked for all services of the plan
// at once; for what it does not tell of then, and other inits, for each alone.
func (s *System) service(ctx context.Context, name string) (serviceState, error) {
	manager, err := s.serviceManager()
	if err != nil {
		return serviceState{}, err
	}
	var state serviceState
	known := false
	if d, ok := manager.(systemd); ok {
		states, _ := fact(ctx, &s.facts, "services", func() (map[string]serviceState, error) {
			return d.states(ctx, s.services), nil
		})
		state, known = states[name]
	}
	if !known {
		state, err = fact(ctx, &s.facts, "service "+name, func() (serviceState, error) { return manager.state(ctx, name) })
	}
	if err == nil && !state.found {
		state.enablement, state.activity = noSuchService, noSuchService
	}
	return state, err
}

const noSuchService = "no such unit"

// servicesOf names the services that the checks look at.
func servicesOf(list []Check) []string {
	var names []string
	for _, c := range list {
		for _, it := range c.Items {
			if s, ok := it.Resource.(*Service); ok {
				names = append(names, cmp.Or(s.Name, s.Key))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

const (
	// stayUp is how long a service that was started is watched: one that dies
	// within seconds has not started, whatever its init says.
	stayUp = 2 * time.Second
	// stayUpPause is the time between two looks at it.
	stayUpPause = 200 * time.Millisecond
)

// startService starts the service and makes sure that it stays up.
func (s *System) startService(ctx context.Context, name string) error {
	manager, err := s.serviceManager()
	if err != nil {
		return err
	}
	defer s.Refresh()
	err = manager.start(ctx, name)
	if err == nil {
		err = staysUp(ctx, manager, name)
	}
	if err == nil || verdictOf(err) == Error {
		return err
	}
	failed, ok := errors.AsType[*commandError](err)
	if !ok {
		failed = &commandError{message: err.Error()}
	}
	failed.output = joinLines(failed.output, s.serviceLog(ctx, manager, name))
	return failed
}

// staysUp watches a service that has been started.
func staysUp(ctx context.Context, manager serviceManager, name string) error {
	deadline := time.Now().Add(stayUp)
	for ran, restarts, process := false, -1, 0; ; {
		state, err := manager.state(ctx, name)
		if err != nil {
			return err
		}
		if restarts < 0 {
			restarts = state.restarts
		}
		if process == 0 {
			process = state.process
		}
		ran = ran || state.running
		late := time.Now().After(deadline)
		switch {
		case state.finished:
			return nil
		case state.restarts > restarts, state.process != 0 && state.process != process:
			return errors.New("it started, died, and was started again")
		case !state.running && ran:
			return fmt.Errorf("it started and did not stay up: %s", state.activity)
		case !state.running && (late || !state.starting):
			return fmt.Errorf("it did not start: %s", state.activity)
		case late:
			return nil
		}
		select {
		case <-time.After(stayUpPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// entries returns the names in a folder; none where it cannot be read.
func (s *System) entries(folder string) []string {
	list, err := fs.ReadDir(s.FS, fsPath(folder))
	if err != nil {
		return nil
	}
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.Name()
	}
	slices.Sort(names)
	return names
}

func (*Service) undescribed() []string { return []string{"runlevels"} }
