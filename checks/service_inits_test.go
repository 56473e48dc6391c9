package checks

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// bootedWith is a guest whose process 1 is the program, with these files, given by
// their contents, and processes, given by number, parent and arguments.
func bootedWith(t *testing.T, program string, files map[string]string, processes []string, commands script) *System {
	t.Helper()
	sys := fakeGuest(t, nil, commands)
	root := fstest.MapFS{}
	for name, data := range files {
		root[name] = &fstest.MapFile{Mode: 0o755, Data: []byte(data)}
	}
	addProcess(root, "1 0 "+program)
	for _, p := range processes {
		addProcess(root, p)
	}
	sys.FS = root
	return sys
}

func addProcess(root fstest.MapFS, process string) {
	f := strings.Fields(process)
	folder, name := "proc/"+f[0]+"/", f[2][strings.LastIndex(f[2], "/")+1:]
	root[folder+"exe"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte(f[2])}
	root[folder+"comm"] = &fstest.MapFile{Data: []byte(name + "\n")}
	root[folder+"cmdline"] = &fstest.MapFile{Data: []byte(strings.Join(f[2:], "\x00") + "\x00")}
	root[folder+"stat"] = &fstest.MapFile{Data: []byte(fmt.Sprintf("%s (%s) S %s 1 1", f[0], name, f[1]))}
}

