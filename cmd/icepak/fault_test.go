package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canonical/lxd/shared/api"

	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

const (
	briefly = `
checks:
  waits: {command: {sleep 1: {exit-status: 0}}}
  then: {needs: [waits], file: {/etc/passwd: {exists: true}}}`
	twice = `
checks:
  again: {reboot: true, file: {/etc/passwd: {exists: true}}}`
	wrong = `
checks:
  waits: {command: {sleep 1: {exit-status: 0}}}
  wrong: {needs: [waits], file: {/etc/passwd: {exists: false}}}`
)

// faultBound is how long a run may take whose server was in trouble for a few
// seconds: what undoes a create waits for the server for two minutes.
const faultBound = 4 * time.Minute

// A faultSite is a server that faults befall, and a good image.
type faultSite struct {
	daemon *lxdtest.Daemon
	image  string
	addr   string // of the daemon, or of a proxy before it
}

// A fault befalls the server, the way there or the guest while a run is in a stage.
type fault struct {
	name  string
	stage string
	does  func(*testing.T, *faultSite, *lxdtest.Proxy)
	args  []string
	spec  string
	codes []int
}

// No fault of the server, of the way there, or of somebody else's on the server makes
// a good image fail or a broken one pass, and none leaves an instance behind.
func TestFaultsOnTheServerDecideNothing(t *testing.T) {
	s := &faultSite{daemon: lxdtest.NewDaemon(t), image: lxdtest.Tiny(t, lxdtest.Unique)}
	t.Run("killed", func(t *testing.T) { s.befall(t, killed()) })
	t.Run("line", func(t *testing.T) { s.befall(t, badLines()) })
	t.Run("guest", func(t *testing.T) { s.befall(t, meddling()) })
	t.Run("disk", s.fullDisk)
	t.Run("feed", s.badFeed)
}

// killed are the stages in which the server is killed and started again.
func killed() []fault {
	again := func(t *testing.T, s *faultSite, _ *lxdtest.Proxy) {
		s.daemon.Kill()
		time.Sleep(500 * time.Millisecond)
		s.daemon.Start()
	}
	return []fault{
		{"in fetch", "fetch", again, nil, briefly, []int{0, 3}},
		{"in create", "create", again, nil, briefly, []int{0, 3}},
		{"in start", "start", again, nil, briefly, []int{0, 3}},
		{"in checks", "checks", again, nil, briefly, []int{0, 3}},
		{"in checks of a broken image", "checks", again, nil, wrong, []int{1, 3}},
		{"in reboot", "reboot", again, nil, twice, []int{0, 3}},
		{"in delete", "delete", again, nil, briefly, []int{0}},
		{"in delete of a broken image", "delete", again, nil, wrong, []int{1}},
	}
}

// badLines are what is wrong with the way to the server.
func badLines() []fault {
	cut := func(_ *testing.T, _ *faultSite, p *lxdtest.Proxy) {
		p.Refuse(true)
		p.Cut()
		time.AfterFunc(2*time.Second, func() { p.Refuse(false) })
	}
	silence := func(_ *testing.T, _ *faultSite, p *lxdtest.Proxy) {
		p.BlackHole(true)
		time.AfterFunc(6*time.Second, func() { p.BlackHole(false) })
	}
	slow := func(_ *testing.T, _ *faultSite, p *lxdtest.Proxy) {
		p.Delay(100 * time.Millisecond) // a round trip of 200 ms
		p.Lose(0.01, 1)
	}
	half := func(_ *testing.T, _ *faultSite, p *lxdtest.Proxy) { p.CutAfter(1 << 20) } // in the probe's file
	return []fault{
		{"cut in fetch", "fetch", cut, nil, briefly, []int{0, 3}},
		{"cut in create", "create", cut, nil, briefly, []int{0, 3}},
		{"cut in start", "start", cut, nil, briefly, []int{0, 3}},
		{"cut in checks", "checks", cut, nil, briefly, []int{0, 3}},
		{"cut in reboot", "reboot", cut, nil, twice, []int{0, 3}},
		{"cut in delete", "delete", cut, nil, briefly, []int{0}},
		{"cut in the middle of a file", "create", half, nil, briefly, []int{0, 3}},
		{"silent in create", "create", silence, []string{"--timeout", "4s"}, briefly, []int{3}},
		{"silent in checks", "checks", silence, []string{"--timeout", "4s"}, waits, []int{3}},
		{"silent in delete", "delete", silence, nil, briefly, []int{0}},
		{"slow and lossy", "", slow, nil, briefly, []int{0}},
		{"slow and lossy, of a broken image", "", slow, nil, wrong, []int{1}},
		{"narrow", "", func(_ *testing.T, _ *faultSite, p *lxdtest.Proxy) { p.Limit(4 << 20) }, nil, briefly, []int{0}},
	}
}

// meddling is what somebody else on the server does to the guest.
func meddling() []fault {
	change := func(action string) func(*testing.T, *faultSite, *lxdtest.Proxy) {
		return func(t *testing.T, s *faultSite, _ *lxdtest.Proxy) { s.change(t, action) }
	}
	return []fault{
		{"restarted", "checks", change("restart"), nil, waits, []int{0}},
		{"stopped", "checks", change("stop"), nil, waits, []int{3}},
		{"frozen", "checks", change("freeze"), []string{"--timeout", "6s"}, waits, []int{3}},
		{"deleted", "checks", func(t *testing.T, s *faultSite, _ *lxdtest.Proxy) {
			s.change(t, "stop")
			op, err := s.daemon.Client().DeleteInstance(s.daemon.Instances()[0])
			if err == nil {
				err = op.Wait()
			}
			if err != nil {
				t.Error(err)
			}
		}, nil, waits, []int{3}},
	}
}

