package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

const (
	askFinish  = "systemctl show --property=FinishTimestampMonotonic"
	askCrashed = "rc-status --crashed"
)

// link is a symbolic link in a fake file system.
func link(to string) *fstest.MapFile { return &fstest.MapFile{Mode: fs.ModeSymlink, Data: []byte(to)} }

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

// stat is /proc/PID/stat of a process that started after so many ticks.
func stat(pid int, comm, state string, parent, flags, ticks int) *fstest.MapFile {
	return text(fmt.Sprintf("%d (%s) %s %d 1 1 0 -1 %d%s %d 95756288 2906\n", pid, comm, state, parent, flags, strings.Repeat(" 0", 12), ticks))
}

// upFor is a guest whose kernel was started an hour ago, and the guest, a container,
// so long before the test began. 400 s of the hour the kernel slept.
func upFor(sys *System, age time.Duration, files fstest.MapFS) {
	root := fstest.MapFS{
		"proc/self/ns/pid": link("pid:[4026532184]"),
		"proc/1/stat":      stat(1, "init (x) y", "S", 0, 4194560, int((time.Hour-age)/tick)),
	}
	for name, file := range sys.FS.(fstest.MapFS) {
		root[name] = file
	}
	for name, file := range files {
		root[name] = file
	}
	began := time.Now()
	sys.FS = root
	sys.Clocks = func() (boot, awake time.Duration, err error) {
		boot = time.Hour + time.Since(began)
		return boot, boot - 400*time.Second, nil
	}
}

// machine makes the guest one with a kernel of its own.
func machine() fstest.MapFS { return fstest.MapFS{"proc/self/ns/pid": link(initialPID)} }

func TestATimeOfTheBootCountsFromTheGuestsStart(t *testing.T) {
	finish := func(at time.Duration) script {
		return script{askFinish: prints(fmt.Sprintf("FinishTimestampMonotonic=%d\n", at.Microseconds()))}
	}
	awake := time.Hour - 400*time.Second
	tests := []struct {
		name    string
		files   []string
		command script
		machine bool
		seen    map[string]moment // when the guest was 3 s old
		want    string
	}{
		{"systemd in a container", []string{"run/systemd/system/"}, finish(awake - 2500*time.Millisecond), false, nil, "time pass: 500ms"},
		{"systemd in a machine", []string{"run/systemd/system/"}, finish(8 * time.Second), true, nil, "time pass: 8s"},
		{"systemd that says nothing of use", []string{"run/systemd/system/"}, script{askFinish: prints("Finish=x")}, false, nil,
			`time error: systemctl show: FinishTimestampMonotonic is "Finish=x"`},
		{"OpenRC, as it was seen", []string{"run/openrc/"}, nil, false, map[string]moment{systemUp: {}}, "time pass: 3s"},
		{"sysvinit, as it was seen", []string{"etc/init.d/cron"}, nil, false, map[string]moment{systemUp: {}}, "time pass: 3s"},
		{"what is no init does not tell", []string{"etc/hostname"}, nil, false, map[string]moment{systemUp: {}},
			"time error: how far the system is cannot be told: " + noInit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := fakeGuest(t, tt.files, tt.command)
				files := fstest.MapFS{}
				if tt.machine {
					files = machine()
				}
				upFor(sys, 3*time.Second, files)
				for what := range tt.seen {
					sys.came.note(what, false)
					sys.came.note(what, true)
				}
				b := &Boot{Time: expects(t, Time, map[string]any{"lt": "10s"})}
				time.Sleep(time.Second) // what was seen does not grow older
				if tt.machine || tt.files[0] == "run/systemd/system/" {
					sys.Clocks = func() (time.Duration, time.Duration, error) { return time.Hour, awake, nil }
				}
				list := b.Evaluate(t.Context(), sys)
				got := strings.TrimSpace(told(list))
				if n, ok := list[0].Actual.(float64); ok {
					got += ": " + Time.show(n)
				}
				if got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			})
		})
	}
}

