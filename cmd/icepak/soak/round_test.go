package soak

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// bound is how long a run may take, whatever befalls it.
const bound = 5 * time.Minute

// A round is one image's way through a run that something befalls, and one that
// nothing does.
type round struct {
	*site
	t      *testing.T
	seed   uint64
	chance *rand.Rand

	good    bool
	fault   fault
	moment  time.Duration
	story   []string // what befell it, for people
	proxy   *lxdtest.Proxy
	version polarstore.Version
	spec    string
	cmd     *exec.Cmd
}

// run carries the round out, holds what must hold, and returns the exit code of the
// run that something befell.
func (r *round) run() int {
	r.draw()
	r.publish()
	troubled := r.troubled()
	r.proxy = lxdtest.NewProxy(r.t, r.daemon.Remote)
	if !r.fault.later {
		r.fault.does(r)
	}
	var calm atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if calm.Load() {
			r.polar.ServeHTTP(w, req)
		} else {
			troubled.ServeHTTP(w, req)
		}
	}))
	defer server.Close()
	code, said := r.icepak(server.URL, true, r.test(r.proxy.Remote.Addr)...)
	calm.Store(true)
	r.proxy.Calm()
	r.t.Logf("%s: exit %d", r.told(), code)
	right := map[bool]int{true: 0, false: 1}[r.good]
	wrong := 1 - right
	if code == wrong {
		r.fails("the verdict is wrong: %s", said)
	}
	if code != right && !r.tooLate(code) {
		again := r.test(r.daemon.Remote.Addr)
		if r.unfinished() {
			again = []string{"resume"}
		} else {
			r.swept()
		}
		if code, said := r.icepak(server.URL, false, again...); code != right {
			r.fails("%s: exit %d when nothing befalls it: %s", again[0], code, said)
		}
	}
	r.swept()
	r.posted()
	if r.unfinished() {
		r.fails("a journal is left")
	}
	return code
}

// tooLate tells whether the run was interrupted when it had posted a fail, and nothing
// was left to do: to test the image again would post another.
func (r *round) tooLate(code int) bool {
	return code == 130 && !r.good && !r.unfinished() && slices.Contains(r.inPolar()["waits"], "fail")
}

// unfinished tells whether a run has left its journal.
func (r *round) unfinished() bool {
	left, err := filepath.Glob(filepath.Join(r.dir, "runs", "*.jsonl"))
	r.must(err)
	return len(left) > 0
}

func (r *round) fails(format string, args ...any) {
	r.t.Errorf("%s: %s\nagain: go test ./cmd/icepak/soak -args -runs 1 -seed %d", r.told(), fmt.Sprintf(format, args...), r.seed)
}

func (r *round) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// publish puts a version into testing that nobody has seen, and writes its spec.
func (r *round) publish() {
	r.t.Helper()
	made, err := r.store.ImportVersion(r.t.Context(), product, fmt.Sprintf("20260101-%d-%d", r.seed, time.Now().UnixNano()), lxdtest.Tiny(r.t, lxdtest.Unique))
	r.must(err)
	r.version = made.Version
	_, err = r.store.FireVersion(r.t.Context(), r.version.ID, "test", polarstore.By{Actor: "soak"})
	r.must(err)
	r.spec = filepath.Join(r.dir, "spec.yaml")
	r.must(os.WriteFile(r.spec, fmt.Appendf(nil, `checks:
  files: {file: {/etc/passwd: {exists: true}}}
  waits: {command: {sleep 0.5: {exit-status: 0}}, file: {/sbin/init: {exists: %v}}}
`, r.good), 0o600))
}

// test is icepak test of the version on the remote.
func (r *round) test(remote string) []string {
	return []string{"test", product, "--serial", r.version.Serial, "--remote", remote, "--spec", r.spec, "--promote", "--timeout", "1m"}
}

// icepak runs icepak with the Polar, and returns its exit code, -1 where it was killed,
// and what it said.
func (r *round) icepak(polar string, befalls bool, args ...string) (int, string) {
	r.t.Helper()
	r.cmd = exec.Command(r.program, args...)
	r.cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "ICEPAK_STATE="+r.dir, "XDG_STATE_HOME="+r.dir,
		"POLAR_AUTH_TOKEN="+password, "POLAR_ENDPOINT="+polar, "TESTING_IMAGE_SERVER="+polar+r.space)
	var said bytes.Buffer
	r.cmd.Stdout, r.cmd.Stderr = &said, &said
	r.must(r.cmd.Start())
	late := time.AfterFunc(bound, func() { _ = r.cmd.Process.Kill() })
	ended, befallen := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(befallen)
		if befalls {
			r.befall(ended)
		}
	}()
	err := r.cmd.Wait()
	if !late.Stop() {
		r.fails("it does not end within %s: %s", bound, said.String())
	}
	close(ended)
	<-befallen
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode(), said.String()
	case err != nil:
		r.t.Fatal(err)
	}
	return 0, said.String()
}

// swept holds that icepak clean leaves no instance.
func (r *round) swept() {
	r.t.Helper()
	out, err := exec.Command(r.program, "clean", "--remote", r.daemon.Remote.Addr).CombinedOutput()
	if left := r.daemon.Instances(); err != nil || len(left) > 0 {
		r.fails("%q is left behind: %v: %s", left, err, out)
	}
}

// posted holds that Polar has each verdict of the version, the right one, and once.
func (r *round) posted() {
	r.t.Helper()
	want := map[string]string{"files": "pass", "waits": map[bool]string{true: "pass", false: "fail"}[r.good]}
	for check, names := range r.inPolar() {
		verdicts := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "run" })
		if !slices.Equal(verdicts, []string{want[check]}) {
			r.fails("%s in Polar: %s", check, strings.Join(names, ", "))
		}
		delete(want, check)
	}
	if len(want) > 0 {
		r.fails("not in Polar: %v", want)
	}
	events, err := r.store.VersionEvents(r.t.Context(), r.version.ID)
	r.must(err)
	activated := map[bool][]string{true: {"test", "activate"}, false: {"test"}}[r.good]
	if names := named(events); !slices.Equal(names, activated) {
		r.fails("the version in Polar: %s", strings.Join(names, ", "))
	}
}

// inPolar is what Polar was told of each check of the version.
func (r *round) inPolar() map[string][]string {
	r.t.Helper()
	told := map[string][]string{}
	all, err := r.store.Assessments(r.t.Context(), r.version.ID)
	r.must(err)
	for _, a := range all {
		events, err := r.store.AssessmentEvents(r.t.Context(), a.ID)
		r.must(err)
		told[a.Check] = named(events)
	}
	return told
}

func named(events []polarstore.Event) []string {
	var names []string
	for _, ev := range events {
		names = append(names, ev.Name)
	}
	return names
}
