package checks

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// systemd asks systemctl.
type systemd struct{ sys *System }

// unitProperties are what is asked of a unit.
const unitProperties = "Names,LoadState,ActiveState,SubState,UnitFileState,Type,Result,NRestarts,ConditionResult,ConditionTimestampMonotonic"

func (d systemd) state(ctx context.Context, service string) (serviceState, error) {
	switch {
	case strings.Contains(service, "/"):
		return serviceState{}, nil // systemctl would look at what the path escapes to
	case strings.HasSuffix(service, "@") || strings.Contains(service, "@."):
		return d.template(ctx, service)
	}
	out, err := d.show(ctx, "systemctl show "+service, service)
	if err != nil {
		return serviceState{}, err
	}
	units := parseUnits(out.Stdout)
	if len(units) == 0 || units[0]["LoadState"] == "" {
		return serviceState{}, fmt.Errorf("systemctl show %s: it tells nothing", service)
	}
	return d.stateOf(service, units[0]), nil
}

// template tells of a unit such as getty@, of which only instances run.
func (d systemd) template(ctx context.Context, service string) (serviceState, error) {
	file := service
	if strings.HasSuffix(service, "@") {
		file += ".service"
	}
	folders := []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}
	if !slices.ContainsFunc(folders, func(folder string) bool { return d.sys.exists(folder + "/" + file) }) {
		return serviceState{}, nil
	}
	out, err := d.sys.run(ctx, "systemctl is-enabled "+service, Command{Args: []string{"systemctl", "is-enabled", "--", service}})
	enablement := strings.TrimSpace(string(out.Stdout)) // told also where it is not, with an exit code
	if enablement == "" && err != nil {
		return serviceState{}, err
	}
	state := unit{"LoadState": "loaded", "UnitFileState": enablement}.state()
	state.activity = "it is a template, of which only instances run"
	return state, nil
}

// plainUnit is a name that systemctl takes as it is. One mistaken name would
// cost all others their answer.
var plainUnit = regexp.MustCompile(`^[0-9A-Za-z:_.-]+(@[0-9A-Za-z:_-]+[0-9A-Za-z:_.-]*)?$`)

// maxUnits is how many units are asked for at once; the answer is bounded.
const maxUnits = 500

// states looks at many services with one command.
func (d systemd) states(ctx context.Context, services []string) map[string]serviceState {
	states := make(map[string]serviceState, len(services))
	plain := slices.DeleteFunc(slices.Clone(services), func(s string) bool { return !plainUnit.MatchString(s) })
	for some := range slices.Chunk(plain, maxUnits) {
		out, err := d.show(ctx, "systemctl show", some...)
		if err != nil || out.Truncated {
			continue // each is then asked for alone, and it is told whose fault it is
		}
		named := make(map[string]unit)
		for _, u := range parseUnits(out.Stdout) {
			for _, name := range strings.Fields(u["Names"]) {
				named[name] = u
			}
		}
		for _, service := range some {
			u := named[service]
			if u == nil {
				u = named[service+".service"]
			}
			if u["LoadState"] != "" {
				states[service] = d.stateOf(service, u)
			}
		}
	}
	return states
}

func (d systemd) show(ctx context.Context, what string, services ...string) (Output, error) {
	return d.sys.run(ctx, what, Command{
		Args: append([]string{"systemctl", "show", "--property=" + unitProperties, "--"}, services...),
	})
}

func (d systemd) stateOf(service string, u unit) serviceState {
	state := u.state()
	if u["UnitFileState"] == "generated" {
		// It stands for a script of sysvinit, whose links say whether it is enabled.
		state.enabled = enabledIn(sysvRunlevels(d.sys, strings.TrimSuffix(service, ".service")))
	}
	return state
}

func (d systemd) start(ctx context.Context, service string) error {
	_, err := d.sys.run(ctx, "systemctl start "+service, Command{Args: []string{"systemctl", "start", "--", service}})
	return err
}

// A unit is what systemctl show prints of one.
type unit map[string]string

// parseUnits reads paragraphs of lines of key=value, one for each unit.
func parseUnits(out []byte) []unit {
	var units []unit
	for paragraph := range strings.SplitSeq(strings.Trim(string(out), "\n"), "\n\n") {
		u := unit{}
		for line := range strings.Lines(paragraph) {
			if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
				u[key] = value
			}
		}
		if len(u) > 0 {
			units = append(units, u)
		}
	}
	return units
}

func (u unit) state() serviceState {
	active, sub, file := u["ActiveState"], u["SubState"], u["UnitFileState"]
	// A unit that is not running, and that nothing refers to, is forgotten at
	// once, with its condition's result.
	unmet := u["ConditionResult"] == "no" && u["ConditionTimestampMonotonic"] != "0"
	s := serviceState{
		found:     u["LoadState"] != "not-found",
		enabled:   slices.Contains([]string{"enabled", "enabled-runtime", "alias"}, file),
		running:   slices.Contains([]string{"active", "reloading", "refreshing"}, active),
		starting:  active == "activating" && sub != "auto-restart",
		finished:  u["Type"] == "oneshot" && u["LoadState"] == "loaded" && active == "inactive" && u["Result"] == "success" && !unmet,
		runlevels: []string{}, // systemd has none
	}
	s.restarts, _ = strconv.Atoi(u["NRestarts"]) // absent before systemd 235
	if file != "" {
		s.enablement = "it is " + file
	}
	s.activity = fmt.Sprintf("it is %s (%s)", active, sub)
	switch result := u["Result"]; {
	case u["LoadState"] == "masked", u["LoadState"] == "bad-setting", u["LoadState"] == "error":
		s.activity = "it is " + u["LoadState"]
	case active == "inactive" && unmet:
		s.activity = "it is inactive: a condition of its unit is not met"
	case active == "failed" && result != "" && result != "success":
		s.activity = fmt.Sprintf("it is failed (%s)", result)
	}
	return s
}
