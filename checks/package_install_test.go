package checks

import (
	"context"
	"io/fs"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

func lockedGuest(t *testing.T, open bool, installs []Output) *System {
	sys := fakeGuest(t, nil, script{
		"pacman -Q --color never": prints("linux 6\n"), "pacman --noconfirm -Sy": prints(""), "pacman --noconfirm -S nginx": installs,
	})
	root := fstest.MapFS{
		"var/lib/pacman/local/x/desc": {Data: []byte("x")}, "usr/bin/pacman": {Mode: 0o755}, "var/lib/pacman/db.lck": {},
		"proc/42/comm": {Data: []byte("pamac\n")},
	}
	if open {
		root["proc/42/fd/7"] = &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte("/var/lib/pacman/db.lck")}
	}
	sys.FS = root
	return sys
}

func TestLockFileThatIsLeftOverIsNotWaitedFor(t *testing.T) {
	locked := Output{ExitCode: 1, Stderr: readTestdata(t, "packages/failures/pacman-locked.txt")}
	tests := []struct {
		name     string
		open     bool
		installs []Output
		want     string
		within   time.Duration
	}{
		{"left over", false, []Output{locked}, "install fail: pacman -S nginx: /var/lib/pacman/db.lck is left over: no process has it open\n", 2 * time.Second},
		{"given up meanwhile", false, []Output{locked, {}}, "install pass\n", 2 * time.Second},
		{"held", true, []Output{locked}, "install fail: pacman -S nginx: after 1m0s its lock is still held by pamac (process 42)\n", 2 * time.Minute},
		{"held for a while", true, []Output{locked, locked, locked, {}}, "install pass\n", 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				p := &Package{Common: Common{Key: "nginx"}, Install: true}
				checkTold(t, p.Evaluate(t.Context(), lockedGuest(t, tt.open, tt.installs)), tt.want)
				if took := time.Since(start); took > tt.within {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestLocksOfEachManagerAreKnown(t *testing.T) {
	for name, want := range map[string]string{
		"apt":      "its lock is still held by process 31766",
		"dpkg":     "its lock is still held by process 99",
		"dnf4":     "its lock is still held by process 4242",
		"dnf5":     "another process still holds its lock",
		"zypper":   "its lock is still held by process 4242",
		"yum":      "its lock is still held by process 7",
		"pacman":   "another process still holds its lock",
		"apk":      "another process still holds its lock",
		"xbps":     "another process still holds its lock",
		"rpm":      "another process still holds its lock",
		"microdnf": "another process still holds its lock",
	} {
		output := map[string]string{
			"apt":      "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 31766 (python3)\n",
			"dpkg":     "dpkg: error: dpkg frontend lock was locked by another process with pid 99\nNote: removing the lock file is always wrong\n",
			"yum":      "Existing lock /var/run/yum.pid: another copy is running as pid 7.\nAnother app is currently holding the yum lock; exiting as configured by exit_on_lock\n",
			"apk":      "ERROR: Unable to lock database: Resource temporarily unavailable\nERROR: Failed to open apk database: Resource temporarily unavailable\n",
			"xbps":     "Failed to lock pkgdb: Resource temporarily unavailable\n",
			"rpm":      "error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily unavailable)\n",
			"microdnf": "error: Failed to obtain rpm transaction lock\n",
		}[name]
		if output == "" {
			output = string(readTestdata(t, "packages/failures/"+name+"-locked.txt"))
		}
		if !lockHeld(output) {
			t.Errorf("%s: %q is not taken for a lock", name, output)
		}
		if got := fakeGuest(t, nil, nil).lockHolder(packageManager{}, output); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestInstallWaitsForTheLock(t *testing.T) {
	const held = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 31766 (python3)\n" +
		"E: Unable to lock directory /var/lib/apt/lists/\n"
	locked := Output{ExitCode: 100, Stderr: []byte(held)}
	tests := []struct {
		name    string
		updates []Output
		want    string
	}{
		{"that is given up", []Output{locked, locked, {}}, "install pass\n"},
		{"that stays", []Output{locked}, "install fail: apt-get update: after 1m0s its lock is still held by process 31766\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := debianGuest(t, script{dpkgQuery: prints(""), aptUpdate: tt.updates, aptInstall + "nginx": prints("")})
				p := &Package{Common: Common{Key: "nginx"}, Install: true}
				checkTold(t, p.Evaluate(t.Context(), sys), tt.want)
			})
		})
	}
}

func TestInstallStopsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		sys := debianGuest(t, nil)
		sys.Exec = func(context.Context, Command) (Output, error) {
			cancel()
			return Output{ExitCode: 100, Stderr: []byte("E: Could not get lock")}, nil
		}
		_, err := sys.installPackage(ctx, "nginx")
		if err != context.Canceled {
			t.Errorf("error %v", err)
		}
	})
}
