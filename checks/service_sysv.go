package checks

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// openRC asks rc-service, and reads the links of the runlevels.
type openRC struct{ sys *System }

// What an OpenRC script's status exits with, besides zero for started.
const (
	openRCStarting = 8
	openRCInactive = 16 // it waits for something, such as a cable
	openRCCrashed  = 32
)

func (o openRC) state(ctx context.Context, service string) (serviceState, error) {
	if !o.sys.exists("/etc/init.d/" + service) {
		return serviceState{}, nil
	}
	code, err := o.sys.status(ctx, "rc-service", service, "status")
	if err != nil {
		return serviceState{}, err
	}
	s := scriptState(code)
	s.starting = code == openRCStarting || code == openRCInactive
	if code == openRCCrashed || s.running && o.processGone(service) {
		s.running, s.activity = false, "it is crashed"
	}
	for _, level := range o.sys.entries("/etc/runlevels") {
		if slices.Contains(o.sys.entries("/etc/runlevels/"+level), service) {
			s.runlevels = append(s.runlevels, level)
		}
	}
	s.enabled = slices.ContainsFunc(s.runlevels, func(level string) bool { return level != "shutdown" })
	return s, nil
}

func (o openRC) start(ctx context.Context, service string) error {
	_, err := o.sys.run(ctx, "rc-service "+service+" start", Command{Args: []string{"rc-service", service, "start"}})
	return err
}

// processGone tells whether the process is gone that a service's pidfile names.
// OpenRC's status does not see that where it was built without its own
// start-stop-daemon.
func (o openRC) processGone(service string) bool {
	pidfile, err := readBounded(o.sys.FS, fsPath("/run/openrc/options/"+service+"/pidfile"), maxSystemFile)
	if err != nil || len(pidfile) == 0 {
		return false
	}
	pid, err := readBounded(o.sys.FS, fsPath(strings.TrimSpace(string(pidfile))), maxSystemFile)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	return err == nil && n > 0 && !o.sys.exists("/proc/"+strconv.Itoa(n))
}

// sysvinit runs the scripts themselves, and reads the links of the runlevels.
type sysvinit struct{ sys *System }

func (v sysvinit) state(ctx context.Context, service string) (serviceState, error) {
	script := "/etc/init.d/" + service
	if !v.sys.exists(script) {
		return serviceState{}, nil
	}
	code, err := v.sys.status(ctx, script, "status")
	if err != nil {
		return serviceState{}, err
	}
	s := scriptState(code)
	s.runlevels = sysvRunlevels(v.sys, service)
	s.enabled = enabledIn(s.runlevels)
	return s, nil
}

func (v sysvinit) start(ctx context.Context, service string) error {
	script := "/etc/init.d/" + service
	_, err := v.sys.run(ctx, script+" start", Command{Args: []string{script, "start"}})
	return err
}

// status runs a command that tells by its exit code how a service is.
func (s *System) status(ctx context.Context, args ...string) (int, error) {
	_, err := s.run(ctx, strings.Join(args, " "), Command{Args: args})
	if e, ok := err.(*commandError); ok {
		return e.code, nil
	}
	return 0, err
}

// scriptState is the state of a service whose script's status exits with code.
func scriptState(code int) serviceState {
	return serviceState{
		found:     true,
		running:   code == 0,
		activity:  "its status exits with " + strconv.Itoa(code),
		runlevels: []string{},
	}
}

// sysvRunlevels lists the runlevels that start the service, by the links
// /etc/rcN.d/SNNservice.
func sysvRunlevels(sys *System, service string) []string {
	levels := []string{}
	for _, folder := range sys.entries("/etc") {
		level, ok := strings.CutPrefix(folder, "rc")
		level, isLinks := strings.CutSuffix(level, ".d")
		if !ok || !isLinks || len(level) != 1 {
			continue
		}
		starts := func(link string) bool {
			return len(link) > 3 && link[0] == 'S' && link[3:] == service
		}
		if slices.ContainsFunc(sys.entries("/etc/"+folder), starts) {
			levels = append(levels, level)
		}
	}
	return levels
}

// enabledIn tells whether one of the runlevels is gone through by a normal
// boot: S at first, then one of 2 to 5.
func enabledIn(levels []string) bool {
	return slices.ContainsFunc(levels, func(level string) bool {
		return strings.Contains("S2345", level)
	})
}
