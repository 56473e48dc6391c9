package polarstore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

const (
	testKey    = "debian:bookworm:amd64:default"
	testSerial = "20260102-01"
)

// clock is a time that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// newClock gives the store a clock of the test's.
func newClock(s *Store) *clock {
	c := &clock{time.Now()}
	s.now = c.now
	return c
}

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newStore(t *testing.T) *Store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "polar"))
}

// writeBuild writes a build's files, whose contents are all different for
// different seeds.
func writeBuild(t *testing.T, seed string, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name+" of "+seed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// importBuild makes a version of a container in the product testKey.
func importBuild(t *testing.T, s *Store, serial string) Version {
	t.Helper()
	if _, err := s.AddProduct(t.Context(), testKey, nil); err != nil && !isRefused(err) {
		t.Fatal(err)
	}
	done, err := s.ImportVersion(t.Context(), testKey, serial, writeBuild(t, serial, "incus.tar.xz", "rootfs.squashfs"))
	if err != nil {
		t.Fatal(err)
	}
	return done.Version
}

// fire fires events on a version that are to be taken.
func fire(t *testing.T, s *Store, v Version, events ...string) {
	t.Helper()
	for _, event := range events {
		if _, err := s.FireVersion(t.Context(), v.ID, event, By{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
}

// testCluster is a cluster with a key pair of its own.
func testCluster(t *testing.T, name string) Cluster {
	t.Helper()
	cert, key, err := lxd.NewIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return Cluster{
		Name: name, Type: "lxd", Arch: "amd64", Endpoint: "https://" + name + ".example.com:8443",
		Certificate: string(cert), PrivateKey: Secret(key),
	}
}

func isRefused(err error) bool {
	var refused *RefusedError
	return errors.As(err, &refused)
}

// stateOf returns the version's state now.
func stateOf(t *testing.T, s *Store, v Version) string {
	t.Helper()
	all, err := s.Versions(t.Context(), v.Product)
	if err != nil {
		t.Fatal(err)
	}
	for _, now := range all {
		if now.ID == v.ID {
			return now.State
		}
	}
	t.Fatalf("version %d is gone", v.ID)
	return ""
}
