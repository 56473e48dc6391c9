package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest/fakevm"
	"github.com/upmaru/icepak/cmd/internal/polar/polartest"
	"github.com/upmaru/icepak/cmd/internal/polarserver"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

const (
	nightProduct  = "alpine:3.22:" + runtime.GOARCH + ":default"
	nightPassword = "bot-password-0123456789"
)

// A night is a Polar and a server of instances in this process, and runs of icepak in
// processes of their own, which can be killed when they ask Polar for something.
type night struct {
	t       *testing.T
	store   *polarstore.Store
	product polarstore.Product
	server  *fakevm.Server
	fault   atomic.Pointer[func(n int, r *http.Request) polartest.Fault]
	seen    atomic.Int64                 // requests since fault was set
	said    atomic.Pointer[lockedBuffer] // by the last run
	state   string
	env     []string
	serial  int
	version polarstore.Version
}

func newNight(t *testing.T, spec string, dress func(http.Handler) http.Handler) *night {
	t.Helper()
	ctx := t.Context()
	w := &night{t: t, server: &fakevm.Server{Unsigned: true}, state: t.TempDir()}
	var err error
	w.store, err = polarstore.Open(ctx, filepath.Join(t.TempDir(), "polar"), polarstore.Options{})
	w.must(err)
	t.Cleanup(func() { w.must(w.store.Close()) })
	w.must(w.store.SetPassword(ctx, nightPassword))
	w.product, err = w.store.AddProduct(ctx, nightProduct, map[string]string{"secureboot": "false"})
	w.must(err)
	_, err = w.store.AddChecks(ctx, "one", "two")
	w.must(err)
	cert, key, err := lxd.NewIdentity("tester")
	w.must(err)
	_, err = w.store.AddCluster(ctx, polarstore.Cluster{Name: "here", Type: "lxd", Arch: runtime.GOARCH,
		Endpoint: w.server.Start(t), Certificate: string(cert), PrivateKey: polarstore.Secret(key)})
	w.must(err)
	proxy := &polartest.Proxy{Server: dress(polarserver.New(w.store, polarserver.Options{})), Fault: func(_ int, r *http.Request) polartest.Fault {
		if f := w.fault.Load(); f != nil {
			return (*f)(int(w.seen.Add(1)), r)
		}
		return nil
	}}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	file := filepath.Join(t.TempDir(), "spec.yaml")
	w.must(os.WriteFile(file, []byte(spec), 0o600))
	w.env = []string{"POLAR_ENDPOINT=" + front.URL, "POLAR_AUTH_TOKEN=" + nightPassword, "ICEPAK_STATE=" + w.state, "SPEC=" + file, "PATH=" + os.Getenv("PATH")}
	for channel, name := range map[string]string{"testing": "TESTING_IMAGE_SERVER", "active": "ACTIVE_IMAGE_SERVER"} {
		_, token, err := w.store.AddSpace(ctx, polarstore.Space{Channel: channel, Type: "lxd"})
		w.must(err)
		w.env = append(w.env, name+"="+front.URL+"/spaces/"+token)
	}
	return w
}

func (w *night) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// next puts a version into testing. Its check two has failed before as a container.
func (w *night) next() {
	w.t.Helper()
	ctx := w.t.Context()
	w.serial++
	serial := fmt.Sprintf("20260102-%04d", w.serial)
	build := w.t.TempDir()
	for _, name := range []string{"incus.tar.xz", "rootfs.squashfs", "disk.qcow2"} {
		w.must(os.WriteFile(filepath.Join(build, name), []byte(name+serial), 0o600))
	}
	done, err := w.store.ImportVersion(ctx, nightProduct, serial, build)
	w.must(err)
	w.version = done.Version
	by := polarstore.By{Actor: "test"}
	_, err = w.store.FireVersion(ctx, w.version.ID, "test", by)
	w.must(err)
	a, err := w.store.Assessment(ctx, w.version.ID, 2, 1, "container")
	w.must(err)
	for _, event := range []string{"run", "fail"} {
		_, err := w.store.FireAssessment(ctx, a.ID, event, by)
		w.must(err)
	}
}

