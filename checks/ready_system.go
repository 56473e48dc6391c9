package checks

import (
	"context"
	"errors"
	"fmt"
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

// lookAtSystem asks the guest's init how far it is. Without systemd or OpenRC
// nobody can tell, and the system is taken to be up.
func (s *System) lookAtSystem(ctx context.Context) (systemLook, error) {
	switch {
	case s.bootedSystemd():
		return s.lookAtSystemd(ctx)
	case s.bootedOpenRC():
		return s.lookAtOpenRC(ctx), nil
	}
	return systemLook{state: running, booted: true}, nil
}

// lookAtSystemd asks systemd. Early in the boot it does not answer yet, and
// systemctl says offline, unknown or nothing.
func (s *System) lookAtSystemd(ctx context.Context) (systemLook, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := s.run(ctx, "systemctl", Command{Args: []string{"systemctl", "is-system-running"}})
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

// lookAtOpenRC reads OpenRC's own notes, twice where it seems to have booted:
// there is a moment between the end of one runlevel and the start of the next.
func (s *System) lookAtOpenRC(ctx context.Context) systemLook {
	look := s.readOpenRC()
	if !look.booted {
		return look
	}
	select {
	case <-time.After(minReadyPause):
	case <-ctx.Done():
	}
	return s.readOpenRC()
}

// readOpenRC reads OpenRC's notes. It makes rc.starting when it begins with a
// runlevel and removes it at its end.
func (s *System) readOpenRC() systemLook {
	level, err := readBounded(s.FS, "run/openrc/softlevel", maxSystemFile)
	switch name := strings.TrimSpace(string(level)); {
	case err != nil, name == "", name == "sysinit", name == "boot":
		return systemLook{state: "starting"}
	case name == "shutdown", name == "off", name == "reboot":
		return systemLook{state: stopping, failed: true}
	case s.exists("/run/openrc/rc.starting"), len(s.entries("/run/openrc/starting")) > 0:
		return systemLook{state: "starting"}
	}
	return systemLook{state: running, booted: true}
}

// failedUnits names the units that systemd could not start. OpenRC keeps no
// note of them after the boot.
func (s *System) failedUnits(ctx context.Context) []string {
	if !s.bootedSystemd() {
		return nil
	}
	var units []string
	for _, f := range s.listing(ctx, "list-units", "--state=failed", "--all") {
		units = append(units, f[0])
	}
	return units
}

// bootDetail says what keeps the system from being up: jobs that go on, or
// else units that have failed.
func (s *System) bootDetail(ctx context.Context, failed []string) string {
	var jobs, waiting []string
	if s.bootedSystemd() {
		for _, f := range s.listing(ctx, "list-jobs") { // number, unit, kind, state
			switch {
			case len(f) == 4 && f[3] == "running":
				jobs = append(jobs, f[1])
			case len(f) == 4:
				waiting = append(waiting, f[1])
			}
		}
	} else {
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
func (s *System) listing(ctx context.Context, args ...string) [][]string {
	args = append([]string{"systemctl", "--plain", "--no-legend", "--no-pager"}, args...)
	out, err := s.run(ctx, "systemctl", Command{Args: args})
	if err != nil {
		return nil
	}
	var lines [][]string
	for line := range strings.Lines(string(out.Stdout)) {
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