func TestProcess1DecidesWhichInitIsAsked(t *testing.T) {
	installed := map[string]string{"etc/init.d/cron": "", "sbin/openrc-run": "", "usr/bin/sv": "", "usr/bin/s6-svscan": "", "usr/bin/dinit": "", "etc/inittab": ""}
	withoutOpenRC := maps.Clone(installed)
	delete(withoutOpenRC, "sbin/openrc-run")
	tests := []struct {
		program string
		files   map[string]string
		want    string
	}{
		{"/usr/lib/systemd/systemd", installed, "checks.systemd"},
		{"/usr/sbin/runit", installed, "checks.runit"},
		{"/usr/bin/s6-svscan", installed, "checks.s6"},
		{"/usr/bin/dinit", installed, "checks.dinit"},
		{"/usr/sbin/init", installed, "checks.openRC"},
		{"/bin/busybox", installed, "checks.openRC"},
		{"/sbin/openrc-init", installed, "checks.openRC"},
		{"/bin/busybox", withoutOpenRC, "checks.busybox"},
		{"/usr/sbin/init", withoutOpenRC, "checks.sysvinit"},
		{"/usr/bin/tini", nil, noInit + ": process 1 is tini"},
	}
	for _, tt := range tests {
		t.Run(tt.program+" "+tt.want, func(t *testing.T) {
			manager, err := bootedWith(t, tt.program, tt.files, nil, nil).serviceManager()
			got := fmt.Sprintf("%T", manager)
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// wholeService asserts all that may be.
func wholeService(t *testing.T, name string) *Service {
	return &Service{Common: Common{Key: name}, Enabled: expects(t, Bool, true), Running: expects(t, Bool, true)}
}

func TestRunitServices(t *testing.T) {
	const status = "sv status /etc/service/cron"
	tests := []struct {
		name    string
		service string
		files   map[string]string
		status  []Output // as of runit 2.1.2
		want    string
	}{
		{"up", "cron", nil, prints("run: /etc/service/cron: (pid 68) 4s\n"), "enabled pass\nrunning pass\n"},
		{"up with its log", "cron", nil, prints("run: /etc/service/cron: (pid 68) 4s; down: log: 1s, normally up, want up\n"), "enabled pass\nrunning pass\n"},
		{"down", "cron", nil, []Output{{ExitCode: 3, Stdout: []byte("down: /etc/service/cron: 1s, normally up, want up\n")}},
			"enabled pass\nrunning fail: it is down, normally up, want up\n"},
		{"finishing", "cron", nil, prints("finish: /etc/service/cron: (pid 70) 1s\n"), "enabled pass\nrunning fail: it is finishing\n"},
		{"with a file named down", "cron", map[string]string{"etc/service/cron/down": ""}, prints("run: /etc/service/cron: (pid 68) 4s, normally down\n"),
			"enabled fail: there is a file named down in /etc/service/cron\nrunning pass\n"},
		{"not supervised", "cron", nil, []Output{{ExitCode: 1, Stdout: []byte("fail: /etc/service/cron: unable to change to service directory: file does not exist\n")}},
			"enabled pass\nrunning fail: runit says: fail: /etc/service/cron: unable to change to service directory: file does not exist\n"},
		{"not linked", "sshd", nil, nil, "enabled fail: it is not in /etc/service\nrunning fail: it is not in /etc/service\n"},
		{"unknown", "nosuch", nil, nil, "enabled fail: no such unit\nrunning fail: no such unit\n"},
		{"another folder's", "../sv/sshd", nil, nil, "enabled fail: no such unit\nrunning fail: no such unit\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"etc/service/cron/run": "", "etc/sv/cron/run": "", "etc/sv/sshd/run": "", "var/service/x": ""}
			maps.Copy(files, tt.files)
			sys := bootedWith(t, "/usr/sbin/runit", files, []string{"7 1 runsvdir -P /etc/service log:"}, script{status: tt.status})
			checkTold(t, wholeService(t, tt.service).Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestRunitsRunlevelsAreItsFolders(t *testing.T) {
	sys := bootedWith(t, "/usr/sbin/runit", map[string]string{
		"etc/runit/runsvdir/default/cron/run": "", "etc/runit/runsvdir/current/cron/run": "", "etc/runit/runsvdir/single/sulogin/run": "", "var/service/cron/run": "",
	}, nil, script{"sv status /var/service/cron": prints("run: /var/service/cron: (pid 8) 4s\n")})
	s := &Service{Common: Common{Key: "cron"}, Runlevels: expects(t, List, map[string]any{"consist-of": []any{"default"}})}
	checkTold(t, s.Evaluate(t.Context(), sys), "runlevels pass\n")
}

func TestServiceThatRunitStartsAgainHasNotStarted(t *testing.T) {
	up := func(pid int) Output {
		return Output{Stdout: []byte("run: /etc/service/web: (pid " + strconv.Itoa(pid) + ") 0s\n")}
	}
	down := Output{ExitCode: 3, Stdout: []byte("down: /etc/service/web: 0s, normally up, want up\n")}
	tests := []struct {
		name  string
		looks []Output
		want  string
	}{
		{"it stays", []Output{up(8)}, "start pass\n"},
		{"it dies", []Output{up(8), up(8), down}, "start fail: it started and did not stay up: it is down, normally up, want up\n"},
		{"another process runs", []Output{up(8), up(8), up(9)}, "start fail: it started, died, and was started again\n"},
		{"late", []Output{down, down, up(8)}, "start pass\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := bootedWith(t, "/usr/sbin/runit", map[string]string{
					"etc/service/web/run": "", "etc/service/web/supervise/ok": "", "var/log/web/current": "one\ntwo\nit broke\n",
				}, nil, script{"sv start /etc/service/web": prints("ok: run: web: (pid 8) 0s\n"), "sv status /etc/service/web": tt.looks})
				list := (&Service{Common: Common{Key: "web"}, Start: true}).Evaluate(t.Context(), sys)
				checkTold(t, list, tt.want)
				if list[0].Verdict == Fail && list[0].Output != "one\ntwo\nit broke" {
					t.Errorf("its log is not shown, but %q", list[0].Output)
				}
			})
		})
	}
}

func TestStartLinksARunitServiceAndDoesNotEnableIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := bootedWith(t, "/usr/sbin/runit", map[string]string{"etc/sv/web/run": "", "etc/service/cron/run": ""}, nil, script{
			"ln -s /etc/sv/web /etc/service/web": prints(""),
			"sv start /etc/service/web":          prints(""),
			"sv status /etc/service/web":         prints("run: /etc/service/web: (pid 8) 3s\n"),
		})
		root := sys.FS.(fstest.MapFS)
		exec := sys.Exec
		sys.Exec = func(ctx context.Context, cmd Command) (Output, error) {
			if cmd.Args[0] == "ln" {
				root["etc/service/web/supervise/ok"] = &fstest.MapFile{}
			}
			return exec(ctx, cmd)
		}
		s := wholeService(t, "web")
		s.Start = true
		checkTold(t, s.Evaluate(t.Context(), sys), "start pass\nenabled fail: it was put into /etc/service only to start it\nrunning pass\n")
	})
}

