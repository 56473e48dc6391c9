package checks

import (
	"context"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// rescued tells whether somebody is asked for root's password on the console: the
// system has gone into its emergency or single-user mode.
func (s *System) rescued() bool { return s.processNamed("sulogin") != "" }

func rescue() systemLook {
	return systemLook{state: "maintenance", failed: true, detail: "it is in its single-user or emergency mode: sulogin runs"}
}

// readStage tells how far runit is by what process 1 runs: the scripts of stages 1
// and 3, and in stage 2 runsvdir.
func (r runit) readStage() systemLook {
	if r.sys.rescued() {
		return rescue()
	}
	if r.sys.processNamed("runsvdir") != "" {
		return systemLook{state: running, booted: true}
	}
	switch script := r.sys.childOfInit(func([]string) bool { return true }); {
	case script == nil:
		return systemLook{state: "starting", detail: "runsvdir does not run yet"}
	case path.Base(scriptOf(script)) == "3":
		return systemLook{state: "stopping", failed: true}
	default:
		return systemLook{state: "starting", detail: "still at " + scriptOf(script)}
	}
}

// readStage tells whether s6's own scripts of the boot, or s6-rc, are still at work.
func (s s6) readStage() systemLook {
	switch {
	case s.sys.rescued():
		return rescue()
	case s.sys.processNamed("rc.shutdown", "s6-linux-init-shutdown") != "":
		return systemLook{state: "stopping", failed: true}
	case s.sys.processNamed("rc.init", "s6-rc", "s6-rc-init") != "":
		return systemLook{state: "starting", detail: "rc.init or s6-rc is still at work"}
	}
	return systemLook{state: running, booted: true}
}

// lookAtDinit asks dinit of its service boot, on which all that are started depend.
// It falls back on one called recovery, or single.
func lookAtDinit(ctx context.Context, d dinit) (systemLook, error) {
	services, err := d.services(ctx)
	if err != nil {
		return systemLook{}, err
	}
	boot, known := services["boot"]
	failed := func(state serviceState) bool { return state.failed }
	switch {
	case boot.running && slices.ContainsFunc(slices.Collect(maps.Values(services)), failed):
		return systemLook{state: degraded, booted: true}, nil
	case boot.running, !known:
		return systemLook{state: running, booted: true}, nil
	case services["recovery"].running, services["single"].running:
		return systemLook{state: "maintenance", failed: true}, nil
	case boot.activity == dinitStopping:
		return systemLook{state: "stopping", failed: true}, nil
	case boot.failed:
		return systemLook{state: "failed", failed: true}, nil
	}
	return systemLook{state: "starting"}, nil
}

// named lists the services of which a state holds.
func (d dinit) named(ctx context.Context, holds func(serviceState) bool) ([]string, error) {
	services, err := d.services(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for name, state := range services {
		if holds(state) && name != "boot" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// initTitle is how sysvinit names itself: after the runlevel that it has gone to,
// or init boot while it is at its first scripts and until it goes to a runlevel.
var initTitle = regexp.MustCompile(`^init (boot|\[.\])`)

// readInittab tells whether sysvinit's or busybox's init still waits for what its
// table has it wait for: the scripts of the boot and of the runlevel.
func (s *System) readInittab() systemLook {
	if s.rescued() {
		return rescue()
	}
	level := ""
	if m := initTitle.FindStringSubmatch(strings.Join(s.argsOf("proc/1"), " ")); m != nil {
		level = strings.Trim(m[1], "[]")
	}
	if level == "0" || level == "6" {
		return systemLook{state: "stopping", failed: true}
	}
	inittab, err := readBounded(s.FS, "etc/inittab", maxSystemFile)
	if err != nil {
		return systemLook{state: running, booted: true}
	}
	awaited := awaitedPrograms(string(inittab))
	if at := s.childOfInit(func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(awaited, name) })
	}); at != nil {
		return systemLook{state: "starting", detail: "still at " + scriptOf(at)}
	}
	if level == "boot" {
		return systemLook{state: "starting", detail: "init has not got to a runlevel yet"}
	}
	if level == "1" || level == "S" {
		return systemLook{state: "maintenance", failed: true, detail: "it is in runlevel " + level}
	}
	return systemLook{state: running, booted: true}
}

// awaitedPrograms returns the names of the programs that init waits for.
func awaitedPrograms(inittab string) []string {
	var names []string
	for line := range strings.Lines(inittab) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 4)
		if len(f) != 4 || strings.HasPrefix(line, "#") || !slices.Contains([]string{"sysinit", "boot", "bootwait", "wait"}, f[2]) {
			continue
		}
		if words := strings.Fields(f[3]); len(words) > 0 {
			names = append(names, path.Base(words[0]))
		}
	}
	return names
}

// childOfInit returns the arguments of a child of process 1 of whose names wanted
// says so.
func (s *System) childOfInit(wanted func(names []string) bool) []string {
	for _, pid := range s.entries("/proc") {
		if _, err := strconv.Atoi(pid); err != nil || pid == "1" {
			continue
		}
		folder := "proc/" + pid
		data, err := readStart(s.FS, folder+"/stat", maxProcFile)
		if err != nil {
			continue
		}
		if stat, ok := parseStat(data); ok && stat.alive() && stat.parent == 1 && wanted(namesOf(s.FS, folder)) {
			return s.argsOf(folder)
		}
	}
	return nil
}

// scriptOf is the script that a shell runs, or the program.
func scriptOf(args []string) string {
	for _, arg := range args {
		if strings.HasPrefix(arg, "/") && !slices.Contains([]string{"sh", "bash", "dash", "busybox", "ash"}, path.Base(arg)) {
			return arg
		}
	}
	return strings.Join(args, " ")
}
