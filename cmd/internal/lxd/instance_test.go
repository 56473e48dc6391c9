package lxd_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// label marks what these tests create.
const label = "user.icepak.run"

// create makes an instance from an image on the server.
func create(t *testing.T, s *lxd.Server, options ...lxdtest.Option) *lxd.Instance {
	t.Helper()
	inst, err := s.Create(t.Context(), lxd.Request{
		Name:   lxdtest.Name(t),
		Type:   "container",
		Source: lxd.Source{Fingerprint: lxdtest.Image(t, options...)},
		Config: map[string]string{label: rand.Text()},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return inst
}

// launch makes an instance and starts it.
func launch(t *testing.T, s *lxd.Server) *lxd.Instance {
	t.Helper()
	inst := create(t, s)
	if err := inst.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return inst
}

// until waits for a condition, for as long as a test may take.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestInstanceLifecycle(t *testing.T) {
	s := lxdtest.Server(t)
	inst := create(t, s)
	ctx := t.Context()
	looked, err := s.Instance(t.Context(), inst.Name()) // Create has not asked what was made
	if err != nil {
		t.Fatal(err)
	}
	if got := looked.Architecture(); got != s.Architectures()[0] {
		t.Errorf("architecture %s, want %s", got, s.Architectures()[0])
	}
	if inst.Fetched() {
		t.Error("Fetched, of an image that was on the server")
	}
	if inst.Type() != "container" || looked.ImageProperties()["os"] != "Tiny" || looked.ImageProperties()["release"] != "one" {
		t.Errorf("type %s, image %v", inst.Type(), looked.ImageProperties())
	}
	content := []byte("#!/bin/sh\ncat /etc/os-release\n")
	if err := inst.Push(ctx, "/usr/local/lib/icepak/deep/probe", bytes.NewReader(content), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := inst.Push(ctx, "/empty", bytes.NewReader(nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, err := inst.Status(ctx); status != "Stopped" || err != nil {
		t.Errorf("before the start: %s, %v", status, err)
	}
	if err := inst.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if status, err := inst.Status(ctx); status != "Running" || err != nil {
		t.Errorf("after the start: %s, %v", status, err)
	}
	var out bytes.Buffer
	code, err := inst.Exec(ctx, lxd.ExecRequest{Args: []string{"/usr/local/lib/icepak/deep/probe"}, Stdout: &out})
	if code != 0 || err != nil || !strings.Contains(out.String(), "NAME=Tiny") {
		t.Errorf("the pushed program: exit %d, %v, %q", code, err, out.String())
	}
	out.Reset()
	if _, err := inst.Exec(ctx, lxd.ExecRequest{Args: []string{"stat", "-c", "%a %u %n", "/usr/local", "/usr/local/lib/icepak", "/empty"}, Stdout: &out}); err != nil {
		t.Error(err)
	}
	if want := "755 0 /usr/local\n755 0 /usr/local/lib/icepak\n600 0 /empty\n"; out.String() != want {
		t.Errorf("modes:\n%swant:\n%s", out.String(), want)
	}
	for range 2 { // once it is there, once it is gone
		if err := inst.Remove(ctx, "/empty"); err != nil {
			t.Error(err)
		}
	}
	if code, err := inst.Exec(ctx, lxd.ExecRequest{Args: []string{"test", "-e", "/empty"}}); code != 1 || err != nil {
		t.Errorf("the removed file: exit %d, %v", code, err)
	}
	until(t, "the console has what init printed", func() bool {
		console, err := inst.Console(ctx)
		return err == nil && strings.Contains(console, "tiny boots")
	})
	if log, err := inst.Log(ctx, "lxc.log"); err != nil || log != "" && !strings.Contains(log, "lxc ") {
		t.Errorf("log: %v, %q", err, log)
	}
	if _, err := inst.Log(ctx, "nosuch.log"); err == nil {
		t.Error("no error for a log that is not there")
	}
	for range 2 { // once it runs, once it is gone
		if err := inst.Delete(ctx); err != nil {
			t.Fatal(err)
		}
	}
	var missing *lxd.NotFoundError
	if _, err := s.Instance(ctx, inst.Name()); !errors.As(err, &missing) {
		t.Errorf("after the deletion: %v", err)
	}
}

// A push must not change folders that the image has.
func TestPushLeavesFoldersOfTheImage(t *testing.T) {
	s := lxdtest.Server(t)
	inst := launch(t, s)
	ctx := t.Context()
	if _, err := inst.Exec(ctx, lxd.ExecRequest{Args: []string{"chmod", "1777", "/tmp", "/srv"}}); err != nil {
		t.Fatal(err)
	}
	if err := inst.Push(ctx, "/srv/new/file", strings.NewReader("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := inst.Exec(ctx, lxd.ExecRequest{Args: []string{"stat", "-c", "%a", "/srv"}, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != "1777" {
		t.Errorf("mode of /srv is now %s", got)
	}
}

func TestPushToMissingInstanceFails(t *testing.T) {
	s := lxdtest.Server(t)
	inst := create(t, s)
	if err := inst.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := inst.Push(t.Context(), "/a/b/c", strings.NewReader("x"), 0o644); err == nil {
		t.Error("no error")
	}
}

func TestStartTellsWhoIsToBlame(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		option lxdtest.Option
		says   string
	}{
		{"init is missing", lxdtest.NoInit, "/sbin/init: no such file or directory"},
		{"init may not be executed", lxdtest.NoExec, "/sbin/init: permission denied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inst := create(t, lxdtest.Server(t), test.option)
			err := inst.Start(t.Context())
			var failed *lxd.StartError
			if !errors.As(err, &failed) {
				t.Fatalf("got %v", err)
			}
			if !failed.ImageFault || !strings.Contains(err.Error(), test.says) {
				t.Errorf("image fault %t, %v", failed.ImageFault, err)
			}
		})
	}
	t.Run("a device is missing", func(t *testing.T) {
		t.Parallel()
		s := lxdtest.Server(t)
		inst, err := s.Create(t.Context(), lxd.Request{
			Name: lxdtest.Name(t), Type: "container",
			Source:  lxd.Source{Fingerprint: lxdtest.Image(t)},
			Devices: map[string]map[string]string{"gone": {"type": "unix-char", "path": "/dev/nosuch"}},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = inst.Start(t.Context())
		var failed *lxd.StartError
		if !errors.As(err, &failed) || failed.ImageFault {
			t.Errorf("got %v", err)
		}
	})
}

// A guest that ends at once: Status shows it, and a deletion right then works. Incus
// says that the start failed where the guest was gone before it had looked; that
// is not the word of an init that cannot be run.
func TestGuestThatEndsAtOnce(t *testing.T) {
	t.Parallel()
	inst := create(t, lxdtest.Server(t), lxdtest.InitExits)
	err := inst.Start(t.Context())
	var failed *lxd.StartError
	if err != nil && (!errors.As(err, &failed) || failed.ImageFault) {
		t.Fatalf("start: %v", err)
	}
	until(t, "the instance is stopped", func() bool {
		status, err := inst.Status(t.Context())
		return err == nil && status == "Stopped"
	})
	if err := inst.Delete(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestExec(t *testing.T) {
	s := lxdtest.Server(t)
	inst := launch(t, s)
	tests := []struct {
		name           string
		request        lxd.ExecRequest
		code           int
		stdout, stderr string
	}{
		{"output and errors are apart", lxd.ExecRequest{Args: []string{"sh", "-c", "echo out; echo err >&2"}}, 0, "out\n", "err\n"},
		{"an exit code", lxd.ExecRequest{Args: []string{"sh", "-c", "exit 42"}}, 42, "", ""},
		{"a signal", lxd.ExecRequest{Args: []string{"sh", "-c", "kill -9 $$"}}, 137, "", ""},
		{"a command that does not exist", lxd.ExecRequest{Args: []string{"/nosuch"}}, 127, "", ""},
		{"a command that is not executable", lxd.ExecRequest{Args: []string{"/etc/passwd"}}, 126, "", ""},
		{"environment", lxd.ExecRequest{Args: []string{"sh", "-c", "echo $A"}, Env: map[string]string{"A": "b c"}}, 0, "b c\n", ""},
		{"input", lxd.ExecRequest{Args: []string{"wc", "-c"}, Stdin: strings.NewReader(strings.Repeat("x", 1<<20))}, 0, "1048576\n", ""},
		{"no input", lxd.ExecRequest{Args: []string{"wc", "-c"}}, 0, "0\n", ""},
		{"input that is not read", lxd.ExecRequest{Args: []string{"true"}, Stdin: strings.NewReader(strings.Repeat("x", 1<<22))}, 0, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			test.request.Stdout, test.request.Stderr = &stdout, &stderr
			code, err := inst.Exec(t.Context(), test.request)
			if err != nil || code != test.code || stdout.String() != test.stdout || stderr.String() != test.stderr {
				t.Errorf("exit %d, %v, stdout %q, stderr %q", code, err, stdout.String(), stderr.String())
			}
		})
	}
}

// All of the output is there when Exec returns, however much, and every time.
func TestExecReturnsAllOutput(t *testing.T) {
	inst := launch(t, lxdtest.Server(t))
	var out bytes.Buffer
	code, err := inst.Exec(t.Context(), lxd.ExecRequest{
		Args:   []string{"dd", "if=/dev/zero", "bs=1024", "count=5120"},
		Stdout: &out,
	})
	if code != 0 || err != nil || out.Len() != 5<<20 {
		t.Errorf("exit %d, %v, %d bytes", code, err, out.Len())
	}
}

// A command that is over at once gives its output and its exit code, every
// time, also beside others.
func TestExecOfShortCommands(t *testing.T) {
	inst := launch(t, lxdtest.Server(t))
	var parallel sync.WaitGroup
	for worker := range 4 {
		parallel.Go(func() {
			for n := range 15 {
				var out bytes.Buffer
				code, err := inst.Exec(t.Context(), lxd.ExecRequest{Args: []string{"echo", fmt.Sprint(n)}, Stdout: &out})
				if code != 0 || err != nil || out.String() != fmt.Sprintln(n) {
					t.Errorf("%d, %d: exit %d, %v, %q", worker, n, code, err, out.String())
				}
			}
		})
	}
	parallel.Wait()
}

// A guest that prints without end, to somebody who has had enough.
func TestExecStopsWhenItsOutputIsNotTaken(t *testing.T) {
	inst := launch(t, lxdtest.Server(t))
	enough := errors.New("enough")
	_, err := inst.Exec(t.Context(), lxd.ExecRequest{Args: []string{"yes"}, Stdout: &limited{left: 1 << 20, err: enough}})
	if !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

// A limited takes some bytes, then fails.
type limited struct {
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, l.err
	}
	return len(p), nil
}

func TestExecEndsWithItsContext(t *testing.T) {
	inst := launch(t, lxdtest.Server(t))
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	go func() {
		_, _ = reader.Read(make([]byte, 16)) // it runs
		cancel()
	}()
	_, err := inst.Exec(ctx, lxd.ExecRequest{Args: []string{"sh", "-c", "echo runs; exec sleep 77777"}, Stdout: writer})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	until(t, "the command is killed", func() bool {
		var out bytes.Buffer
		_, err := inst.Exec(t.Context(), lxd.ExecRequest{Args: []string{"ps"}, Stdout: &out})
		return err == nil && !strings.Contains(out.String(), "77777")
	})
}

func TestExecOfStoppedInstanceFails(t *testing.T) {
	inst := create(t, lxdtest.Server(t))
	if _, err := inst.Exec(t.Context(), lxd.ExecRequest{Args: []string{"true"}}); err == nil {
		t.Error("no error")
	}
}

func TestLabelledFindsInstances(t *testing.T) {
	s := lxdtest.Server(t)
	inst := create(t, s)
	found, err := s.Labelled(t.Context(), label)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range found {
		if l.Name == inst.Name() {
			if l.Project != lxdtest.Remote(t).Project || l.Type != "container" || l.Status != "Stopped" || l.Config[label] == "" || time.Since(l.CreatedAt) > time.Hour {
				t.Errorf("got %+v", l)
			}
			return
		}
	}
	t.Errorf("%s is not among %d instances", inst.Name(), len(found))
}
