package checks

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// dinit asks dinitctl. A service is enabled by a link in the folder boot.d, from
// which the service boot takes those that it starts, or by being named in boot.
type dinit struct{ sys *System }

const dinitStopping = "it is stopping"

func dinitFolders() []string {
	return []string{"/etc/dinit.d", "/run/dinit.d", "/usr/local/lib/dinit.d", "/usr/lib/dinit.d", "/lib/dinit.d"}
}

func (d dinit) state(ctx context.Context, service string) (serviceState, error) {
	if !plainService(service) {
		return serviceState{}, nil
	}
	services, err := d.services(ctx)
	if err != nil {
		return serviceState{}, err
	}
	state, loaded := services[service]
	if !loaded {
		state.activity = "dinit has not loaded it"
		state.found = slices.ContainsFunc(dinitFolders(), func(folder string) bool { return d.sys.exists(folder + "/" + service) })
	}
	state.runlevels, state.enabled = []string{}, d.enabled(service)
	return state, nil
}

func (d dinit) enabled(service string) bool {
	return slices.ContainsFunc(dinitFolders(), func(folder string) bool {
		if d.sys.exists(folder + "/boot.d/" + service) {
			return true
		}
		boot, err := readBounded(d.sys.FS, fsPath(folder+"/boot"), maxSystemFile)
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(boot)) {
			setting, value, ok := strings.Cut(strings.Replace(line, ":", "=", 1), "=")
			setting = strings.TrimSpace(setting)
			if ok && strings.TrimSpace(value) == service && slices.Contains([]string{"waits-for", "depends-on", "depends-ms"}, setting) {
				return true
			}
		}
		return false
	})
}

// start starts the service; dinitctl waits until it is up or has failed.
func (d dinit) start(ctx context.Context, service string) error {
	if !plainService(service) {
		return errors.New("no such service")
	}
	_, err := d.sys.run(ctx, "dinitctl start "+service, Command{Args: []string{"dinitctl", "start", service}})
	return err
}

// services lists the services that dinit has loaded.
func (d dinit) services(ctx context.Context) (map[string]serviceState, error) {
	out, err := d.sys.run(ctx, "dinitctl list", Command{Args: []string{"dinitctl", "list"}})
	if err != nil {
		return nil, err
	}
	return parseDinit(out.Stdout), nil
}

// dinitLine is a service in dinitctl's list. Between the brackets the left place is
// that of started and the right one that of stopped, the sign stands where it is
// ({} where it is not asked to be there), and the arrows point where it goes:
//
//	[[+]     ] boot
//	[{+}     ] sshd (pid: 42)
//	[{ }<<   ] starting
//	[   >>{ }] stopping
//	[     {-}] stopped
//	[     {X}] failed
var dinitLine = regexp.MustCompile(`^\[(.)(.)(.)(<<|>>|  )(.)(.)(.)\] (\S+)(?:.*\(pid: (\d+)\))?`)

func parseDinit(out []byte) map[string]serviceState {
	states := make(map[string]serviceState)
	for line := range strings.Lines(string(out)) {
		m := dinitLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		started, way, stopped := m[2], m[4], m[6]
		s := serviceState{found: true}
		switch {
		case way == "<<":
			s.starting, s.activity = true, "it is starting"
		case way == ">>":
			s.activity = dinitStopping
		case started == "+":
			s.running = true
			s.process, _ = strconv.Atoi(m[9])
		case started == "s":
			s.activity = "its start was skipped"
		case stopped == "X":
			s.failed, s.activity = true, "it has failed"
		default:
			s.activity = "it is stopped"
		}
		states[m[8]] = s
	}
	return states
}
