package polarserver

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

const (
	testKey    = "debian:bookworm:amd64:default"
	testSerial = "20260102-01"
)

// newStore makes a store, whose folder it returns too.
func newStore(t *testing.T) (s *polarstore.Store, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "polar")
	s, err := polarstore.Open(t.Context(), dir, polarstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, dir
}

// importBuild makes a version of a container in the product testKey, and fires
// events on it.
func importBuild(t *testing.T, s *polarstore.Store, serial string, events ...string) polarstore.Version {
	t.Helper()
	build := t.TempDir()
	for _, name := range []string{"incus.tar.xz", "rootfs.squashfs"} {
		if err := os.WriteFile(filepath.Join(build, name), []byte(name+" of "+serial), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Product(t.Context(), testKey); err != nil {
		if _, err := s.AddProduct(t.Context(), testKey, nil); err != nil {
			t.Fatal(err)
		}
	}
	done, err := s.ImportVersion(t.Context(), testKey, serial, build)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		if _, err := s.FireVersion(t.Context(), done.Version.ID, event, polarstore.By{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	return done.Version
}

// testCluster is a cluster with a key pair of its own.
func testCluster(t *testing.T, name string) polarstore.Cluster {
	t.Helper()
	cert, key, err := lxd.NewIdentity(name)
	if err != nil {
		t.Fatal(err)
	}
	return polarstore.Cluster{Name: name, Type: "lxd", Arch: "amd64", Endpoint: "https://" + name + ".example.com:8443",
		Certificate: string(cert), PrivateKey: polarstore.Secret(key)}
}

func sum(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(h[:])
}

// countSessions counts the sessions in the data folder.
func countSessions(t *testing.T, dir string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "polar.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM sessions").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
