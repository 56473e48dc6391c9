package polarserver

import (
	"compress/gzip"
	"context"
	"database/sql"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// Other processes work on the same folder: what they change is seen at once.
func TestFeedIsAsTheStoreIsNow(t *testing.T) {
	s, dir := newStore(t)
	other, err := polarstore.Open(t.Context(), dir, polarstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	v := importBuild(t, s, testSerial, "test")
	h := New(s, Options{})
	_, token := addSpace(t, s, "testing", "lxd")
	for _, name := range []string{"index.json", "images.json"} {
		t.Run(name, func(t *testing.T) {
			path := "/spaces/" + token + "/streams/v1/" + name
			first := get(h, path)
			if first.Code != http.StatusOK || !strings.Contains(first.Body.String(), testKey) {
				t.Fatalf("%d %s", first.Code, first.Body)
			}
			if rec := get(h, "/spaces/"+token+"/items/2"); rec.Code != http.StatusOK {
				t.Fatal(rec.Code)
			}
			same := get(h, path, "If-None-Match", first.Header().Get("ETag"))
			if same.Code != http.StatusNotModified || same.Body.Len() > 0 {
				t.Errorf("asked again: %d %s", same.Code, same.Body)
			}
			if _, err := other.FireVersion(t.Context(), v.ID, "deactivate", polarstore.By{}); err != nil {
				t.Fatal(err)
			}
			if rec := get(h, path, "If-None-Match", first.Header().Get("ETag")); rec.Code != http.StatusOK || strings.Contains(rec.Body.String(), testKey) {
				t.Errorf("after a change: %d %s", rec.Code, rec.Body)
			}
			if _, err := other.FireVersion(t.Context(), v.ID, "test", polarstore.By{}); err != nil {
				t.Fatal(err)
			}
			if rec := get(h, path); rec.Body.String() != first.Body.String() || rec.Header().Get("ETag") != first.Header().Get("ETag") {
				t.Errorf("as it was before: %s %s", rec.Header().Get("ETag"), rec.Body)
			}
		})
	}
}

func TestFeedIsGzippedForThoseWhoTakeIt(t *testing.T) {
	s, _ := newStore(t)
	importBuild(t, s, testSerial, "test")
	h := New(s, Options{})
	_, token := addSpace(t, s, "testing", "lxd")
	path := "/spaces/" + token + "/streams/v1/images.json"
	plain := get(h, path)
	for accept, zipped := range map[string]bool{
		"": false, "br": false, "gzip;q=0": false, "gzip; q=0.0, br": false, "gzip;q=x": false, "xgzip": false,
		"gzip": true, "br, GZIP": true, "deflate, gzip;q=0.5": true,
	} {
		t.Run(accept, func(t *testing.T) {
			rec := get(h, path, "Accept-Encoding", accept)
			var body io.Reader = rec.Body
			if got := rec.Header().Get("Content-Encoding") == "gzip"; got != zipped {
				t.Fatalf("gzipped: %v", got)
			}
			if zipped {
				var err error
				if body, err = gzip.NewReader(rec.Body); err != nil {
					t.Fatal(err)
				}
				if rec.Header().Get("ETag") == plain.Header().Get("ETag") {
					t.Error("two forms have one ETag")
				}
			}
			if text, err := io.ReadAll(body); err != nil || string(text) != plain.Body.String() {
				t.Errorf("%v: %s", err, text)
			}
		})
	}
}

func TestManyMayAskForAChangedFeedAtOnce(t *testing.T) {
	s, _ := newStore(t)
	v := importBuild(t, s, testSerial, "test")
	h := New(s, Options{})
	_, token := addSpace(t, s, "testing", "lxd")
	for range 5 {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if rec := get(h, "/spaces/"+token+"/streams/v1/images.json"); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), testSerial) {
					t.Errorf("%d %s", rec.Code, rec.Body)
				}
			})
		}
		wg.Wait()
		if _, err := s.FireVersion(t.Context(), v.ID, "test", polarstore.By{}); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkFeed asks for the feed of 500 products with 10 versions each, which
// have 4 items each.
func BenchmarkFeed(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "polar")
	s, err := polarstore.Open(b.Context(), dir, polarstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	fill(b, dir)
	_, token, err := s.AddSpace(b.Context(), polarstore.Space{Channel: "testing", Type: "lxd"})
	if err != nil {
		b.Fatal(err)
	}
	h := New(s, Options{})
	ask := func(b *testing.B, name string) {
		if rec := get(h, "/spaces/"+token+"/streams/v1/"+name, "Accept-Encoding", "gzip"); rec.Code != http.StatusOK {
			b.Fatal(rec.Code)
		}
	}
	for _, name := range []string{"index.json", "images.json"} {
		b.Run(name, func(b *testing.B) {
			ask(b, name)
			for b.Loop() {
				ask(b, name)
			}
		})
	}
	b.Run("images.json after a change", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			if _, err := s.FireVersion(b.Context(), 1, "test", polarstore.By{}); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			ask(b, "images.json")
		}
	})
}

// fill makes 500 products with 10 versions in testing, of 4 items.
func fill(t testing.TB, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "polar.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(context.Background(), `BEGIN;
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
		INSERT INTO products (key, requirements, created_at) SELECT 'distribution:release' || i || ':amd64:default', '{"secureboot":"false"}', 0 FROM n;
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
		INSERT INTO versions (product_id, serial, state, created_at) SELECT p.id, 20260100 + n.i, 'created', 0 FROM products p, n;
		INSERT INTO items (version_id, name, file_type, hash, size, path, is_metadata, combined)
		SELECT v.id, f.name, f.type, lower(hex(randomblob(32))), 68423680, 'images/' || v.id || '/' || f.name, f.meta,
			CASE f.meta WHEN 1 THEN json_object('combined_squashfs_sha256', lower(hex(randomblob(32))), 'combined_disk-kvm-img_sha256', lower(hex(randomblob(32)))) ELSE '{}' END
		FROM versions v, (SELECT 'incus.tar.xz' AS name, 'incus.tar.xz' AS type, 1 AS meta UNION ALL SELECT 'lxd.tar.xz', 'lxd.tar.xz', 1
			UNION ALL SELECT 'rootfs.squashfs', 'squashfs', 0 UNION ALL SELECT 'disk.qcow2', 'disk-kvm.img', 0) f;
		UPDATE versions SET state = 'testing';
		COMMIT`)
	if err != nil {
		t.Fatal(err)
	}
}
