package checks

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// s6 asks s6-svstat of the services that s6-svscan watches, and s6-rc, where the
// guest has booted with it, of those that it knows, some of which only run once.
type s6 struct{ sys *System }

// folder is the one that process 1 watches.
func (s s6) folder() string {
	for _, arg := range slices.Backward(s.sys.argsOf("proc/1")) {
		if strings.HasPrefix(arg, "/") && s.sys.exists(arg) && !strings.HasSuffix(arg, "/s6-svscan") {
			return strings.TrimRight(arg, "/")
		}
	}
	return "/run/service"
}

// managed tells whether s6-rc starts the services.
func (s s6) managed() bool { return s.sys.exists("/run/s6-rc") && s.sys.hasProgram("s6-rc-db") }

func (s s6) state(ctx context.Context, service string) (serviceState, error) {
	if !plainService(service) {
		return serviceState{}, nil
	}
	state := serviceState{runlevels: []string{}, activity: "it is down"}
	if s.managed() {
		known, err := s.lists(ctx, "s6-rc-db", []string{"list", "all"}, service)
		if err != nil {
			return state, err
		}
		if known {
			return s.managedState(ctx, service, state)
		}
	}
	supervised := s.folder() + "/" + service
	if !s.sys.exists(supervised) {
		return state, nil
	}
	state.found, state.enabled = true, !s.sys.exists(supervised+"/down")
	if !state.enabled {
		state.enablement = "there is a file named down in " + supervised
	}
	return s.supervisedState(ctx, service, state)
}

// managedState is that of a service of s6-rc: enabled is what the bundle of the
// boot brings up.
func (s s6) managedState(ctx context.Context, service string, state serviceState) (serviceState, error) {
	state.found, state.enablement = true, "no bundle of the boot (default, top) has it"
	for _, bundle := range []string{"default", "top"} {
		in, err := s.lists(ctx, "s6-rc-db", []string{"all-dependencies", bundle}, service)
		if _, ok := errors.AsType[*commandError](err); err != nil && !ok {
			return state, err
		}
		state.enabled = state.enabled || in
	}
	if s.sys.exists(s.folder() + "/" + service) {
		return s.supervisedState(ctx, service, state)
	}
	up, err := s.lists(ctx, "s6-rc", []string{"-a", "list"}, service)
	state.running = up
	return state, err
}

// lists tells whether a command prints a line that is the service.
func (s s6) lists(ctx context.Context, program string, args []string, service string) (bool, error) {
	out, err := s.sys.run(ctx, program, Command{Args: append([]string{program}, args...)})
	return err == nil && slices.Contains(strings.Split(string(out.Stdout), "\n"), service), err
}

func (s s6) supervisedState(ctx context.Context, service string, state serviceState) (serviceState, error) {
	out, err := s.sys.run(ctx, "s6-svstat "+service, Command{Args: []string{"s6-svstat", s.folder() + "/" + service}})
	if _, ok := errors.AsType[*commandError](err); ok {
		state.activity = "s6 says: " + oneLine(out.printed())
		return state, nil
	}
	if err != nil {
		return state, err
	}
	told, ok := parseSvstat(out.Stdout)
	if !ok {
		state.activity = "s6 says: " + oneLine(out.printed())
		return state, nil
	}
	state.running, state.starting, state.process, state.activity = told.running, told.starting, told.process, told.activity
	return state, nil
}

func (s s6) start(ctx context.Context, service string) error {
	if !plainService(service) {
		return errors.New("no such service")
	}
	if s.managed() {
		if known, err := s.lists(ctx, "s6-rc-db", []string{"list", "all"}, service); err == nil && known {
			_, err := s.sys.run(ctx, "s6-rc change "+service, Command{Args: []string{"s6-rc", "-u", "-t", "60000", "change", service}})
			return err
		}
	}
	supervised := s.folder() + "/" + service
	if !s.sys.exists(supervised) {
		return errors.New("no such service: it is not in " + s.folder())
	}
	_, err := s.sys.run(ctx, "s6-svc "+service, Command{Args: []string{"s6-svc", "-u", "-wu", "-T", "10000", supervised}})
	return err
}

// svstat is what s6-svstat prints: "up (pid 42) 7 seconds, ready 7 seconds",
// "up (pid 42 pgid 42) 7 seconds", "down (exitcode 1) 0 seconds, normally up, want up".
var svstat = regexp.MustCompile(`^(up|down) \((?:pid (\d+)[^)]*|[^)]*)\) [^\n]*`)

func parseSvstat(out []byte) (serviceState, bool) {
	m := svstat.FindSubmatch(out)
	if m == nil {
		return serviceState{}, false
	}
	line := string(m[0])
	s := serviceState{running: string(m[1]) == "up" && len(m[2]) > 0, activity: "it is " + line}
	if s.running {
		s.process, _ = strconv.Atoi(string(m[2]))
	}
	s.starting = string(m[1]) == "down" && strings.Contains(line, "want up")
	return s, true
}
