package checks

import (
	"context"
	"errors"
	"path"
	"strconv"
	"strings"
)

// busybox is busybox's init, which has no services: what is one here is a line of
// /etc/inittab whose program it starts again whenever that has ended. Such a
// service goes by its program's name, and all that there are are enabled.
type busybox struct{ sys *System }

func (b busybox) state(_ context.Context, service string) (serviceState, error) {
	inittab, err := readBounded(b.sys.FS, "etc/inittab", maxSystemFile)
	if err != nil || !respawns(string(inittab), service) {
		return serviceState{}, nil
	}
	// Init starts it within a second, again and again.
	state := serviceState{found: true, enabled: true, starting: true, runlevels: []string{}, activity: "no process of it runs"}
	// A program that puts itself into the background has init start another one, so
	// the one that counts is init's own child.
	for _, pid := range b.sys.entries("/proc") {
		number, err := strconv.Atoi(pid)
		if err != nil || number == 1 {
			continue
		}
		data, err := readStart(b.sys.FS, "proc/"+pid+"/stat", maxProcFile)
		if err != nil {
			continue
		}
		stat, ok := parseStat(data)
		if !ok || !stat.alive() || stat.parent != 1 {
			continue
		}
		for _, name := range namesOf(b.sys.FS, "proc/"+pid) {
			if name == service {
				state.running, state.starting, state.process, state.activity = true, false, number, ""
			}
		}
	}
	return state, nil
}

// start has init read its table again: it starts what is new there.
func (b busybox) start(ctx context.Context, service string) error {
	state, err := b.state(ctx, service)
	switch {
	case err != nil:
		return err
	case !state.found:
		return errors.New("no line of /etc/inittab has busybox init respawn it")
	case state.running:
		return nil
	}
	_, err = b.sys.run(ctx, "kill -HUP 1", Command{Args: []string{"kill", "-HUP", "1"}})
	return err
}

// respawns tells whether a line of busybox's inittab, ID:RUNLEVELS:ACTION:COMMAND,
// starts that program again and again.
func respawns(inittab, service string) bool {
	for line := range strings.Lines(inittab) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 4)
		if len(f) != 4 || strings.HasPrefix(line, "#") || f[2] != "respawn" && f[2] != "askfirst" {
			continue
		}
		words := strings.Fields(strings.TrimLeft(f[3], "-"))
		if len(words) > 0 && path.Base(words[0]) == service {
			return true
		}
		// The applets of busybox go by their own names.
		if len(words) > 1 && path.Base(words[0]) == "busybox" && words[1] == service {
			return true
		}
	}
	return false
}
