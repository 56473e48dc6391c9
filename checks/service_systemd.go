package checks

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// systemd asks systemctl.
type systemd struct{ sys *System }

// unitProperties are what is asked of a unit.
const unitProperties = "LoadState,ActiveState,SubState,UnitFileState,Type,Result,NRestarts,ConditionResult,ConditionTimestampMonotonic"

func (d systemd) state(ctx context.Context, service string) (serviceState, error) {
	out, err := d.sys.run(ctx, "systemctl show "+service, Command{
		Args: []string{"systemctl", "show", "--property=" + unitProperties, "--", service},
	})
	if err != nil {
		return serviceState{}, err
	}
	unit := parseUnit(out.Stdout)
	if unit["LoadState"] == "" {
		return serviceState{}, fmt.Errorf("systemctl show %s: it tells nothing", service)
	}
	state := unit.state()
	if unit["UnitFileState"] == "generated" {
		// It stands for a script of sysvinit, whose links say whether it is enabled.
		state.enabled = enabledIn(sysvRunlevels(d.sys, strings.TrimSuffix(service, ".service")))
	}
	return state, nil
}

func (d systemd) start(ctx context.Context, service string) error {
	_, err := d.sys.run(ctx, "systemctl start "+service, Command{Args: []string{"systemctl", "start", "--", service}})
	return err
}

// A unit is what systemctl show prints of one.
type unit map[string]string

// parseUnit reads lines of key=value, of the first unit printed.
func parseUnit(out []byte) unit {
	u := unit{}
	for line := range strings.Lines(strings.TrimLeft(string(out), "\n")) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			break
		}
		if key, value, ok := strings.Cut(line, "="); ok {
			u[key] = value
		}
	}
	return u
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
