package checks

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// runit asks sv of the services in the folder that runsvdir watches. A service
// is enabled by being linked there, and has no file named down.
type runit struct{ sys *System }

// runitDefinitions are where the services are of which some are linked.
func runitDefinitions() []string { return []string{"/etc/sv", "/etc/runit/sv", "/usr/share/runit/sv"} }

// folder is the one that runsvdir watches.
func (r runit) folder() string {
	if process := r.sys.processNamed("runsvdir"); process != "" {
		for _, arg := range r.sys.argsOf(process)[1:] {
			if strings.HasPrefix(arg, "/") {
				return strings.TrimRight(arg, "/")
			}
		}
	}
	for _, folder := range []string{"/var/service", "/etc/service", "/run/runit/service", "/service"} {
		if r.sys.exists(folder) {
			return folder
		}
	}
	return "/etc/service"
}

func (r runit) state(ctx context.Context, service string) (serviceState, error) {
	if !plainService(service) {
		return serviceState{}, nil
	}
	linked := r.folder() + "/" + service
	if !r.sys.exists(linked) {
		state := serviceState{runlevels: r.runlevels(service), activity: "it is not in " + r.folder()}
		state.found = r.definition(service) != ""
		state.enablement = state.activity
		return state, nil
	}
	out, err := r.sys.run(ctx, "sv status "+service, Command{Args: []string{"sv", "status", linked}})
	if _, ok := errors.AsType[*commandError](err); err != nil && !ok {
		return serviceState{}, err
	}
	state, ok := parseSv(out.Stdout)
	if !ok {
		state.activity = "runit says: " + oneLine(string(out.Stdout)+string(out.Stderr))
	}
	state.found, state.enabled, state.runlevels = true, true, r.runlevels(service)
	switch {
	case r.linkedToStart(service):
		state.enabled, state.enablement = false, "it was put into "+r.folder()+" only to start it"
	case r.sys.exists(linked + "/down"):
		state.enabled, state.enablement = false, "there is a file named down in "+linked
	}
	return state, nil
}

func (r runit) definition(service string) string {
	for _, folder := range runitDefinitions() {
		if r.sys.exists(folder + "/" + service + "/run") {
			return folder + "/" + service
		}
	}
	return ""
}

// runlevels are the folders of links that a service is in: default and single,
// say.
func (r runit) runlevels(service string) []string {
	levels := []string{}
	for _, level := range r.sys.entries("/etc/runit/runsvdir") {
		if level != "current" && level != "previous" && r.sys.exists("/etc/runit/runsvdir/"+level+"/"+service) {
			levels = append(levels, level)
		}
	}
	return levels
}

// start brings a service up. One that is not linked yet is, which is how one is
// started under runit; that it was does not make it enabled.
func (r runit) start(ctx context.Context, service string) error {
	if !plainService(service) {
		return errors.New("no such service")
	}
	linked := r.folder() + "/" + service
	if !r.sys.exists(linked) {
		definition := r.definition(service)
		if definition == "" {
			return fmt.Errorf("no such service: it is neither in %s nor in %s", r.folder(), strings.Join(runitDefinitions(), ", "))
		}
		if _, err := r.sys.run(ctx, "ln -s", Command{Args: []string{"ln", "-s", definition, linked}}); err != nil {
			return err
		}
		_, _ = fact(ctx, &r.sys.events, linkedFact(service), func() (bool, error) { return true, nil })
	}
	if err := r.supervised(ctx, linked); err != nil {
		return err
	}
	_, err := r.sys.run(ctx, "sv start "+service, Command{Args: []string{"sv", "start", linked}})
	return err
}

func linkedFact(service string) string { return "linked to start " + service }

// linkedToStart tells whether a start has linked the service.
func (r runit) linkedToStart(service string) bool { return r.sys.events.has(linkedFact(service)) }

// supervised waits until runsvdir, which looks every five seconds, has seen a new
// service.
func (r runit) supervised(ctx context.Context, linked string) error {
	waiting, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err := poll(waiting, func() (bool, error) { return r.sys.exists(linked + "/supervise/ok"), nil })
	if err != nil && ctx.Err() == nil {
		return errors.New("runsvdir does not supervise it: there is no " + linked + "/supervise/ok")
	}
	return err
}

// svStatus is the start of what sv says of a service, before it comes to its
// log: "run: /etc/service/x: (pid 42) 7s", "down: x: 3s, normally up, want up".
var svStatus = regexp.MustCompile(`^(run|down|finish): [^\n]*?: (?:\(pid (\d+)\) )?(\d+)s([^;\n]*)`)

func parseSv(out []byte) (serviceState, bool) {
	m := svStatus.FindSubmatch(out)
	if m == nil {
		return serviceState{}, false
	}
	what, rest := string(m[1]), string(m[4])
	s := serviceState{running: what == "run" && !strings.Contains(rest, "got TERM")}
	s.process, _ = strconv.Atoi(string(m[2]))
	if !s.running {
		s.process = 0
	}
	s.starting = what == "down" && slices.Contains(strings.Split(rest, ", "), "want up")
	s.activity = "it is " + map[string]string{"run": "running", "down": "down", "finish": "finishing"}[what] + rest
	return s, true
}
