package push

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/build"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/polarserver"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

const (
	testProduct = "debian:bookworm:amd64:default"
	testSerial  = "20261122-01"
	password    = "bot-password"
)

// A site is an embedded Polar that a test pushes to.
type site struct {
	store  *polarstore.Store
	server *httptest.Server
	client *polar.Client
	dir    string
}

// newSite serves a Polar with one product. What wrap returns stands before it.
func newSite(t testing.TB, wrap func(http.Handler) http.Handler) *site {
	t.Helper()
	s := &site{dir: filepath.Join(t.TempDir(), "polar")}
	var err error
	if s.store, err = polarstore.Open(t.Context(), s.dir, polarstore.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	if err := s.store.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.AddProduct(t.Context(), testProduct, nil); err != nil {
		t.Fatal(err)
	}
	h := polarserver.New(s.store, polarserver.Options{})
	if wrap != nil {
		h = wrap(h)
	}
	s.server = httptest.NewServer(h)
	t.Cleanup(s.server.Close)
	s.client = login(t, s.server.URL)
	return s
}

func login(t testing.TB, url string) *polar.Client {
	t.Helper()
	c, err := polar.New(url, polar.Options{RetryWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Authenticate(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	return c
}

// push pushes the build in dir.
func (s *site) push(t *testing.T, dir string) (Result, error) {
	t.Helper()
	return Run(t.Context(), s.client, options(dir))
}

func options(dir string) Options {
	return Options{Dir: dir, Product: testProduct, Serial: testSerial, RetryWait: time.Millisecond, partSize: smallPart}
}

// version is the version that was pushed to the product.
func (s *site) version(t *testing.T, product string) polarstore.Version {
	t.Helper()
	all, err := s.store.Versions(t.Context(), product)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d versions, %v", len(all), err)
	}
	return all[0]
}

// holds fails unless the product's version has exactly the files of the build in dir, in
// testing, and nothing else is left of its upload.
func (s *site) holds(t *testing.T, product, dir string) {
	t.Helper()
	v := s.version(t, product)
	if v.State != "testing" || v.Serial != testSerial {
		t.Errorf("%+v", v)
	}
	items, err := s.store.Items(t.Context(), v.ID)
	if err != nil {
		t.Fatal(err)
	}
	sources, err := build.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != len(sources)+1 {
		t.Errorf("%d items of %d files", len(items), len(sources))
	}
	for _, it := range items {
		name := it.Name
		if name == "lxd.tar.xz" {
			name = "incus.tar.xz"
		}
		want := sumOf(t, filepath.Join(dir, name))
		if got := sumOf(t, filepath.Join(s.dir, "files", it.Path)); got != want || it.Hash != want {
			t.Errorf("%s is not what was pushed", it.Name)
		}
	}
	if left := s.left(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// left lists the files of uploads that no version has.
func (s *site) left(t *testing.T) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(s.dir, "files", "uploads", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func sumOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// large is enough for three parts.
const large = 2*smallPart + 12345

// smallPart is how large parts are here, so that tests are fast.
const smallPart = 64 << 10

// writeBuild writes a build whose files have these sizes and whose contents are
// those of the seed.
func writeBuild(t testing.TB, seed byte, sizes map[string]int64) string {
	t.Helper()
	dir := t.TempDir()
	for name, size := range sizes {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		random := rand.NewChaCha8([32]byte{seed, byte(len(name))})
		buf := make([]byte, 1<<20)
		for size > 0 {
			n := min(size, int64(len(buf)))
			random.Read(buf[:n])
			if _, err := f.Write(buf[:n]); err != nil {
				t.Fatal(err)
			}
			size -= n
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func container(t testing.TB, seed byte, size int64) string {
	t.Helper()
	return writeBuild(t, seed, map[string]int64{"incus.tar.xz": 300, "rootfs.squashfs": size})
}
