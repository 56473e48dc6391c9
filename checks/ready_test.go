package checks

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

const (
	askState  = "systemctl is-system-running"
	askWait   = "systemctl is-system-running --wait"
	askFailed = "systemctl --plain --no-legend --no-pager list-units --state=failed --all"
	askTarget = "systemctl show --property=LoadState default.target"
	askJobs   = "systemctl --plain --no-legend --no-pager list-jobs"
)

// cannotWait is what a systemctl says that is older than 240.
func cannotWait() []Output { return exits(1, "systemctl: unrecognized option '--wait'\n") }

func says(state string) Output {
	code := 1
	if state == running {
		code = 0
	}
	return Output{ExitCode: code, Stdout: []byte(state + "\n")}
}

func TestSystemIsReadyWhenSystemdHasStartedIt(t *testing.T) {
	noBus := Output{ExitCode: 1, Stderr: []byte("Failed to connect to bus: No such file or directory\n")}
	tests := []struct {
		name   string
		states []Output
		waits  []Output
		failed []Output
		want   string
		units  []string
	}{
		{"after a while", []Output{noBus, says("offline"), says("initializing"), says("starting"), says(running)}, cannotWait(), nil, running, nil},
		{"when it says so to one that waits", []Output{noBus, says("starting")}, []Output{says(running)}, nil, running, nil},
		{"when nobody noticed at first", []Output{says("starting"), says(running)}, []Output{says("starting")}, nil, running, nil},
		{"at once", []Output{says(running)}, nil, nil, running, nil},
		{"with failed units", []Output{says("starting")}, []Output{says(degraded)},
			prints("oncebad.service loaded failed failed oncebad.service\n● other.service  loaded failed failed Another\n"),
			degraded, []string{"oncebad.service", "other.service"}},
		{"with failed units that are not told", []Output{says(degraded)}, nil, exits(1, ""), degraded, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := fakeGuest(t, []string{"run/systemd/system/"}, script{askState: tt.states, askWait: tt.waits, askFailed: tt.failed})
				got, err := WaitReady(t.Context(), sys, Ready{System: true})
				if err != nil || got.State != tt.want || !slices.Equal(got.FailedUnits, tt.units) {
					t.Errorf("got %+v, %v", got, err)
				}
				if most := time.Duration(len(tt.states)) * maxReadyPause; got.SystemIn > most {
					t.Errorf("it took %s, more than %s", got.SystemIn, most)
				}
			})
		})
	}
}

func TestSystemThatDoesNotComeUpIsNotReady(t *testing.T) {
	const jobs = " 88 systemd-update-utmp-runlevel.service start waiting\n 78 never.service start running\n"
	tests := []struct {
		name         string
		states       []Output
		jobs, failed []Output
		want         string
	}{
		{"a job that never ends", []Output{says("starting")}, prints(jobs), prints(""),
			"the system is still starting after 10s: it is at never.service, with 1 more to come"},
		{"jobs that wait for one another", []Output{says("starting")}, prints(" 1 a.service start waiting\n 2 b.service start waiting\n"), prints(""),
			"the system is still starting after 10s: jobs wait for one another: a.service, b.service"},
		{"emergency mode", []Output{says("starting"), says("maintenance")}, prints(""), prints("local-fs.mount loaded failed failed x\n"),
			"the system is in maintenance, where it waits for an administrator, after 100ms: failed: local-fs.mount"},
		{"no default target", []Output{says("maintenance")}, prints(""), prints(""),
			"the system is in maintenance, where it waits for an administrator, after 0s: default.target is masked"},
		{"shutting down", []Output{says("stopping")}, prints(""), prints(""), "the system is shutting down after 0s"},
		{"systemd is silent", exits(1, "Failed to connect to bus: Host is down\n"), prints(""), prints(""),
			"the system does not say how it is after 10s: Failed to connect to bus: Host is down"},
		{"no systemctl", notFound(), prints(""), prints(""),
			"the system does not say how it is after 10s: no systemctl in the guest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := fakeGuest(t, []string{"run/systemd/system/"}, script{askState: tt.states, askWait: cannotWait(), askJobs: tt.jobs, askFailed: tt.failed, askTarget: prints("LoadState=masked\n")})
				_, err := WaitReady(t.Context(), sys, Ready{System: true, Network: []string{"ipv4"}, Timeout: Duration(10 * time.Second)})
				notReady, ok := errors.AsType[*NotReadyError](err)
				if !ok || notReady.Error() != tt.want {
					t.Errorf("got %v, want %s", err, tt.want)
				}
			})
		})
	}
}

func TestSystemctlThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := fakeGuest(t, []string{"run/systemd/system/"}, nil)
		sys.Exec = func(ctx context.Context, _ Command) (Output, error) {
			<-ctx.Done()
			return Output{}, ctx.Err()
		}
		start := time.Now()
		_, err := WaitReady(t.Context(), sys, Ready{System: true, Timeout: Duration(time.Second)})
		if notReady, ok := errors.AsType[*NotReadyError](err); !ok || notReady.State != "unknown" {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("it took %s", took)
		}
	})
}

func TestReadyWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sys := fakeGuest(t, []string{"run/systemd/system/"}, script{askState: {says("starting")}, askWait: cannotWait()})
		_, err := WaitReady(ctx, sys, Ready{System: true, Network: []string{"ipv4"}})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSystemdIsKnownBeforeItHasMadeItsFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := fakeGuest(t, nil, script{askState: {says("offline"), says(running)}})
		sys.FS = fstest.MapFS{
			"proc/1/exe":              {Mode: fs.ModeSymlink, Data: []byte("../../usr/lib/systemd/systemd")},
			"usr/lib/systemd/systemd": {},
			"sbin/openrc-run":         {},
		}
		got, err := WaitReady(t.Context(), sys, Ready{System: true})
		if err != nil || got.State != running || got.SystemIn == 0 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestGuestWithAnotherInitIsReadyAtOnce(t *testing.T) {
	got, err := WaitReady(t.Context(), fakeGuest(t, []string{"etc/init.d/cron"}, nil), Ready{System: true})
	if err != nil || got.State != running {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A growing file system is another one from time to time.
type growing struct {
	start time.Time
	steps []step
}

type step struct {
	at    time.Duration
	files string // separated by spaces
	level string
}

func (g growing) Open(name string) (fs.File, error) {
	root := fstest.MapFS{"sbin/openrc-run": {}}
	for _, s := range g.steps {
		if time.Since(g.start) < s.at {
			break
		}
		root = fstest.MapFS{"run/openrc/softlevel": {Data: []byte(s.level)}}
		for file := range strings.FieldsSeq(s.files) {
			root[file] = &fstest.MapFile{}
		}
	}
	return root.Open(name)
}

func TestOpenRCIsReadyInItsLastRunlevel(t *testing.T) {
	boot := []step{
		{100 * time.Millisecond, "run/openrc/rc.starting/x run/openrc/starting/urandom", "sysinit"},
		{900 * time.Millisecond, "", "boot"},
		{time.Second, "run/openrc/starting/x", "default"}, // rc.starting is about to be made
		{1100 * time.Millisecond, "run/openrc/rc.starting/x", "default"},
	}
	tests := []struct {
		name string
		last step
		want time.Duration // when it is ready; never, if zero
	}{
		{"it is", step{2 * time.Second, "run/openrc/started/cron", "default"}, 2 * time.Second},
		{"a service goes on starting", step{2 * time.Second, "run/openrc/starting/cron", "default"}, 0},
		{"it goes down", step{2 * time.Second, "", "shutdown"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := fakeGuest(t, nil, script{askCrashed: exits(1, "")})
				sys.FS = growing{time.Now(), append(slices.Clone(boot), tt.last)}
				got, err := WaitReady(t.Context(), sys, Ready{System: true, Timeout: Duration(5 * time.Second)})
				if tt.want == 0 {
					if _, ok := errors.AsType[*NotReadyError](err); !ok {
						t.Errorf("got %+v, %v", got, err)
					}
					return
				}
				if err != nil || got.SystemIn < tt.want || got.SystemIn > tt.want+time.Second {
					t.Errorf("got %+v, %v", got, err)
				}
			})
		})
	}
}