// command is icepak on the night's servers. What it says goes to said.
func (w *night) command(said io.Writer, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(w.t.Context(), "icepak", args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = w.env, said, said
	return cmd
}

func (w *night) test(args ...string) []string {
	for _, v := range w.env {
		if spec, ok := strings.CutPrefix(v, "SPEC="); ok {
			return append([]string{"test", nightProduct, "--promote", "--spec", spec}, args...)
		}
	}
	return nil
}

// run runs icepak and returns its exit code, and what it said.
func (w *night) run(args ...string) (int, string) {
	w.t.Helper()
	said := &lockedBuffer{}
	w.said.Store(said)
	err := w.command(said, args...).Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	for _, secret := range []string{nightPassword, "/spaces/"} {
		if strings.Contains(said.String(), secret) {
			w.t.Errorf("%q tells a secret: %s", args, said.String())
		}
	}
	if exit != nil {
		return exit.ExitCode(), said.String()
	}
	return 0, said.String()
}

// history is the version's states and events, a line each.
func (w *night) history() string {
	w.t.Helper()
	ctx := context.WithoutCancel(w.t.Context())
	now, err := w.store.Version(ctx, w.product.ID, w.version.Serial)
	w.must(err)
	lines := []string{now.State + ":"}
	events, err := w.store.VersionEvents(ctx, w.version.ID)
	w.must(err)
	for _, e := range events {
		lines[0] += " " + e.Name
	}
	all, err := w.store.Assessments(ctx, w.version.ID)
	w.must(err)
	for _, a := range all {
		line := fmt.Sprintf("%s %s %s:", a.Check, a.InstanceType, a.State)
		events, err := w.store.AssessmentEvents(ctx, a.ID)
		w.must(err)
		for _, e := range events {
			line += " " + e.Name
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// journal is the file of the run that is not finished, or nothing.
func (w *night) journal() (path string, data []byte) {
	files, err := filepath.Glob(filepath.Join(w.state, "runs", "*.jsonl"))
	if err != nil || len(files) != 1 {
		return "", nil
	}
	data, err = os.ReadFile(files[0])
	if err != nil {
		return "", nil
	}
	return files[0], data
}

// killedAt runs icepak test on a new version and kills it when it makes its n-th request
// of Polar, before that arrives or after it has. Ended tells that it made fewer.
func (w *night) killedAt(n int, delivered bool) (grown, ended bool) {
	w.t.Helper()
	w.next()
	var said bytes.Buffer
	cmd := w.command(&said, w.test()...)
	var before, at int
	kill := func(i int, _ *http.Request) polartest.Fault {
		_, data := w.journal()
		switch {
		case i == n-1:
			before = len(data)
		case i == n:
			at = len(data)
			return func(_ http.ResponseWriter, r *http.Request, server http.Handler) {
				if delivered {
					polartest.Deliver(r, server)
				}
				_ = cmd.Process.Kill()
				panic(http.ErrAbortHandler)
			}
		case i > n: // what was on its way
			return polartest.Lost
		}
		return nil
	}
	w.seen.Store(0)
	w.fault.Store(&kill)
	err := cmd.Run()
	w.fault.Store(nil)
	var exit *exec.ExitError
	if !errors.As(err, &exit) && err != nil {
		w.t.Fatal(err)
	}
	return at > before, exit == nil || exit.ExitCode() >= 0
}

const (
	allPass = `instance: {ready: {system: false, timeout: 50ms}}
checks:
  one: {command: {"true": {exit-status: 0}}}
  two: {command: {"test 1 = 1": {exit-status: 0}}}
`
	oneFails = `instance: {ready: {system: false, timeout: 50ms}}
checks:
  one: {command: {"true": {exit-status: 0}}}
  two: {command: {"test 1 = 2": {exit-status: 0}}}
`
)

// Whenever a run is killed while it speaks with Polar, or while it writes its journal,
// another brings about the same as if it had not been: each verdict once, the
// promotion, nothing left on the server, and no journal.
func TestAKilledRunIsFinishedByAnother(t *testing.T) {
	same := func(h http.Handler) http.Handler { return h }
	for _, tt := range []struct {
		name, spec string
		dress      func(http.Handler) http.Handler
		code       int
		arrives    int // every second request does, from this one on; of the others the run is killed before
	}{
		{"all pass", allPass, same, 0, 0},
		{"one fails", oneFails, same, 1, 1},
		{"one fails, with Polar 0.2", oneFails, polartest.AsPolar, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newNight(t, tt.spec, tt.dress)
			w.next()
			code, said := w.run(w.test()...)
			want := w.history()
			if code != tt.code || strings.Count(want, ": run") != 4 {
				t.Fatalf("undisturbed: exit %d\n%s\n%s", code, want, said)
			}
			torn, resumed := 0, 0
			for n := 1; ; n++ {
				grown, ended := w.killedAt(n, n%2 == tt.arrives)
				path, data := w.journal()
				if ended {
					break
				}
				if path == "" {
					continue // it had not begun
				}
				resumed++
				if last := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1; grown && last > 0 && n%3 == 0 {
					w.must(os.Truncate(path, int64(last+(len(data)-last)/2)))
					torn++
				}
				w.finished(fmt.Sprintf("request %d", n), tt.code, want)
			}
			if resumed < 10 || torn < 1 {
				t.Errorf("only %d runs were resumed, %d of them with a torn line", resumed, torn)
			}
		})
	}
}

// finished resumes the run, and holds what came of it.
func (w *night) finished(when string, code int, want string) {
	w.t.Helper()
	path, journal := w.journal()
	got, said := w.run("resume")
	left, _ := w.journal()
	if history := w.history(); got != code || history != want || left != "" || len(w.server.Left()) > 0 {
		w.t.Errorf("killed at %s: exit %d, want %d, journal %q, instances %v\n%s\nwant\n%s\nit said\n%s\nthe journal was %s\n%s",
			when, got, code, left, w.server.Left(), history, want, said, path, journal)
	}
	for _, secret := range []string{nightPassword, "/spaces/"} {
		if bytes.Contains(journal, []byte(secret)) {
			w.t.Errorf("the journal holds a secret: %s", journal)
		}
	}
}

// What is tested again is tested with the spec as it is now, which is told.
func TestASpecThatHasChangedIsTold(t *testing.T) {
	w := newNight(t, allPass, func(h http.Handler) http.Handler { return h })
	for n := 1; ; n++ {
		if _, ended := w.killedAt(n, false); ended {
			t.Fatal("no run was killed before it had decided all")
		}
		if path, data := w.journal(); path != "" && bytes.Count(data, []byte(`{"step":"decided"`)) < 2 {
			break
		}
	}
	w.must(os.WriteFile(w.test()[4], []byte(oneFails), 0o600))
	code, said := w.run("resume")
	if code != 1 || !strings.Contains(said, "spec.yaml has changed since the run began") {
		t.Errorf("exit %d: %s", code, said)
	}
	if path, _ := w.journal(); path != "" {
		t.Errorf("%s is left", path)
	}
}

// A run of several images that is killed in the middle goes on where it was: what was
// decided is not tested again, and each verdict is posted once.
func TestANightThatIsKilledGoesOnWhereItWas(t *testing.T) {
	const n = 6
	w := newNight(t, allPass, func(h http.Handler) http.Handler { return h })
	by := polarstore.By{Actor: "test"}
	versions := map[polarstore.Version]polarstore.Product{}
	for i := range n {
		product, err := w.store.AddProduct(t.Context(), fmt.Sprintf("alpine:3.%d:%s:default", i, runtime.GOARCH), map[string]string{"secureboot": "false"})
		w.must(err)
		build := t.TempDir()
		for _, name := range []string{"incus.tar.xz", "rootfs.squashfs"} {
			w.must(os.WriteFile(filepath.Join(build, name), fmt.Append(nil, name, i), 0o600))
		}
		made, err := w.store.ImportVersion(t.Context(), product.Key, "20260102-01", build)
		w.must(err)
		_, err = w.store.FireVersion(t.Context(), made.Version.ID, "test", by)
		w.must(err)
		versions[made.Version] = product
	}
	var said bytes.Buffer
	cmd := w.command(&said, "test", "--all", "--promote", "--parallel", "2", "--spec", w.test()[4])
	var events atomic.Int64
	kill := func(_ int, r *http.Request) polartest.Fault {
		if !strings.HasSuffix(r.URL.Path, "/events") || events.Add(1) < 2*n {
			return nil
		}
		_ = cmd.Process.Kill()
		return polartest.Lost
	}
	w.fault.Store(&kill)
	if err := cmd.Run(); err == nil {
		t.Fatalf("it was not killed: %s", said.String())
	}
	w.fault.Store(nil)
	_, data := w.journal()
	decided, made := bytes.Count(data, []byte(`{"step":"decided"`)), len(w.server.Made())
	if decided < 2 || decided == n {
		t.Fatalf("%d of %d are decided: %s", decided, n, said.String())
	}
	code, again := w.run("resume")
	if launched := len(w.server.Made()) - made; code != 0 || launched != n-decided {
		t.Errorf("exit %d, %d launched, want %d: %s", code, launched, n-decided, again)
	}
	for version, product := range versions {
		w.version, w.product = version, product
		want := "active: test activate\none container passed: run pass\ntwo container passed: run pass"
		if got := w.history(); sorted(got) != sorted(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", product.Key, got, want)
		}
	}
	if path, _ := w.journal(); path != "" || len(w.server.Left()) > 0 {
		t.Errorf("left %s, %v", path, w.server.Left())
	}
}

// The next run posts what another had decided, without testing anything of it again.
func TestTheNextRunPostsWhatAnotherHadDecided(t *testing.T) {
	w := newNight(t, allPass, func(h http.Handler) http.Handler { return h })
	for n := 1; ; n++ {
		if _, ended := w.killedAt(n, false); ended {
			t.Fatal("no run was killed after it had decided all")
		}
		_, data := w.journal()
		if bytes.Count(data, []byte(`{"step":"decided"`)) == 2 {
			break
		}
		w.must(os.RemoveAll(filepath.Join(w.state, "runs")))
	}
	version, made := w.version, len(w.server.Made())
	code, said := w.run("test", "--path", t.TempDir(), "--remote", "unix:/nowhere")
	if code == 0 || !strings.Contains(said, "which was not finished: ") || !strings.Contains(said, "1 version is promoted") {
		t.Errorf("exit %d: %s", code, said)
	}
	w.version = version
	if got := w.history(); !strings.HasPrefix(got, "active: test activate\n") || len(w.server.Made()) != made {
		t.Errorf("%s\n%d launched", got, len(w.server.Made())-made)
	}
	if path, _ := w.journal(); path != "" || len(w.server.Left()) > 0 {
		t.Errorf("left %s, %v", path, w.server.Left())
	}
}

// Polar is away when the first verdict comes, and back later or not at all.
func TestPolarIsAway(t *testing.T) {
	for _, tt := range []struct {
		name string
		wait string
		back bool
		code int
	}{
		{"and comes back", "5m", true, 0},
		{"and stays away", "0s", false, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newNight(t, allPass, func(h http.Handler) http.Handler { return h })
			w.next()
			var gone atomic.Bool
			away := func(_ int, r *http.Request) polartest.Fault {
				if strings.HasSuffix(r.URL.Path, "/events") {
					gone.Store(true)
				}
				tested := len(w.server.Made()) == 2 && len(w.server.Left()) == 0
				told := strings.Contains(w.said.Load().String(), "wait until it does")
				if !gone.Load() || tt.back && tested && told {
					return nil
				}
				return polartest.Instead(http.StatusServiceUnavailable)
			}
			w.fault.Store(&away)
			code, said := w.run(w.test("--post-wait", tt.wait)...)
			w.fault.Store(nil)
			if code != tt.code || len(w.server.Made()) != 2 || !strings.Contains(said, "wait until it does") {
				t.Fatalf("exit %d, %d launched: %s", code, len(w.server.Made()), said)
			}
			if !tt.back {
				if !strings.Contains(said, "Polar lacks something of this run: icepak resume ") {
					t.Errorf("it said %s", said)
				}
				if code, list := w.run("resume", "--list"); code != 0 || !strings.Contains(list, "unfinished") {
					t.Errorf("exit %d: %s", code, list)
				}
				if code, said = w.run("resume"); code != 0 || len(w.server.Made()) != 2 {
					t.Errorf("exit %d, %d launched: %s", code, len(w.server.Made()), said)
				}
			}
			want := "active: test activate\none container passed: run pass\none vm passed: run pass\ntwo container passed: run fail run pass\ntwo vm passed: run pass"
			if got := sorted(w.history()); got != sorted(want) {
				t.Errorf("got\n%s\nwant\n%s\nit said %s", got, want, said)
			}
			if path, _ := w.journal(); path != "" {
				t.Errorf("%s is left", path)
			}
		})
	}
}

func sorted(lines string) string {
	all := strings.Split(lines, "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}
