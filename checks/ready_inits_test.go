package checks

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

const sysvTab = "id:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\n~~:S:wait:/sbin/sulogin --force\nl2:2:wait:/etc/init.d/rc 2\n1:2345:respawn:/sbin/getty tty1\n"

// How far each init is, by what process 1 is and what it runs.
func TestInitsTellHowFarTheyAre(t *testing.T) {
	tests := []struct {
		name      string
		program   string
		inittab   string
		processes []string
		want      string
	}{
		{"sysvinit at its boot scripts", "/usr/sbin/init", sysvTab, []string{"9 1 /etc/init.d/rcS"}, "starting: still at /etc/init.d/rcS"},
		{"sysvinit at its runlevel", "/usr/sbin/init [2]", sysvTab, []string{"9 1 /etc/init.d/rc 2", "10 9 sleep"}, "starting: still at /etc/init.d/rc"},
		{"sysvinit between its scripts", "init boot", sysvTab, nil, "starting: init has not got to a runlevel yet"},
		{"sysvinit is up", "/usr/sbin/init [2]", sysvTab, []string{"11 1 /sbin/getty tty1", "12 7 rc"}, "running"},
		{"sysvinit has nobody to boot for", "/usr/sbin/init", "", nil, "running"},
		{"sysvinit asks for a password", "/usr/sbin/init [S]", sysvTab, []string{"9 1 /sbin/sulogin --force"},
			"maintenance: it is in its single-user or emergency mode: sulogin runs"},
		{"sysvinit is in runlevel 1", "init [1]", sysvTab, nil, "maintenance: it is in runlevel 1"},
		{"sysvinit goes down", "init [6]", sysvTab, []string{"9 1 /etc/init.d/rc 6"}, "stopping"},
		{"busybox at its boot script", "/bin/busybox", "::sysinit:/etc/rc\n", []string{"9 1 /etc/rc"}, "starting: still at /etc/rc"},
		{"busybox is up", "/bin/busybox", "::sysinit:/etc/rc\n", []string{"9 1 httpd"}, "running"},
		{"runit in stage 1", "/usr/sbin/runit", "", []string{"9 1 /etc/runit/1"}, "starting: still at /etc/runit/1"},
		{"runit before it", "/usr/sbin/runit", "", nil, "starting: runsvdir does not run yet"},
		{"runit in stage 2", "/usr/sbin/runit", "", []string{"9 1 runsvdir -P /etc/service"}, "running"},
		{"runit in stage 3", "/usr/sbin/runit", "", []string{"9 1 /etc/runit/3"}, "stopping"},
		{"runit in single-user mode", "/usr/sbin/runit", "", []string{"9 1 runsvdir -P /etc/service", "10 9 runsv sulogin", "11 10 sulogin"},
			"maintenance: it is in its single-user or emergency mode: sulogin runs"},
		{"s6 at its boot script", "/usr/bin/s6-svscan /run/service", "", []string{"9 1 /etc/s6-linux-init/current/scripts/rc.init"},
			"starting: rc.init or s6-rc is still at work"},
		{"s6 at its services", "/usr/bin/s6-svscan /run/service", "", []string{"9 8 s6-rc change default"}, "starting: rc.init or s6-rc is still at work"},
		{"s6 is up", "/usr/bin/s6-svscan /run/service", "", []string{"9 1 s6-supervise web"}, "running"},
		{"another one", "/usr/bin/tini", "", nil, "running"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				files := map[string]string{}
				if tt.inittab != "" {
					files["etc/inittab"] = tt.inittab
				}
				if tt.program != "/usr/bin/tini" {
					files["etc/init.d/x"] = ""
				}
				sys := bootedWith(t, tt.program, files, tt.processes, nil)
				if strings.HasPrefix(tt.program, "init ") { // its title is one text
					sys.FS.(fstest.MapFS)["proc/1/cmdline"].Data = []byte(tt.program + "\x00\x00")
				}
				look, err := sys.lookAtSystem(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got := look.state
				if look.detail != "" {
					got += ": " + look.detail
				}
				if got != tt.want || look.booted != (look.state == running) || look.failed != (look.state == "maintenance" || look.state == "stopping") {
					t.Errorf("got %+v, want %s", look, tt.want)
				}
			})
		})
	}
}

func TestDinitIsReadyWithItsServiceBoot(t *testing.T) {
	silent := exits(1, "dinitctl: connecting to socket: /run/dinitctl: No such file or directory\n")[0]
	starting := Output{Stdout: []byte("[{ }<<   ] boot\n[{+}     ] early\n[{ }<<   ] dhcpcd\n")}
	tests := []struct {
		name   string
		lists  []Output
		want   string
		failed []string
	}{
		{"after a while", []Output{silent, starting, {Stdout: []byte("[[+]     ] boot\n[{+}     ] dhcpcd (pid: 7)\n")}}, running, nil},
		{"with services that failed", []Output{{Stdout: []byte("[[+]     ] boot\n[     {X}] oncebad\n")}}, degraded, []string{"oncebad"}},
		{"never", []Output{starting}, "the system is still starting after 5s: it is at dhcpcd", nil},
		{"rescue mode", []Output{{Stdout: []byte("[     {-}] boot\n[     {X}] fsck\n[[+]     ] recovery\n")}},
			"the system is in maintenance, where it waits for an administrator, after 0s: failed: fsck", nil},
		{"going down", []Output{{Stdout: []byte("[   >>{ }] boot\n")}}, "the system is shutting down after 0s", nil},
		{"failed", []Output{{Stdout: []byte("[     {X}] boot\n[     {X}] fsck\n")}}, "the system is failed after 0s: failed: fsck", nil},
		{"without that service", []Output{{Stdout: []byte("[[+]     ] mine\n")}}, running, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := bootedWith(t, "/usr/bin/dinit", nil, nil, script{"dinitctl list": tt.lists})
				report, err := WaitReady(t.Context(), sys, Ready{System: true, Timeout: Duration(5 * time.Second)})
				got := report.State
				if notReady, ok := errors.AsType[*NotReadyError](err); ok {
					got = notReady.Error()
				}
				if got != tt.want || err == nil && !slices.Equal(report.FailedUnits, tt.failed) {
					t.Errorf("got %s, %+v, %v; want %s", got, report, err, tt.want)
				}
			})
		})
	}
}
