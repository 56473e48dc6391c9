package lxd_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// onFirstWrite calls a function when something is written to it first.
type onFirstWrite struct {
	call func()
	done bool
}

func (w *onFirstWrite) Write(p []byte) (int, error) {
	if !w.done {
		w.done = true
		w.call()
	}
	return len(p), nil
}

// endless prints, and does not end by itself.
var endless = []string{"sh", "-c", "while echo tick; do sleep 1; done"}

// within fails the test when f takes longer than a minute: it hangs.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it hangs")
	}
}

func TestExecThatIsCutOffIsAnError(t *testing.T) {
	proxy := lxdtest.NewProxy(t, lxdtest.Remote(t))
	inst := launch(t, lxdtest.Connect(t, proxy.Remote))
	within(t, func() {
		_, err := inst.Exec(t.Context(), lxd.ExecRequest{Args: endless, Stdout: &onFirstWrite{call: proxy.Cut}})
		if err == nil {
			t.Error("no error")
		}
	})
}

func TestExecEndsWithItsContextThoughTheServerIsSilent(t *testing.T) {
	proxy := lxdtest.NewProxy(t, lxdtest.Remote(t))
	inst := launch(t, lxdtest.Connect(t, proxy.Remote))
	t.Run("during the command", func(t *testing.T) {
		defer proxy.BlackHole(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		within(t, func() {
			silence := &onFirstWrite{call: func() { proxy.BlackHole(true) }}
			if _, err := inst.Exec(ctx, lxd.ExecRequest{Args: endless, Stdout: silence}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("before the command", func(t *testing.T) {
		proxy.BlackHole(true)
		defer proxy.BlackHole(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		within(t, func() {
			if _, err := inst.Exec(ctx, lxd.ExecRequest{Args: endless}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	})
}

// No call waits longer than its context, whatever the server does.
func TestCallsEndWithTheirContext(t *testing.T) {
	proxy := lxdtest.NewProxy(t, lxdtest.Remote(t))
	s := lxdtest.Connect(t, proxy.Remote)
	inst := create(t, s)
	image := lxdtest.Tiny(t, lxdtest.Unique)
	// What is held back is done in the end, but not to an instance that is gone.
	if err := inst.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.BlackHole(true)
	defer proxy.BlackHole(false)
	calls := map[string]func(context.Context) error{
		"Status":  func(ctx context.Context) error { _, err := inst.Status(ctx); return err },
		"Start":   inst.Start,
		"Delete":  inst.Delete,
		"Console": func(ctx context.Context) error { _, err := inst.Console(ctx); return err },
		"Log":     func(ctx context.Context) error { _, err := inst.Log(ctx, "lxc.log"); return err },
		"Push": func(ctx context.Context) error {
			return inst.Push(ctx, "/x", bytes.NewReader(make([]byte, 8<<20)), 0o755)
		},
		"Upload": func(ctx context.Context) error {
			_, err := s.Upload(ctx, image+"/incus.tar.xz", image+"/rootfs.squashfs", "container", nil)
			return err
		},
		"Connect": func(ctx context.Context) error {
			_, err := lxd.Connect(ctx, proxy.Remote, "icepak-test")
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			within(t, func() {
				if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// A connection that is lost while an operation is waited for is made again.
func TestOperationOutlivesItsConnection(t *testing.T) {
	proxy := lxdtest.NewProxy(t, lxdtest.Remote(t))
	s := lxdtest.Connect(t, proxy.Remote)
	feed := lxdtest.NewFeed(t)
	feed.Throttle(3 * time.Second)
	fingerprint := feed.Publish(t, product, "20250101-01", lxdtest.Tiny(t, lxdtest.Unique))
	forget(t, lxdtest.Server(t), fingerprint)
	cuts := 0
	_, err := s.Create(t.Context(), fromFeed(t, feed.URL, fingerprint), func(lxd.Progress) {
		cuts++
		proxy.Cut()
	})
	if err != nil || cuts == 0 {
		t.Errorf("after %d cuts: %v", cuts, err)
	}
}

func TestDeleteTriesAgain(t *testing.T) {
	proxy := lxdtest.NewProxy(t, lxdtest.Remote(t))
	inst := launch(t, lxdtest.Connect(t, proxy.Remote))
	proxy.Swallow(4)
	if err := inst.Delete(t.Context()); err != nil {
		t.Error(err)
	}
	wantGone(t, lxdtest.Server(t), inst.Name())
}

func TestUploadOfBrokenImageFails(t *testing.T) {
	s := lxdtest.Server(t)
	dir := lxdtest.Tiny(t, lxdtest.Unique)
	// The files' roles are exchanged, so that the metadata is none.
	if _, err := s.Upload(t.Context(), dir+"/rootfs.squashfs", dir+"/incus.tar.xz", "container", nil); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