// change has the server change the only guest's state, as somebody else would.
func (s *faultSite) change(t *testing.T, action string) {
	t.Helper()
	op, err := s.daemon.Client().UpdateInstanceState(s.daemon.Instances()[0], api.InstanceStatePut{Action: action, Force: true, Timeout: -1}, "")
	if err == nil {
		err = op.Wait()
	}
	if err != nil {
		t.Error(err)
	}
}

// befall has each fault befall a run, behind a proxy of its own.
func (s *faultSite) befall(t *testing.T, faults []fault) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			proxy := lxdtest.NewProxy(t, s.daemon.Remote)
			site := *s
			site.addr = proxy.Remote.Addr
			if f.stage == "" {
				f.does(t, &site, proxy)
			}
			args := append([]string{"--path", s.image, "--spec", writeSpec(t, f.spec)}, f.args...)
			got := site.test(t, f.stage, func() { f.does(t, &site, proxy) }, args...)
			got.want(t, f.codes...)
		})
	}
}

// test runs icepak in a process of its own, calls f once it is in the stage, holds that
// it ends, and that it, or icepak clean, leaves nothing behind.
func (s *faultSite) test(t *testing.T, stage string, f func(), args ...string) tested {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	args = append([]string{"test", "--remote", s.addr, "--format", "json=" + file, "--format", "text"}, args...)
	cmd := exec.Command("icepak", args...)
	cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "ICEPAK_STATE="+t.TempDir())
	var out bytes.Buffer
	cmd.Stdout = &out
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var late atomic.Bool
	bound := time.AfterFunc(faultBound, func() { late.Store(true); _ = cmd.Process.Kill() })
	defer bound.Stop()
	befell := stage == ""
	var all strings.Builder
	for lines := bufio.NewScanner(said); lines.Scan(); {
		fmt.Fprintln(&all, lines.Text())
		if !befell && strings.HasSuffix(lines.Text(), ": "+stage) {
			befell = true
			f()
		}
	}
	var got tested
	var exit *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &exit) {
		got.code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	var report struct{ Images []tested }
	if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &report) == nil && len(report.Images) == 1 {
		code := got.code
		got = report.Images[0]
		got.code = code
	}
	got.all = out.String() + all.String()
	if late.Load() {
		t.Errorf("it does not end within %s: %s", faultBound, got.all)
	}
	if !befell {
		t.Errorf("it was never in the stage %s: %s", stage, got.all)
	}
	s.clean(t)
	return got
}

// clean holds that nothing is left once icepak clean has run.
func (s *faultSite) clean(t *testing.T) {
	t.Helper()
	if len(s.daemon.Instances()) == 0 {
		return
	}
	out, err := exec.Command("icepak", "clean", "--remote", s.daemon.Remote.Addr).CombinedOutput()
	if left := s.daemon.Instances(); err != nil || len(left) > 0 {
		t.Errorf("%q is left behind: %v: %s", left, err, out)
	}
}

// want holds that a run ended with one of the codes.
func (got tested) want(t *testing.T, codes ...int) {
	t.Helper()
	if !slices.Contains(codes, got.code) {
		t.Errorf("exit %d, want one of %d: %s while %q: %s\n%s", got.code, codes, got.Verdict, got.Stage, got.Reason, got.all)
	}
}

// A disk of the server that is full, before the image is there or while it is tested,
// is not the image's fault.
func (s *faultSite) fullDisk(t *testing.T) {
	pool := s.daemon.SmallPool(24 << 20)
	site := *s
	site.addr = s.daemon.Remote.Addr
	on := func(spec string) string {
		return writeSpec(t, fmt.Sprintf("instance: {devices: {root: {type: disk, path: /, pool: %s}}}\n%s", pool, spec))
	}
	const fills = `
checks:
  fills: {command: {dd if=/dev/zero of=/fill bs=65536: {exit-status: 0}}}`
	t.Run("while it is tested", func(t *testing.T) {
		got := site.test(t, "", nil, "--path", s.image, "--spec", on(fills))
		got.want(t, 3)
		if !strings.Contains(got.all, "storage pool small is full") {
			t.Errorf("nothing says that the disk is full: %s", got.all)
		}
	})
	t.Run("before it is there", func(t *testing.T) {
		s.daemon.FillPool(t)
		site.test(t, "", nil, "--path", s.image, "--spec", on(briefly)).want(t, 3)
	})
}

// A feed that fails while the server fetches the image from it is not the image's
// fault.
func (s *faultSite) badFeed(t *testing.T) {
	const product = "tiny:one:amd64:default"
	for _, tt := range []struct {
		name string
		does func(*lxdtest.Proxy)
		args []string
	}{
		{"cut", func(p *lxdtest.Proxy) { p.CutAfter(200 << 10); p.Refuse(true) }, nil},
		{"silent", func(p *lxdtest.Proxy) {
			p.BlackHole(true)
			time.AfterFunc(8*time.Second, func() { p.BlackHole(false) })
		}, []string{"--timeout", "5s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			feed := lxdtest.NewFeed(t)
			feed.Throttle(3 * time.Second)
			feed.Publish(t, product, "20260101-01", lxdtest.Tiny(t, lxdtest.Unique))
			proxy := lxdtest.NewFeedProxy(t, feed.URL)
			site := *s
			site.addr = s.daemon.Remote.Addr
			args := append([]string{"--feed", proxy.URL, product, "--spec", writeSpec(t, briefly)}, tt.args...)
			site.test(t, "fetch", func() { tt.does(proxy) }, args...).want(t, 3)
		})
	}
}
