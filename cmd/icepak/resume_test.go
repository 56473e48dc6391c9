package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/polar/polartest"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

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