func TestAnAddressIsTimedFromTheWaitOn(t *testing.T) {
	v4, v6 := addr("10.77.0.5"), addr("fd42:77::5")
	tests := []struct {
		name   string
		v4, v6 time.Duration // after the test's start, when the guest is 1 s old; never where negative
		sleeps time.Duration // between the wait and the look
		limit  string
		want   string
	}{
		{"both come in the wait", 200 * time.Millisecond, 1500 * time.Millisecond, 0, "5s",
			"ipv4 pass: 1.2s\nipv6 pass: 2.5s\n"},
		{"one that comes while other checks are evaluated", 200 * time.Millisecond, 4 * time.Second, 20 * time.Second, "6s",
			"ipv4 pass: 1.2s\nipv6 pass: 5s\n"},
		{"one that comes while it is looked for", 200 * time.Millisecond, 6 * time.Second, 0, "8s",
			"ipv4 pass: 1.2s\nipv6 pass: 7s\n"},
		{"one that comes too late", 200 * time.Millisecond, 6 * time.Second, 0, "5s",
			"ipv4 pass: 1.2s\nipv6 fail: there is no ipv6 address to talk to other networks with 5s after the start\n"},
		{"one that never comes", -1, 1500 * time.Millisecond, 0, "5s",
			"ipv4 fail: there is no ipv4 address to talk to other networks with 5s after the start\nipv6 pass: 2.5s\n"},
		{"one that was there already, in time", 0, 1500 * time.Millisecond, 0, "5s",
			"ipv4 pass: 1s\nipv6 pass: 2.5s\n"},
		{"one that was there already, and may have come in time", 0, 1500 * time.Millisecond, 0, "500ms",
			"ipv4 error: it was so already when it was first looked at, 1s after the start\n" +
				"ipv6 fail: 2.5s is not less than 500ms\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				sys := fakeGuest(t, []string{"run/systemd/system/"}, script{askState: {says("starting"), says("starting"), says("starting"),
					says("starting"), says("starting"), says("starting"), says("starting"), says("starting"), says("starting"), says("starting"), says("starting"), says(running)}, askWait: cannotWait()})
				upFor(sys, time.Second, nil)
				sys.Links = func() ([]Link, error) {
					l := Link{Name: "eth0"}
					if tt.v4 >= 0 && time.Since(began) >= tt.v4 {
						l.Addrs = append(l.Addrs, v4)
					}
					if tt.v6 >= 0 && time.Since(began) >= tt.v6 {
						l.Addrs = append(l.Addrs, v6)
					}
					return []Link{l}, nil
				}
				if _, err := WaitReady(t.Context(), sys, Ready{System: true}); err != nil {
					t.Fatal(err)
				}
				limit := map[string]any{"lt": tt.limit}
				boot, err := NewItem("boot", "")
				if err != nil {
					t.Fatal(err)
				}
				boot.Resource = &Boot{IPv4: expects(t, Time, limit), IPv6: expects(t, Time, limit)}
				wait, err := NewItem("command", "wait")
				if err != nil {
					t.Fatal(err)
				}
				wait.Resource = sleeper{Common: &Common{}, d: tt.sleeps}
				var list []Result
				obs := observed(func(r Result) { list = append(list, r) })
				Run(t.Context(), sys, []Check{{Name: "wait", Items: []Item{wait}}, {Name: "boot", Items: []Item{boot}}}, obs)
				var got strings.Builder
				for _, r := range list {
					line := strings.TrimSpace(told([]Result{r}))
					if n, ok := r.Actual.(float64); ok && r.Verdict == Pass {
						// The looks are 50 ms apart.
						line += ": " + Time.show(math.Floor(n*10)/10)
					}
					got.WriteString(line + "\n")
				}
				if got.String() != tt.want {
					t.Errorf("got\n%swant\n%s", got.String(), tt.want)
				}
			})
		})
	}
}

// A sleeper takes its time and finds nothing.
type sleeper struct {
	*Common
	d time.Duration
}

func (s sleeper) Evaluate(context.Context, *System) []Result {
	time.Sleep(s.d)
	return nil
}

// observed is an Observer of results.
type observed func(Result)

func (observed) CheckStarted(string)         {}
func (o observed) Result(_ string, r Result) { o(r) }
func (observed) CheckDone(string, Outcome)   {}

func TestAStartThatNobodyCanTellIsNoFail(t *testing.T) {
	limit := expects(t, Time, map[string]any{"lt": "5s"})
	sys := fakeGuest(t, nil, nil)
	checkTold(t, (&Boot{IPv4: limit}).Evaluate(t.Context(), sys), "ipv4 error: open proc/1/stat: file does not exist\n")
	upFor(sys, time.Second, fstest.MapFS{"proc/1/stat": text("1 (init) S 0")})
	checkTold(t, (&Boot{IPv4: limit}).Evaluate(t.Context(), sys), "ipv4 error: /proc/1/stat does not say when the guest started\n")
	sys.Clocks = func() (time.Duration, time.Duration, error) { return 0, 0, errors.New("no clock") }
	checkTold(t, (&Boot{IPv4: limit}).Evaluate(t.Context(), sys), "ipv4 error: no clock\n")
}

func TestAWaitForAnAddressEndsWithItsCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := fakeGuest(t, nil, nil)
		upFor(sys, time.Second, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		list := (&Boot{IPv4: expects(t, Time, map[string]any{"lt": "1h"})}).Evaluate(ctx, sys)
		if took := time.Since(began); took > 2*time.Second || list[0].Verdict != Error {
			t.Errorf("%s after %s", told(list), took)
		}
	})
}

func TestWhatTheServerTookIsTheHostsToTell(t *testing.T) {
	b := &Boot{Running: expects(t, Time, map[string]any{"lt": "2s"})}
	sys := fakeGuest(t, nil, nil)
	checkTold(t, b.Evaluate(t.Context(), sys), "running skip: it was not started for this run\n")
	sys.Host.Running = 1200 * time.Millisecond
	checkTold(t, b.Evaluate(t.Context(), sys), "running pass\n")
	sys.Host.Running = 3 * time.Second
	checkTold(t, b.Evaluate(t.Context(), sys), "running fail: 3s is not less than 2s\n")
}

func TestUnitsAreThoseOfTheInit(t *testing.T) {
	none := map[string]any{"consist-of": []any{}}
	openRC := []string{"run/openrc/started/cron", "run/openrc/starting/", "run/openrc/failed/"}
	tests := []struct {
		name    string
		files   []string
		data    fstest.MapFS
		command script
		want    string
	}{
		{"systemd at rest", []string{"run/systemd/system/"}, nil,
			script{askState: {says(running)}, askFailed: prints(""), askJobs: prints("")},
			"state pass\nfailed-units pass\nstarting-units pass\n"},
		{"systemd with a failed unit and a job", []string{"run/systemd/system/"}, nil,
			script{askState: {says(degraded)}, askFailed: prints("● bad.service loaded failed failed Bad\n"), askJobs: prints(" 7 slow.service start running\n")},
			"state fail:\nfailed-units fail: extra: \"bad.service\"\nstarting-units fail: extra: \"slow.service\"\n"},
		{"systemd that answers nothing", []string{"run/systemd/system/"}, nil,
			script{askState: exits(1, ""), askFailed: exits(1, "no bus"), askJobs: exits(1, "no bus")},
			"state fail:\nfailed-units fail: systemctl: exit 1\nstarting-units fail: systemctl: exit 1\n"},
		{"OpenRC at rest", openRC, fstest.MapFS{"run/openrc/softlevel": text("default\n")}, script{askCrashed: exits(1, "")},
			"state pass\nfailed-units pass\nstarting-units pass\n"},
		{"OpenRC with a service that crashed", openRC, fstest.MapFS{"run/openrc/softlevel": text("default\n")}, script{askCrashed: prints("sshd\n")},
			"state fail:\nfailed-units fail: extra: \"sshd\"\nstarting-units pass\n"},
		{"OpenRC with a service whose process is gone", openRC, fstest.MapFS{"run/openrc/softlevel": text("default\n"),
			"run/openrc/options/cron/pidfile": text("/run/crond.pid"), "run/crond.pid": text("77\n")}, script{askCrashed: exits(1, "")},
			"state fail:\nfailed-units fail: extra: \"cron\"\nstarting-units pass\n"},
		{"OpenRC that still starts one", openRC, fstest.MapFS{"run/openrc/softlevel": text("default\n"), "run/openrc/starting/nginx": text("")},
			script{askCrashed: exits(1, "")}, "state fail:\nfailed-units pass\nstarting-units fail: extra: \"nginx\"\n"},
		{"sysvinit keeps no lists", []string{"etc/init.d/cron"}, nil, nil,
			"state pass\nfailed-units error: " + errNoNote.Error() + "\nstarting-units error: " + errNoNote.Error() + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, tt.files, tt.command)
			for name, file := range tt.data {
				sys.FS.(fstest.MapFS)[name] = file
			}
			b := &Boot{State: expects(t, String, "running"), FailedUnits: expects(t, List, none), StartingUnits: expects(t, List, none)}
			got := strings.ReplaceAll(told(b.Evaluate(t.Context(), sys)), "state fail\n", "state fail:\n")
			if got != tt.want {
				t.Errorf("got\n%swant\n%s", got, tt.want)
			}
		})
	}
}

