package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// A systemLook is one look at how far the system has started.
type systemLook struct {
	state  string // as init says
	booted bool   // it has got as far as it will
	failed bool   // it will not get there
	detail string
}

const (
	running  = "running"
	degraded = "degraded"
	stopping = "stopping"
	unknown  = "unknown"
)

// lookAtSystem asks the guest's init how far it is. Where nobody can tell, the
// system is taken to be up.
func (s *System) lookAtSystem(ctx context.Context) (systemLook, error) {
	manager, err := s.serviceManager()
	if err != nil {
		return systemLook{state: running, booted: true}, nil
	}
	switch m := manager.(type) {
	case systemd:
		return s.lookAtSystemd(ctx)
	case dinit:
		return lookAtDinit(ctx, m)
	case openRC:
		return twice(ctx, s.readOpenRC), nil
	case runit:
		return twice(ctx, m.readStage), nil
	case s6:
		return twice(ctx, m.readStage), nil
	}
	return twice(ctx, s.readInittab), nil
}

const (
	askSystemdTime = 5 * time.Second
	// systemdWait is how long systemctl is had to wait at a time: an emergency, for one,
	// it does not notice.
	systemdWait = 2 * time.Second
)

// lookAtSystemd asks systemd. To a system that is still starting, one program that
// waits for its end is less of a burden than several that ask one after another.
func (s *System) lookAtSystemd(ctx context.Context) (systemLook, error) {
	look, err := s.askSystemd(ctx, askSystemdTime)
	if err != nil || look.state != "starting" {
		return look, err
	}
	if end, err := s.askSystemd(ctx, systemdWait, "--wait"); err == nil && (end.booted || end.failed) {
		return end, nil
	}
	return look, nil
}

// askSystemd asks once. Early in the boot systemd does not answer yet, and
// systemctl says offline, unknown or nothing.
func (s *System) askSystemd(ctx context.Context, limit time.Duration, options ...string) (systemLook, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := s.run(ctx, "systemctl", Command{Args: append([]string{"systemctl", "is-system-running"}, options...)})
	if _, ok := errors.AsType[*commandError](err); err != nil && !ok {
		return systemLook{}, err
	}
	look := systemLook{state: strings.TrimSpace(string(out.Stdout))}
	switch look.state {
	case running, degraded:
		look.booted = true
	case "maintenance", stopping:
		look.failed = true
	case "":
		look.state, look.detail = unknown, strings.TrimSpace(string(out.Stderr))
	}
	return look, nil
}

// twice reads again where the system seems to have booted: there is a moment
// between the end of one runlevel and the start of the next.
func twice(ctx context.Context, read func() systemLook) systemLook {
	look := read()
	if !look.booted {
		return look
	}
	select {
	case <-time.After(minReadyPause):
	case <-ctx.Done():
	}
	return read()
}

// readOpenRC reads OpenRC's notes. It makes rc.starting when it begins with a
// runlevel and removes it at its end.
func (s *System) readOpenRC() systemLook {
	const softlevel = "run/openrc/softlevel"
	level, err := readBounded(s.FS, softlevel, maxSystemFile)
	switch name := strings.TrimSpace(string(level)); {
	case err != nil, s.ofEarlierBoot(softlevel), name == "", name == "sysinit", name == "boot":
		return systemLook{state: "starting"}
	case name == "shutdown", name == "off", name == "reboot":
		return systemLook{state: stopping, failed: true}
	case s.rescued():
		return rescue()
	case s.exists("/run/openrc/rc.starting"), len(s.entries("/run/openrc/starting")) > 0:
		return systemLook{state: "starting"}
	}
	return systemLook{state: running, booted: true}
}

// ofEarlierBoot tells whether a file was written before the guest was started: until
// /run is mounted, there may be what the last boot has left in the folder.
func (s *System) ofEarlierBoot(name string) bool {
	info, err := fs.Stat(s.FS, name)
	if err != nil || info.ModTime().IsZero() {
		return false
	}
	age, err := s.age()
	return err == nil && info.ModTime().Before(time.Now().Add(-age))
}

// failedUnits names the units or services that init could not start, where it keeps
// a note of them.
func (s *System) failedUnits(ctx context.Context) []string {
	units, _ := s.failedAtBoot(ctx) // it is only told
	return units
}

// bootDetail says what keeps the system from being up: jobs that go on, or
// else units that have failed.
func (s *System) bootDetail(ctx context.Context, failed []string) string {
	manager, _ := s.serviceManager()
	var jobs, waiting []string
	switch m := manager.(type) {
	case systemd:
		listed, _ := s.listing(ctx, "list-jobs")
		for _, f := range listed { // number, unit, kind, state
			switch {
			case len(f) == 4 && f[3] == "running":
				jobs = append(jobs, f[1])
			case len(f) == 4:
				waiting = append(waiting, f[1])
			}
		}
	case dinit:
		jobs, _ = m.named(ctx, func(state serviceState) bool { return state.starting })
	case openRC:
		jobs = s.entries("/run/openrc/starting")
	}
	switch {
	case len(jobs) > 0 && len(waiting) > 0:
		return fmt.Sprintf("it is at %s, with %d more to come", someOf(jobs), len(waiting))
	case len(jobs) > 0:
		return "it is at " + someOf(jobs)
	case len(failed) > 0:
		return "failed: " + someOf(failed)
	case len(waiting) > 0:
		return "jobs wait for one another: " + someOf(waiting)
	}
	return s.targetDetail(ctx)
}

// targetDetail says what is wrong with the target that systemd is to reach, or
// nothing.
func (s *System) targetDetail(ctx context.Context) string {
	if !s.bootedSystemd() {
		return ""
	}
	out, err := s.run(ctx, "systemctl", Command{Args: []string{"systemctl", "show", "--property=LoadState", "default.target"}})
	if err != nil {
		return ""
	}
	switch _, state, _ := strings.Cut(strings.TrimSpace(string(out.Stdout)), "="); state {
	case "", "loaded":
		return ""
	case "not-found":
		return "there is no default.target"
	default:
		return "default.target is " + state
	}
}

// listing returns the fields of the lines that a systemctl command lists.
func (s *System) listing(ctx context.Context, args ...string) ([][]string, error) {
	args = append([]string{"systemctl", "--plain", "--no-legend", "--no-pager"}, args...)
	out, err := s.run(ctx, "systemctl", Command{Args: args})
	if err != nil {
		return nil, err
	}
	if out.Truncated {
		return nil, errTooMuch
	}
	return fieldsOf(out.Stdout), nil
}

// fieldsOf returns the fields of the lines that have some.
func fieldsOf(printed []byte) [][]string {
	var lines [][]string
	for line := range strings.Lines(string(printed)) {
		// Old versions mark failed units with a dot even so.
		if f := strings.Fields(strings.TrimLeft(line, " ●*")); len(f) > 0 {
			lines = append(lines, f)
		}
	}
	return lines
}

// someOf joins the first names of a list.
func someOf(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