func TestNetworkIsWaitedForUntilItsAddressesAreUsable(t *testing.T) {
	v4, v6 := addr("10.77.0.5"), addr("fd42:77::5")
	tentative := v6
	tentative.Tentative = true
	tests := []struct {
		name     string
		families []string
		after    map[time.Duration][]Link
		missing  []string
	}{
		{"both come", []string{"ipv4", "ipv6"}, map[time.Duration][]Link{
			200 * time.Millisecond: {{Name: "eth0", Addrs: []LinkAddr{v4, tentative}}},
			2 * time.Second:        {{Name: "eth0", Addrs: []LinkAddr{v4, v6}}},
		}, nil},
		{"on two interfaces", []string{"ipv4", "ipv6"}, map[time.Duration][]Link{
			0: {{Name: "eth0", Addrs: []LinkAddr{v4}}, {Name: "eth1", Addrs: []LinkAddr{v6}}},
		}, nil},
		{"one stays tentative", []string{"ipv4", "ipv6"}, map[time.Duration][]Link{
			0: {{Name: "eth0", Addrs: []LinkAddr{v4, tentative}}},
		}, []string{"ipv6"}},
		{"only on the loopback", []string{"ipv4"}, map[time.Duration][]Link{
			0: {{Name: "lo", Loopback: true, Addrs: []LinkAddr{v4}}},
		}, []string{"ipv4"}},
		{"one that nobody knows", []string{"ipx"}, map[time.Duration][]Link{
			0: {{Name: "eth0", Addrs: []LinkAddr{v4, v6}}},
		}, []string{"ipx"}},
		{"none wanted", nil, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				sys := fakeGuest(t, nil, nil)
				sys.Links = func() ([]Link, error) {
					var now []Link
					latest := time.Duration(-1)
					for at, links := range tt.after {
						if at > latest && at <= time.Since(start) {
							now, latest = links, at
						}
					}
					return now, nil
				}
				got, err := WaitReady(t.Context(), sys, Ready{Network: tt.families, Timeout: Duration(10 * time.Second)})
				if err != nil || !slices.Equal(got.Missing, tt.missing) || len(got.Families) != len(tt.families)-len(tt.missing) {
					t.Errorf("got %+v, %v", got, err)
				}
				if tt.name == "both come" && (got.Families["ipv4"] >= got.Families["ipv6"] || got.NetworkIn != got.Families["ipv6"]) {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestSystemAndNetworkAreWaitedForTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		late := func() bool { return time.Since(start) >= 3*time.Second }
		sys := fakeGuest(t, []string{"run/systemd/system/"}, nil)
		sys.Exec = func(context.Context, Command) (Output, error) {
			if late() {
				return says(running), nil
			}
			return says("starting"), nil
		}
		sys.Links = func() ([]Link, error) {
			if !late() {
				return nil, errors.New("not yet")
			}
			return []Link{{Name: "eth0", Addrs: []LinkAddr{addr("10.77.0.5")}}}, nil
		}
		got, err := WaitReady(t.Context(), sys, Ready{System: true, Network: []string{"ipv4"}})
		if err != nil || len(got.Missing) > 0 {
			t.Errorf("got %+v, %v", got, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// Whose time is over while the system starts is late by its own fault, or by that of
// whoever took the time before.
func TestRunThatEndsWhileTheSystemStarts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cause error
		want  string
	}{
		{"the guest had the time", TimedOut(time.Second), "the system is still starting after 1s: it is at never.service"},
		{"it had not", errors.New("no time was left"), "no time was left"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, tt.cause)
				defer cancel()
				sys := fakeGuest(t, []string{"run/systemd/system/"}, script{askState: {says("starting")}, askWait: cannotWait(), askFailed: prints(""), askJobs: prints("1 never.service start running\n")})
				_, err := WaitReady(ctx, sys, Ready{System: true})
				if _, notReady := errors.AsType[*NotReadyError](err); err == nil || err.Error() != tt.want || notReady != (tt.cause.Error() != tt.want) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// The folder under /run keeps what was written into it before it was mounted, and after
// it was unmounted.
func TestWhatAnEarlierBootHasLeftIsNotBelieved(t *testing.T) {
	for _, tt := range []struct {
		name, level string
		written     time.Duration // ago; the guest is 3 s old
		want        string
	}{
		{"a shutdown before the start", "shutdown", 4 * time.Second, "starting"},
		{"a last runlevel before the start", "default", 4 * time.Second, "starting"},
		{"a last runlevel", "default", 2 * time.Second, "running"},
		{"a shutdown", "shutdown", 2 * time.Second, "stopping"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Hour)
				sys := fakeGuest(t, []string{"run/openrc/"}, nil)
				note := &fstest.MapFile{Data: []byte(tt.level + "\n"), ModTime: time.Now().Add(-tt.written)}
				upFor(sys, 3*time.Second, fstest.MapFS{"run/openrc/softlevel": note})
				if got := sys.readOpenRC().state; got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		})
	}
}

func TestLooksAtABusySystemLeaveItItsTime(t *testing.T) {
	for _, tt := range []struct {
		look time.Duration // how long one takes
		most int           // looks in a minute
		late time.Duration // between the end of one and the next, at the most
	}{
		{time.Millisecond, 260, maxReadyPause},
		{100 * time.Millisecond, 130, 400 * time.Millisecond},
		{3 * time.Second, 16, maxBusyPause},
	} {
		t.Run(tt.look.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				looks, ended := 0, time.Now()
				_ = poll(ctx, func() (bool, error) {
					if pause := time.Since(ended); pause > tt.late {
						t.Errorf("a look %s after the last one", pause)
					}
					looks++
					time.Sleep(tt.look)
					ended = time.Now()
					return false, nil
				})
				if looks > tt.most || looks < tt.most/2 {
					t.Errorf("%d looks in a minute, want %d at most", looks, tt.most)
				}
			})
		})
	}
}
