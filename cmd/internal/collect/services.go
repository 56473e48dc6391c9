package collect

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/upmaru/icepak/checks"
)

// maxUnits bounds how many services are looked at.
const maxUnits = 12

// unitName is what a name may look like that is handed to a command.
var unitName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:_.@\\-]{0,200}$`)

// services is what is looked at of the services that were asked for, those that
// have failed, and those that others wait for.
func services(ctx context.Context, sys *checks.System, want Wanted) []piece {
	ctx, cancel := context.WithTimeout(ctx, pieceTime)
	defer cancel()
	var units []string
	add := func(name string) {
		if len(units) < maxUnits && unitName.MatchString(name) && !slices.Contains(units, name) {
			units = append(units, name)
		}
	}
	if !isDir(sys.FS, "/run/systemd/system") {
		for _, name := range want.Services {
			add(name)
		}
		return plainServices(units)
	}
	for _, name := range want.Services {
		if !strings.Contains(name, ".") {
			name += ".service"
		}
		add(name)
	}
	for line := range strings.Lines(command("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager", "--full")(ctx, sys)) {
		if f := strings.Fields(line); len(f) > 3 {
			add(f[0])
		}
	}
	for line := range strings.Lines(command("systemctl", "list-jobs", "--no-legend", "--no-pager", "--full")(ctx, sys)) {
		if f := strings.Fields(line); len(f) == 4 && f[3] == "running" {
			add(f[1])
		}
	}
	var pieces []piece
	for _, unit := range units {
		pieces = append(pieces,
			piece{"unit-" + unit, command("systemctl", "show", "--no-pager", "-p",
				"Id,LoadState,LoadError,ActiveState,SubState,Result,UnitFileState,FragmentPath,DropInPaths,ExecMainStatus,ExecMainCode,ConditionResult,NRestarts,ExecStart,User,What,Where", unit)},
			piece{"journal-" + unit, journal(40, "-u", unit)})
	}
	return pieces
}

// plainServices is what other inits say of services.
func plainServices(names []string) []piece {
	var pieces []piece
	for _, name := range names {
		pieces = append(pieces,
			piece{"rc-service-" + name, command("rc-service", "--nocolor", name, "status")},
			piece{"sv-" + name, command("sv", "status", name)},
			piece{"service-log-" + name, end(40, "/var/log/"+name+"/current", "/var/log/"+name+"/error.log", "/var/log/"+name+".log")})
	}
	return pieces
}