func TestProcessesAreTheGuestsOwn(t *testing.T) {
	root := fstest.MapFS{
		"proc/self":    link("90"),
		"proc/1/stat":  stat(1, "systemd", "S", 0, 0, 0),
		"proc/2/stat":  stat(2, "kthreadd", "S", 0, 0x00208040, 0),
		"proc/3/stat":  stat(3, "kworker/0:0", "I", 2, 0x04208060, 0),
		"proc/50/stat": stat(50, "cron", "S", 1, 0, 0),
		"proc/51/stat": stat(51, "gone", "Z", 1, 0, 0),
		"proc/90/stat": stat(90, "icepak-probe", "S", 0, 0, 0),
		"proc/91/stat": stat(91, "sh", "S", 90, 0, 0),
		"proc/92/stat": stat(92, "sleep", "S", 91, 0, 0),
		"proc/uptime":  text("1 1"),
	}
	sys := &System{FS: root}
	if n, err := sys.processCount(t.Context()); n != 2 || err != nil { // systemd and cron
		t.Errorf("%d processes, %v; want 2", n, err)
	}
	if n, err := (&System{FS: fstest.MapFS{"proc/uptime": text("")}}).processCount(t.Context()); err == nil {
		t.Errorf("%d processes where there is none to be seen", n)
	}
	root["proc/60/stat"], root["proc/61/stat"] = stat(60, "a", "S", 61, 0, 0), stat(61, "b", "S", 60, 0, 0)
	if n, err := sys.processCount(t.Context()); n != 4 || err != nil {
		t.Errorf("%d processes, %v; want 4 although two are each other's parent", n, err)
	}
}

func TestMemoryIsOfTheGuestAlone(t *testing.T) {
	const mib = 1 << 20
	v2 := fstest.MapFS{"sys/fs/cgroup/memory.current": text("209715200\n"), "sys/fs/cgroup/memory.stat": text("anon 1\ninactive_file 104857600\n")}
	meminfo := "MemTotal:       524288 kB\nMemFree:        1 kB\nMemAvailable:   458752 kB\n"
	tests := []struct {
		name  string
		files fstest.MapFS
		want  int64
		err   string
	}{
		{"control groups, version 2", v2, 100 * mib, ""},
		{"control groups, version 1", fstest.MapFS{"sys/fs/cgroup/memory/memory.usage_in_bytes": text("209715200\n"),
			"sys/fs/cgroup/memory/memory.stat": text("inactive_file 1\ntotal_inactive_file 104857600\n")}, 100 * mib, ""},
		{"a machine of its own", fstest.MapFS{"proc/self/ns/pid": link(initialPID), "proc/meminfo": text(meminfo)}, 64 * mib, ""},
		{"a machine whose kernel does not tell", fstest.MapFS{"proc/self/ns/pid": link(initialPID), "proc/meminfo": text("MemTotal: 1 kB\n")}, 0,
			"/proc/meminfo does not say how much is available"},
		{"a container that sees only the host's", fstest.MapFS{"proc/meminfo": text(meminfo)}, 0,
			"the guest does not see the memory of its own control group"},
		{"figures that are none", fstest.MapFS{"sys/fs/cgroup/memory.current": text("max\n")}, 0,
			`/sys/fs/cgroup/memory.current: strconv.ParseInt: parsing "max": invalid syntax`},
		{"no figure of the pages", fstest.MapFS{"sys/fs/cgroup/memory.current": text("5\n"), "sys/fs/cgroup/memory.stat": text("anon 1\n")}, 0,
			"/sys/fs/cgroup/memory.stat has no inactive_file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := &System{FS: tt.files}
			got, err := sys.memoryUsed()
			if err != nil && verdictOf(err) != Error {
				t.Errorf("%v would be the image's fault", err)
			}
			if got != tt.want || err == nil && tt.err != "" || err != nil && err.Error() != tt.err {
				t.Errorf("got %d, %v; want %d, %s", got, err, tt.want, tt.err)
			}
		})
	}
	v2["proc/self/statm"] = text("4000 3000 1000 1 0 1 0\n")
	with, err := (&System{FS: v2}).memoryUsed()
	if left := int64(100*mib) - with; err != nil || left != 2000*4096 && left != 2000*16384 && left != 2000*65536 {
		t.Errorf("the probe's own memory counts: %d, %v", with, err)
	}
}

func TestThisMachinesBootCanBeLookedAt(t *testing.T) {
	sys := Local()
	age, err := sys.age()
	if err != nil || age <= 0 || age > 10*365*24*time.Hour {
		t.Errorf("it has been up for %s, %v", age, err)
	}
	if n, err := sys.processCount(t.Context()); err != nil || n < 1 {
		t.Errorf("%d processes, %v", n, err)
	}
}

func FuzzStatField(f *testing.F) {
	f.Add([]byte("1 (systemd) S 0 1 1 0 -1 4194560"), 9)
	f.Add([]byte("7 (a) b) c) S 1"), 22)
	f.Add([]byte(""), 3)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if v, ok := statField(data, n); ok && (v < 0 || n < 3) {
			t.Errorf("field %d of %q is %d", n, data, v)
		}
	})
}
