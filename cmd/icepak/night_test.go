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
