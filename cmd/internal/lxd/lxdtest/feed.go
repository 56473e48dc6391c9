package lxdtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// A Feed is an image server that LXD and Incus on this machine can read.
type Feed struct {
	URL string

	mu       sync.Mutex
	products map[string]any
	files    map[string]string // path on the server: path on disk
	throttle time.Duration
}

// NewFeed starts a feed without any images. It stops when the test ends.
func NewFeed(t testing.TB) *Feed {
	t.Helper()
	f := &Feed{products: map[string]any{}, files: map[string]string{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.URL = server.URL
	return f
}

// Publish adds a split image of containers as a version of the product
// os:release:arch:variant, and returns its fingerprint.
func (f *Feed) Publish(t testing.TB, product, serial, dir string) string {
	t.Helper()
	meta, root := filepath.Join(dir, "incus.tar.xz"), filepath.Join(dir, "rootfs.squashfs")
	fingerprint, err := lxd.Fingerprint(meta, root)
	if err != nil {
		t.Fatal(err)
	}
	folder := "images/" + strings.ReplaceAll(product, ":", "/") + "/" + serial + "/"
	item := func(path, name, ftype string) map[string]any {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f.files["/"+folder+name] = path
		sum := sha256.Sum256(data)
		return map[string]any{"ftype": ftype, "path": folder + name, "size": len(data), "sha256": hex.EncodeToString(sum[:])}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	items := map[string]any{"root.squashfs": item(root, "root.squashfs", "squashfs")}
	for _, name := range []string{"lxd.tar.xz", "incus.tar.xz"} { // each reads its own
		metadata := item(meta, name, name)
		metadata["combined_squashfs_sha256"] = fingerprint
		items[name] = metadata
	}
	version := map[string]any{"items": items}
	parts := strings.SplitN(product, ":", 4)
	known, ok := f.products[product].(map[string]any)
	if !ok {
		known = map[string]any{
			"aliases": parts[0] + "/" + parts[1], "os": parts[0], "release": parts[1], "release_title": parts[1],
			"arch": parts[2], "variant": parts[3], "versions": map[string]any{},
		}
		f.products[product] = known
	}
	known["versions"].(map[string]any)[serial] = version
	return fingerprint
}

// ServeHTTP serves the index, the products and the files.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	path, throttle := f.files[r.URL.Path], f.throttle
	streams, err := f.streams(r.URL.Path)
	f.mu.Unlock()
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	case streams != nil:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(streams)
	case path == "":
		http.NotFound(w, r)
	case throttle > 0:
		serveSlowly(w, r, path, throttle)
	default:
		http.ServeFile(w, r, path)
	}
}

// streams returns the index or the products, or nothing for another path.
func (f *Feed) streams(path string) ([]byte, error) {
	switch path {
	case "/streams/v1/index.json":
		names := slices.Sorted(maps.Keys(f.products))
		return json.Marshal(map[string]any{"format": "index:1.0", "index": map[string]any{"images": map[string]any{
			"datatype": "image-downloads", "path": "streams/v1/images.json", "products": names,
		}}})
	case "/streams/v1/images.json":
		return json.Marshal(map[string]any{"content_id": "images", "datatype": "image-downloads", "format": "products:1.0", "products": f.products})
	}
	return nil, nil
}

// serveSlowly takes the time d to send the file.
func serveSlowly(w http.ResponseWriter, r *http.Request, path string, d time.Duration) {
	data, err := os.ReadFile(path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	const chunks = 100
	ticker := time.NewTicker(d / chunks)
	defer ticker.Stop()
	for chunk := range slices.Chunk(data, len(data)/chunks+1) {
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		}
		if _, err := w.Write(chunk); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
	}
}

// Throttle makes the sending of each file take the time d.
func (f *Feed) Throttle(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.throttle = d
}