func TestServiceThatRunsvdirDoesNotSeeHasNotStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := bootedWith(t, "/usr/sbin/runit", map[string]string{"etc/service/web/run": ""}, nil, nil)
		start := time.Now()
		checkTold(t, (&Service{Common: Common{Key: "web"}, Start: true}).Evaluate(t.Context(), sys),
			"start fail: runsvdir does not supervise it: there is no /etc/service/web/supervise/ok\n")
		if took := time.Since(start); took > time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

func TestS6Services(t *testing.T) {
	tests := []struct {
		name, service string
		status        []Output // as of s6 2.11.3
		want          string
	}{
		{"up", "web", prints("up (pid 13) 4 seconds\n"), "enabled pass\nrunning pass\n"},
		{"up, of newer versions", "web", prints("up (pid 13 pgid 13) 4 seconds, ready 4 seconds\n"), "enabled pass\nrunning pass\n"},
		{"up although it should not be", "downed", prints("up (pid 34) 3 seconds, normally down\n"),
			"enabled fail: there is a file named down in /run/service/downed\nrunning pass\n"},
		{"down", "web", prints("down (exitcode 1) 0 seconds, want up\n"), "enabled pass\nrunning fail: it is down (exitcode 1) 0 seconds, want up\n"},
		{"killed", "web", prints("down (signal SIGKILL) 1 seconds, normally up\n"),
			"enabled pass\nrunning fail: it is down (signal SIGKILL) 1 seconds, normally up\n"},
		{"not supervised", "web", exits(1, "s6-svstat: fatal: unable to read status for /run/service/web: s6-supervise not running\n"),
			"enabled pass\nrunning fail: s6 says: s6-svstat: fatal: unable to read status for /run/service/web: s6-supervise not running\n"},
		{"unknown", "nosuch", nil, "enabled fail: no such unit\nrunning fail: no such unit\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := bootedWith(t, "/usr/bin/s6-svscan -d3 -- /run/service",
				map[string]string{"run/service/web/run": "", "run/service/downed/down": ""}, nil,
				script{"s6-svstat /run/service/" + tt.service: tt.status})
			checkTold(t, wholeService(t, tt.service).Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestS6RcKnowsWhatRunsOnce(t *testing.T) {
	tests := []struct{ service, want string }{
		{"mount-all", "enabled pass\nrunning pass\n"},
		{"web", "enabled fail: no bundle of the boot (default, top) has it\nrunning pass\n"},
		{"idle", "enabled pass\nrunning fail: it is down\n"},
	}
	for _, tt := range tests {
		t.Run(tt.service, func(t *testing.T) {
			sys := bootedWith(t, "/usr/bin/s6-svscan -d4 -- /run/service", map[string]string{
				"run/s6-rc/db": "", "usr/bin/s6-rc-db": "", "run/service/web/run": "",
			}, nil, script{
				"s6-rc-db list all":                 prints("mount-all\nweb\nidle\n"),
				"s6-rc-db all-dependencies default": prints("mount-all\nidle\n"),
				"s6-rc-db all-dependencies top":     exits(3, "s6-rc-db: fatal: top is not recognized as a service\n"),
				"s6-rc -a list":                     prints("mount-all\nweb\n"),
				"s6-svstat /run/service/web":        prints("up (pid 13) 4 seconds\n"),
			})
			checkTold(t, wholeService(t, tt.service).Evaluate(t.Context(), sys), tt.want)
		})
	}
}

const dinitList = `[[+]     ] boot
[{+}     ] sshd (pid: 300)
[{+}     ] loginready (has console)
[{s}     ] zram
[{ }<<   ] dhcpcd
[   >>{ }] syslogd (pid: 12)
[     {-}] single
[     {X}] oncebad (exit status: 1)
`

func TestDinitServices(t *testing.T) {
	tests := []struct{ service, want string }{
		{"sshd", "enabled pass\nrunning pass\n"},
		{"loginready", "enabled pass\nrunning pass\n"},
		{"zram", "enabled fail\nrunning fail: its start was skipped\n"},
		{"dhcpcd", "enabled fail\nrunning fail: it is starting\n"},
		{"syslogd", "enabled fail\nrunning fail: it is stopping\n"},
		{"single", "enabled fail\nrunning fail: it is stopped\n"},
		{"oncebad", "enabled fail\nrunning fail: it has failed\n"},
		{"idle", "enabled fail\nrunning fail: dinit has not loaded it\n"},
		{"nosuch", "enabled fail: no such unit\nrunning fail: no such unit\n"},
	}
	for _, tt := range tests {
		t.Run(tt.service, func(t *testing.T) {
			sys := bootedWith(t, "/usr/bin/dinit", map[string]string{
				"etc/dinit.d/boot": "type = internal\nwaits-for.d = boot.d\ndepends-on: loginready\n", "etc/dinit.d/boot.d/sshd": "", "usr/lib/dinit.d/idle": "",
			}, nil, script{"dinitctl list": prints(dinitList)})
			checkTold(t, wholeService(t, tt.service).Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestBusyboxServices(t *testing.T) {
	inittab := "# httpdx\n::sysinit:/etc/rc\n::respawn:/bin/httpd -f -h /srv\ntty1::askfirst:-/bin/sh\n::respawn:/bin/busybox crond -f\n"
	tests := []struct {
		service   string
		processes []string
		want      string
	}{
		{"httpd", []string{"20 1 /bin/httpd -f"}, "enabled pass\nrunning pass\n"},
		{"httpd", []string{"20 19 /bin/httpd -f"}, "enabled pass\nrunning fail: no process of it runs\n"},
		{"crond", []string{"20 1 crond -f"}, "enabled pass\nrunning pass\n"},
		{"rc", []string{"20 1 /etc/rc"}, "enabled fail: no such unit\nrunning fail: no such unit\n"},
	}
	for _, tt := range tests {
		t.Run(tt.service, func(t *testing.T) {
			sys := bootedWith(t, "/bin/busybox", map[string]string{"etc/inittab": inittab}, tt.processes, nil)
			checkTold(t, wholeService(t, tt.service).Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestBusyboxStartsWhatItsTableHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := bootedWith(t, "/bin/busybox", map[string]string{"etc/inittab": "::respawn:/bin/httpd -f\n"}, nil, nil)
		sys.Exec = func(_ context.Context, cmd Command) (Output, error) {
			if strings.Join(cmd.Args, " ") != "kill -HUP 1" {
				t.Errorf("unexpected command: %q", cmd.Args)
			}
			addProcess(sys.FS.(fstest.MapFS), "20 1 /bin/httpd -f")
			return Output{}, nil
		}
		for service, want := range map[string]string{
			"httpd": "start pass\n", "crond": "start fail: no line of /etc/inittab has busybox init respawn it\n",
		} {
			checkTold(t, (&Service{Common: Common{Key: service}, Start: true}).Evaluate(t.Context(), sys), want)
		}
	})
}

func TestLogOfAServiceIsItsOwnLines(t *testing.T) {
	long := strings.Repeat("x\n", 50) + "the end\n"
	sys := bootedWith(t, "/usr/sbin/init", map[string]string{
		"etc/init.d/web": "", "var/log/syslog": "cron[1]: no\nweb[7]: address in use\n", "var/log/big.log": long,
	}, nil, nil)
	for service, want := range map[string]string{
		"web": "web[7]: address in use", "big": strings.Repeat("x\n", 19) + "the end", "none": "", "../syslog": "",
	} {
		if got := sys.serviceLog(t.Context(), sysvinit{sys}, service); got != want {
			t.Errorf("%s: %q", service, got)
		}
	}
}

func FuzzSupervisorsAnswers(f *testing.F) {
	for _, s := range []string{
		"run: /etc/service/cron: (pid 68) 4s; run: log: (pid 9) 3s\n", "down: x: 1s, normally up, want up\n", "up (pid 13) 4 seconds\n",
		"down (exitcode 1) 0 seconds, want up\n", dinitList, "::respawn:/bin/httpd -f\n", "id:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sv, _ := parseSv([]byte(s))
		svstat, _ := parseSvstat([]byte(s))
		states := parseDinit([]byte(s))
		states["sv"], states["svstat"] = sv, svstat
		for name, state := range states {
			if state.running && (state.starting || state.failed) || state.process != 0 && !state.running {
				t.Errorf("%s: %+v", name, state)
			}
		}
		respawns(s, "httpd")
		awaitedPrograms(s)
	})
}
