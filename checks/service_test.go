package checks

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

func showCommand(unit string) string {
	return "systemctl show --property=" + unitProperties + " -- " + unit
}

// shown is what systemctl show prints of a unit, by systemd 252.
func shown(load, active, sub, file, kind, result, condition string) Output {
	met, at := "yes", "2564224333"
	switch condition {
	case "unmet":
		met = "no"
	case "forgotten":
		met, at = "no", "0"
	}
	return Output{Stdout: []byte("Type=" + kind + "\nResult=" + result + "\nNRestarts=0\nLoadState=" + load +
		"\nActiveState=" + active + "\nSubState=" + sub + "\nUnitFileState=" + file +
		"\nConditionResult=" + met + "\nConditionTimestampMonotonic=" + at + "\n")}
}

func TestSystemdUnitStates(t *testing.T) {
	tests := []struct {
		name string
		unit Output
		want string
	}{
		{"up and enabled", shown("loaded", "active", "running", "enabled", "simple", "success", "met"),
			"enabled pass\nrunning pass\n"},
		{"enabled for this boot", shown("loaded", "active", "running", "enabled-runtime", "simple", "success", "met"),
			"enabled pass\nrunning pass\n"},
		{"done and remaining", shown("loaded", "active", "exited", "alias", "oneshot", "success", "met"),
			"enabled pass\nrunning pass\n"},
		{"static", shown("loaded", "inactive", "dead", "static", "oneshot", "success", "met"),
			"enabled fail: it is static\nrunning fail: it is inactive (dead)\n"},
		{"indirect", shown("loaded", "active", "running", "indirect", "simple", "success", "met"),
			"enabled fail: it is indirect\nrunning pass\n"},
		{"failed", shown("loaded", "failed", "failed", "disabled", "simple", "exit-code", "met"),
			"enabled fail: it is disabled\nrunning fail: it is failed (exit-code)\n"},
		{"waiting for its restart", shown("loaded", "activating", "auto-restart", "enabled", "simple", "exit-code", "met"),
			"enabled pass\nrunning fail: it is activating (auto-restart)\n"},
		{"masked", shown("masked", "inactive", "dead", "masked", "", "success", "forgotten"),
			"enabled fail: it is masked\nrunning fail: it is masked\n"},
		{"broken unit file", shown("bad-setting", "inactive", "dead", "enabled", "oneshot", "success", "forgotten"),
			"enabled pass\nrunning fail: it is bad-setting\n"},
		{"condition not met", shown("loaded", "inactive", "dead", "enabled", "idle", "success", "unmet"),
			"enabled pass\nrunning fail: it is inactive: a condition of its unit is not met\n"},
		{"unknown", shown("not-found", "inactive", "dead", "", "", "success", "forgotten"),
			"enabled fail: no such unit\nrunning fail: no such unit\n"},
		{"systemd too old for some properties", Output{Stdout: []byte("LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n")},
			"enabled pass\nrunning pass\n"},
		{"being refreshed", shown("loaded", "refreshing", "refresh", "enabled", "notify", "success", "met"), "enabled pass\nrunning pass\n"},
		{"nothing printed", Output{}, "enabled fail: systemctl show nginx: it tells nothing\nrunning fail: systemctl show nginx: it tells nothing\n"},
		{"systemd is silent", Output{ExitCode: 1, Stderr: []byte("Failed to connect to bus: No such file or directory\n")},
			"enabled fail: systemctl show nginx: exit 1\nrunning fail: systemctl show nginx: exit 1\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, []string{"run/systemd/system/"}, script{showCommand("nginx"): {tt.unit}})
			s := &Service{Common: Common{Key: "nginx"}, Enabled: expects(t, Bool, true), Running: expects(t, Bool, true)}
			checkTold(t, s.Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestGeneratedUnitIsEnabledByItsLinks(t *testing.T) {
	generated := []Output{shown("loaded", "active", "exited", "generated", "forking", "success", "met")}
	tests := []struct {
		name string
		link string
		want string
	}{
		{"started at boot", "etc/rc2.d/S01lights", "enabled pass\n"},
		{"stopped at boot", "etc/rc2.d/K01lights", "enabled fail: it is generated\n"},
		{"another's", "etc/rc2.d/S01headlights", "enabled fail: it is generated\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, []string{"run/systemd/system/", tt.link}, script{showCommand("lights.service"): generated})
			s := &Service{Common: Common{Key: "lights.service"}, Enabled: expects(t, Bool, true)}
			checkTold(t, s.Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestTemplateIsEnabledOrNot(t *testing.T) {
	for _, tt := range []struct {
		name, service string
		is            []Output
		want          string
	}{
		{"enabled", "getty@", prints("enabled\n"), "enabled pass\nrunning fail: it is a template, of which only instances run\n"},
		{"disabled", "getty@.service", []Output{{ExitCode: 1, Stdout: []byte("disabled\n")}},
			"enabled fail: it is disabled\nrunning fail: it is a template, of which only instances run\n"},
		{"unknown", "nosuch@", nil, "enabled fail: no such unit\nrunning fail: no such unit\n"},
		{"not told", "getty@", exits(1, "Failed to connect to bus\n"),
			"enabled fail: systemctl is-enabled getty@: exit 1\nrunning fail: systemctl is-enabled getty@: exit 1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, []string{"run/systemd/system/", "usr/lib/systemd/system/getty@.service"},
				script{"systemctl is-enabled -- " + tt.service: tt.is})
			s := &Service{Common: Common{Key: tt.service}, Enabled: expects(t, Bool, true), Running: expects(t, Bool, true)}
			checkTold(t, s.Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestStartedServiceMustStayUp(t *testing.T) {
	up := shown("loaded", "active", "running", "enabled", "simple", "success", "met")
	restarted := Output{Stdout: []byte(strings.Replace(string(up.Stdout), "NRestarts=0", "NRestarts=1", 1))}
	dead := shown("loaded", "inactive", "dead", "disabled", "simple", "success", "forgotten")
	failed := shown("loaded", "failed", "failed", "disabled", "simple", "exit-code", "met")
	starting := shown("loaded", "activating", "start", "disabled", "notify", "success", "met")
	tests := []struct {
		name  string
		looks []Output
		want  string
	}{
		{"it does", []Output{up}, "start pass\n"},
		{"it takes its time", []Output{starting, starting, up}, "start pass\n"},
		{"it never gets there", []Output{starting}, "start fail: it did not start: it is activating (start)\n"},
		{"it dies at once", []Output{failed}, "start fail: it did not start: it is failed (exit-code)\n"},
		{"it dies after a second", []Output{up, up, up, up, up, dead}, "start fail: it started and did not stay up: it is inactive (dead)\n"},
		{"it dies again and again", []Output{up, up, restarted}, "start fail: it started, died, and was started again\n"},
		{"it remains when done", []Output{shown("loaded", "active", "exited", "enabled", "oneshot", "success", "met")}, "start pass\n"},
		{"it runs once", []Output{shown("loaded", "inactive", "dead", "static", "oneshot", "success", "met")}, "start pass\n"},
		{"it runs once and is forgotten", []Output{shown("loaded", "inactive", "dead", "static", "oneshot", "success", "forgotten")}, "start pass\n"},
		{"it was to run once and did not", []Output{shown("loaded", "inactive", "dead", "static", "oneshot", "success", "unmet")},
			"start fail: it did not start: it is inactive: a condition of its unit is not met\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := fakeGuest(t, []string{"run/systemd/system/"}, script{
					"systemctl start -- nginx": prints(""),
					showCommand("nginx"):       tt.looks,
				})
				s := &Service{Common: Common{Key: "nginx"}, Start: true}
				checkTold(t, s.Evaluate(t.Context(), sys), tt.want)
			})
		})
	}
}

func TestFailedStartShowsWhatTheServiceLogged(t *testing.T) {
	sys := fakeGuest(t, []string{"run/systemd/system/", "usr/bin/journalctl"}, script{
		"systemctl start -- nginx":                     exits(1, "Job for nginx.service failed.\n"),
		"journalctl -u nginx -n 20 --no-pager --quiet": prints("nginx[529]: oh no\n"),
		showCommand("nginx"):                           {shown("loaded", "failed", "failed", "enabled", "simple", "exit-code", "met")},
	})
	s := &Service{Common: Common{Key: "nginx"}, Start: true, Running: expects(t, Bool, true)}
	list := s.Evaluate(t.Context(), sys)
	checkTold(t, list, "start fail: systemctl start nginx: exit 1\nrunning fail: it is failed (exit-code)\n")
	if want := "Job for nginx.service failed.\nnginx[529]: oh no"; list[0].Output != want {
		t.Errorf("output %q, want %q", list[0].Output, want)
	}
}

func TestStateAfterStartIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := fakeGuest(t, []string{"run/systemd/system/"}, script{
			"systemctl start -- nginx": prints(""),
			showCommand("nginx"): {
				shown("loaded", "inactive", "dead", "enabled", "simple", "success", "forgotten"),
				shown("loaded", "active", "running", "enabled", "simple", "success", "met"),
			},
		})
		if before, err := sys.service(t.Context(), "nginx"); err != nil || before.running {
			t.Fatalf("before: %+v, %v", before, err)
		}
		s := &Service{Common: Common{Key: "web"}, Name: "nginx", Start: true, Running: expects(t, Bool, true)}
		checkTold(t, s.Evaluate(t.Context(), sys), "start pass\nrunning pass\n")
	})
}

func TestOpenRCServices(t *testing.T) {
	alive := fstest.MapFS{
		"run/openrc":                      {Mode: os.ModeDir},
		"etc/init.d/cron":                 {Data: []byte("#!/sbin/openrc-run\n")},
		"etc/runlevels/boot/other":        {},
		"etc/runlevels/default/cron":      {},
		"run/openrc/options/cron/pidfile": {Data: []byte("/run/cron.pid")},
		"run/cron.pid":                    {Data: []byte("42\n")},
		"proc/42/comm":                    {},
	}
	tests := []struct {
		name   string
		remove string
		status []Output
		want   string
	}{
		{"started", "", prints(" * status: started"), "enabled pass\nrunning pass\nrunlevels pass\n"},
		{"stopped", "", exits(3, ""), "enabled pass\nrunning fail: its status exits with 3\nrunlevels pass\n"},
		{"crashed", "", exits(32, ""), "enabled pass\nrunning fail: it is crashed\nrunlevels pass\n"},
		{"started, process gone", "proc/42/comm", prints(""), "enabled pass\nrunning fail: it is crashed\nrunlevels pass\n"},
		{"without a pidfile", "run/cron.pid", prints(""), "enabled pass\nrunning pass\nrunlevels pass\n"},
		{"disabled", "etc/runlevels/default/cron", prints(""), "enabled fail\nrunning pass\nrunlevels fail: missing: \"default\"\n"},
		{"unknown", "etc/init.d/cron", nil, "enabled fail: no such unit\nrunning fail: no such unit\nrunlevels fail: missing: \"default\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, nil, script{"rc-service cron status": tt.status})
			root := fstest.MapFS{}
			for name, file := range alive {
				if name != tt.remove {
					root[name] = file
				}
			}
			sys.FS = root
			s := &Service{
				Common:    Common{Key: "cron"},
				Enabled:   expects(t, Bool, true),
				Running:   expects(t, Bool, true),
				Runlevels: expects(t, List, []any{"default"}),
			}
			checkTold(t, s.Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestSysvinitServices(t *testing.T) {
	tests := []struct {
		name   string
		links  []string
		status []Output
		want   string
	}{
		{"up", []string{"etc/rc2.d/S01cron", "etc/rc3.d/S01cron"}, prints("cron is running."), "enabled pass\nrunning pass\nrunlevels pass\n"},
		{"early", []string{"etc/rcS.d/S01cron"}, exits(3, ""), "enabled pass\nrunning fail: its status exits with 3\nrunlevels fail: missing: \"2\", \"3\"\n"},
		{"only at the halt", []string{"etc/rc0.d/S01cron", "etc/rc6.d/S01cron", "etc/rc2.d/K01cron"}, prints(""),
			"enabled fail\nrunning pass\nrunlevels fail: missing: \"2\", \"3\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, append(tt.links, "etc/init.d/cron"), script{"/etc/init.d/cron status": tt.status})
			s := &Service{
				Common:    Common{Key: "cron"},
				Enabled:   expects(t, Bool, true),
				Running:   expects(t, Bool, true),
				Runlevels: expects(t, List, []any{"2", "3"}),
			}
			checkTold(t, s.Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestSysvinitStartsByTheScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := fakeGuest(t, []string{"etc/init.d/cron"}, script{
			"/etc/init.d/cron start":  prints(""),
			"/etc/init.d/cron status": prints(""),
		})
		checkTold(t, (&Service{Common: Common{Key: "cron"}, Start: true}).Evaluate(t.Context(), sys), "start pass\n")
	})
}

func TestGuestWithoutAnInitSystem(t *testing.T) {
	sys := fakeGuest(t, []string{"bin/sh"}, nil)
	s := &Service{Common: Common{Key: "cron"}, Start: true, Enabled: expects(t, Bool, false)}
	const why = noInit + "\n"
	checkTold(t, s.Evaluate(t.Context(), sys), "start fail: "+why+"enabled fail: "+why)
}

func TestStartIsGivenUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sys := fakeGuest(t, []string{"run/systemd/system/"}, script{
			"systemctl start -- nginx": prints(""),
			showCommand("nginx"):       {shown("loaded", "active", "running", "enabled", "simple", "success", "met")},
		})
		if err := sys.startService(ctx, "nginx"); err == nil {
			t.Error("it passed before it was watched to the end")
		}
	})
}

func FuzzParseUnits(f *testing.F) {
	f.Add(shown("loaded", "active", "running", "enabled", "simple", "success", "met").Stdout)
	f.Add([]byte("\n\n=\nNRestarts=99999999999999999999\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, u := range parseUnits(data) {
			if s := u.state(); s.running && s.finished {
				t.Errorf("both running and finished: %+v", s)
			}
		}
	})
}
