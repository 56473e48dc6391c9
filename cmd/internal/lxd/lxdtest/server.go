// Package lxdtest gives tests a real LXD or Incus server, tiny images, a feed that
// serves them, and a way to break the connection.
package lxdtest

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// Remote returns the remote that tests use: ICEPAK_TEST_REMOTE, which may be one of
// Incus's, or this machine's LXD, with the project ICEPAK_TEST_PROJECT, or icepak-test.
func Remote(t testing.TB) lxd.Remote {
	t.Helper()
	r, err := named(setting("ICEPAK_TEST_REMOTE", "lxc:local"))
	if err != nil {
		t.Fatal(err)
	}
	r.Project = setting("ICEPAK_TEST_PROJECT", "icepak-test")
	return r
}

func named(name string) (lxd.Remote, error) {
	config, err := lxd.LoadConfig(os.Getenv)
	if err != nil {
		return lxd.Remote{}, err
	}
	return config.Remote(name)
}

func setting(name, standard string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return standard
}

// Server connects to the tests' remote.
func Server(t testing.TB) *lxd.Server {
	t.Helper()
	return Connect(t, Remote(t))
}

// Connect connects to a remote, such as one behind a Proxy.
func Connect(t testing.TB, r lxd.Remote) *lxd.Server {
	t.Helper()
	s, err := lxd.Connect(t.Context(), r, "icepak-test")
	if err != nil {
		t.Fatalf("%s: run .ci/setup (%v)", r.Name, err)
	}
	t.Cleanup(s.Close)
	return s
}

// Name returns a name that no other instance has. The instance is deleted when
// the test ends.
func Name(t testing.TB) string {
	t.Helper()
	name := "t-" + strings.ToLower(rand.Text()[:12])
	s := Server(t)
	cleanup(t, func(ctx context.Context) error { return s.DeleteInstance(ctx, Remote(t).Project, name) })
	return name
}

// Image uploads a tiny image, as Tiny makes it, and returns its fingerprint. It
// is deleted when the test ends.
func Image(t testing.TB, options ...Option) string {
	t.Helper()
	s := Server(t)
	dir := Tiny(t, append(options, Unique)...)
	fingerprint, err := s.Upload(t.Context(), dir+"/incus.tar.xz", dir+"/rootfs.squashfs", "container", nil)
	if err != nil {
		t.Fatal(err)
	}
	cleanup(t, func(ctx context.Context) error { return s.DeleteImage(ctx, fingerprint) })
	return fingerprint
}

func cleanup(t testing.TB, f func(context.Context) error) {
	t.Cleanup(func() {
		// LXD 5.0 may answer nothing for a minute after an exec whose client is gone.
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		if err := f(ctx); err != nil {
			t.Error(err)
		}
	})
}
