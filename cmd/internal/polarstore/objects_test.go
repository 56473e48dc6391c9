package polarstore

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/upmaru/icepak/cmd/internal/build"
)

const (
	metaKey = testTarget + "/incus.tar.xz"
	rootKey = testTarget + "/rootfs.squashfs"
)

// newBucket makes a store with a product and a clock.
func newBucket(t *testing.T) (*Store, Product, *clock) {
	t.Helper()
	s := newStore(t)
	c := &clock{time.Now()}
	s.now = c.now
	p, err := s.AddProduct(t.Context(), testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, p, c
}

func text(s string) Content { return Content{Body: strings.NewReader(s)} }

func putObject(t *testing.T, s *Store, key, content string) Object {
	t.Helper()
	o, err := s.PutObject(t.Context(), key, text(content))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// containerItems are the items of a container whose files have these texts.
func containerItems(meta, root string) []Item {
	return buildItems([]build.File{
		{Name: "incus.tar.xz", Size: int64(len(meta)), Hash: sum(meta)},
		{Name: "rootfs.squashfs", Size: int64(len(root)), Hash: sum(root), Combined: sum(meta, root)},
	}, testTarget)
}

func md5Hex(text string) string {
	tag := md5.Sum([]byte(text))
	return hex.EncodeToString(tag[:])
}

// uploadedFiles lists what is in uploads.
func uploadedFiles(t *testing.T, s *Store) []string {
	t.Helper()
	entries, err := fs.ReadDir(s.files.FS(), uploadsName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
	return names
}

func TestUploadsBecomeAVersionsFiles(t *testing.T) {
	s, p, _ := newBucket(t)
	ctx := t.Context()
	if o := putObject(t, s, metaKey, "meta"); o.ETag != md5Hex("meta") || o.Size != 4 {
		t.Errorf("%+v", o)
	}
	putObject(t, s, rootKey, "an older root")
	putObject(t, s, rootKey, "root")
	if got := uploadedFiles(t, s); len(got) != 2 {
		t.Errorf("files %v", got)
	}
	v, err := s.CreateVersion(ctx, p.ID, testSerial, containerItems("meta", "root"), "")
	if err != nil {
		t.Fatal(err)
	}
	fire(t, s, v, "test")
	for key, want := range map[string]string{metaKey: "meta", rootKey: "root"} {
		if data, err := s.files.ReadFile(key); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", key, data, err)
		}
		if o, err := s.Object(ctx, key); err != nil || o.ETag != sum(want) || o.Size != int64(len(want)) {
			t.Errorf("%s: %+v, %v", key, o, err)
		}
		if _, err := s.PutObject(ctx, key, text("another")); !isRefused(err) {
			t.Errorf("%s: overwritten: %v", key, err)
		}
		if _, err := s.BeginUpload(ctx, key); !isRefused(err) {
			t.Errorf("%s: overwritten in parts: %v", key, err)
		}
	}
	if got := uploadedFiles(t, s); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestVersionsWithoutTheirFilesAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(t *testing.T, s *Store)
		want  string
	}{
		{"one is missing", func(t *testing.T, s *Store) { putObject(t, s, rootKey, "root") }, "lxd.tar.xz was not uploaded"},
		{"one is cut", func(t *testing.T, s *Store) {
			putObject(t, s, metaKey, "meta")
			putObject(t, s, rootKey, "roo")
		}, "rootfs.squashfs was uploaded with 3 bytes and not 4"},
		{"one is another", func(t *testing.T, s *Store) {
			putObject(t, s, metaKey, "meta")
			putObject(t, s, rootKey, "boot")
		}, "rootfs.squashfs was uploaded with another content"},
		{"one is lost", func(t *testing.T, s *Store) {
			putObject(t, s, metaKey, "meta")
			putObject(t, s, rootKey, "root")
			o, err := s.storedObject(t.Context(), s.read, rootKey)
			if err != nil {
				t.Fatal(err)
			}
			s.discard(o.file)
		}, "is not there any more"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, p, _ := newBucket(t)
			tt.setup(t, s)
			_, err := s.CreateVersion(t.Context(), p.ID, testSerial, containerItems("meta", "root"), "")
			if !isRefused(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if _, err := s.Version(t.Context(), p.ID, testSerial); !isNotFound(err) {
				t.Errorf("there is a version: %v", err)
			}
		})
	}
	t.Run("none is uploaded", func(t *testing.T) {
		s, p, _ := newBucket(t)
		v, err := s.CreateVersion(t.Context(), p.ID, testSerial, containerItems("meta", "root"), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.FireVersion(t.Context(), v.ID, "test", By{}); !isRefused(err) || !strings.Contains(err.Error(), "has no incus.tar.xz of 4 bytes here") {
			t.Errorf("in testing: %v", err)
		}
	})
}

// A kill after the files have their places and before the version is there is as if
// nothing had been created.
func TestFilesOfAKilledCreationAreReplaced(t *testing.T) {
	s, p, _ := newBucket(t)
	writeFile(t, s, rootKey, "of a version that did not come about")
	putObject(t, s, metaKey, "meta")
	putObject(t, s, rootKey, "root")
	v, err := s.CreateVersion(t.Context(), p.ID, testSerial, containerItems("meta", "root"), "")
	if err != nil {
		t.Fatal(err)
	}
	fire(t, s, v, "test")
	if data, err := s.files.ReadFile(rootKey); err != nil || string(data) != "root" {
		t.Errorf("%q, %v", data, err)
	}
}

func TestAPathBelongsToOneVersion(t *testing.T) {
	s, p, _ := newBucket(t)
	importBuild(t, s, testSerial)
	items := containerItems("other meta", "other root") // at the same paths
	if _, err := s.CreateVersion(t.Context(), p.ID, "20260103", items, ""); !isRefused(err) || !strings.Contains(err.Error(), "has the path of a file of "+testKey+" "+testSerial) {
		t.Errorf("got %v", err)
	}
}

// An upload that a version came before is none of that version's.
func TestAVersionsFileHidesAnUpload(t *testing.T) {
	s, _, _ := newBucket(t)
	putObject(t, s, rootKey, "uploaded")
	importBuild(t, s, testSerial)
	if o, err := s.Object(t.Context(), rootKey); err != nil || o.ETag != sum("rootfs.squashfs of "+testSerial) {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestKeysOutsideOfTheBucketAreRefused(t *testing.T) {
	s, _, _ := newBucket(t)
	for _, key := range []string{
		"", "images", "polar.db", "incoming/a/b/c/d/e/f", "images/a/b/c/d/e", "images/a/b/c/d/e/f/g", "/" + rootKey,
		"images/../b/c/d/e/f", "images/a/b/c/d/./f", "images/a//c/d/e/f", "images/a/b/c/d/e/", "images/a/b/c/d/e/f\n",
		"images/a/b/c/d/e/" + strings.Repeat("f", 129), "images/a/b/c/d/e/\\f", "images/a/b/c/d/e/f f",
	} {
		var wrong InvalidError
		if _, err := s.PutObject(t.Context(), key, text("x")); !errors.As(err, &wrong) {
			t.Errorf("%q: %v", key, err)
		}
		if _, err := s.BeginUpload(t.Context(), key); !errors.As(err, &wrong) {
			t.Errorf("%q in parts: %v", key, err)
		}
	}
	if got := uploadedFiles(t, s); len(got) != 0 {
		t.Errorf("files %v", got)
	}
}

func TestBrokenUploadLeavesNothing(t *testing.T) {
	s, _, _ := newBucket(t)
	ctx := t.Context()
	broken := func() Content {
		return Content{Body: io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))}
	}
	if _, err := s.PutObject(ctx, rootKey, broken()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("object: %v", err)
	}
	id, err := s.BeginUpload(ctx, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutPart(ctx, rootKey, id, 1, broken()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("part: %v", err)
	}
	other := Content{Body: strings.NewReader("root"), MD5: md5Hex("boot")}
	if _, err := s.PutObject(ctx, rootKey, other); !errors.Is(err, ErrWrongMD5) {
		t.Errorf("another object: %v", err)
	}
	other.Body = strings.NewReader("root")
	if _, err := s.PutPart(ctx, rootKey, id, 1, other); !errors.Is(err, ErrWrongMD5) {
		t.Errorf("another part: %v", err)
	}
	if got := uploadedFiles(t, s); len(got) != 0 {
		t.Errorf("files %v", got)
	}
	if _, err := s.Object(ctx, rootKey); !isNotFound(err) {
		t.Errorf("there is an object: %v", err)
	}
}

func putPart(t *testing.T, s *Store, id string, number int, content string) Part {
	t.Helper()
	etag, err := s.PutPart(t.Context(), rootKey, id, number, text(content))
	if err != nil {
		t.Fatal(err)
	}
	return Part{number, etag}
}

func TestPartsMakeAnObject(t *testing.T) {
	s, _, _ := newBucket(t)
	ctx := t.Context()
	id, err := s.BeginUpload(ctx, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	third := putPart(t, s, id, 3, "and the last")
	putPart(t, s, id, 1, "sent twice ")
	first := putPart(t, s, id, 1, "the first ")
	unused := putPart(t, s, id, 2, "unused")
	for name, parts := range map[string][]Part{
		"none":          nil,
		"another":       {{1, unused.ETag}, third},
		"not uploaded":  {first, {4, first.ETag}},
		"out of order":  {third, first},
		"one twice":     {first, first, third},
		"number of no1": {{0, first.ETag}},
	} {
		var wrong InvalidError
		if _, err := s.CompleteUpload(ctx, rootKey, id, parts); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.CompleteUpload(ctx, metaKey, id, []Part{first}); !isNotFound(err) {
		t.Errorf("under another key: %v", err)
	}
	o, err := s.CompleteUpload(ctx, rootKey, id, []Part{first, third})
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := hex.DecodeString(first.ETag + third.ETag)
	if o.ETag != md5Hex(string(raw))+"-2" || o.Size != 22 {
		t.Errorf("%+v", o)
	}
	stored, err := s.storedObject(ctx, s.read, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := s.files.ReadFile(stored.file); err != nil || string(data) != "the first and the last" || stored.hash != sum(string(data)) {
		t.Errorf("%q %s, %v", data, stored.hash, err)
	}
	if got := uploadedFiles(t, s); len(got) != 1 {
		t.Errorf("files %v", got)
	}
	if _, err := s.CompleteUpload(ctx, rootKey, id, []Part{first, third}); !isNotFound(err) {
		t.Errorf("again: %v", err)
	}
}

func TestAbortedUploadLeavesNothing(t *testing.T) {
	s, _, _ := newBucket(t)
	id, err := s.BeginUpload(t.Context(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	putPart(t, s, id, 1, "x")
	if err := s.AbortUpload(t.Context(), rootKey, id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutPart(t.Context(), rootKey, id, 2, text("y")); !isNotFound(err) {
		t.Errorf("part of an aborted upload: %v", err)
	}
	if err := s.AbortUpload(t.Context(), rootKey, id); !isNotFound(err) {
		t.Errorf("again: %v", err)
	}
	if got := uploadedFiles(t, s); len(got) != 0 {
		t.Errorf("files %v", got)
	}
}

// Whoever completes an upload while another does gets the object or hears that the
// upload is none any more, and the object is whole.
func TestOfCompletionsAtOnceOneIsTaken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	stores := []*Store{openStore(t, dir), openStore(t, dir)}
	id, err := stores[0].BeginUpload(t.Context(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	part := putPart(t, stores[0], id, 1, strings.Repeat("root", 1<<18))
	var mu sync.Mutex
	taken := 0
	race(stores, func(s *Store) {
		_, err := s.CompleteUpload(t.Context(), rootKey, id, []Part{part})
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			taken++
		} else if !isNotFound(err) {
			t.Error(err)
		}
	})
	o, err := stores[0].Object(t.Context(), rootKey)
	if taken != 1 || err != nil || o.Size != 4<<18 {
		t.Errorf("%d taken, %+v, %v", taken, o, err)
	}
	if got := uploadedFiles(t, stores[0]); len(got) != 1 {
		t.Errorf("files %v", got)
	}
}

func touch(t *testing.T, s *Store, file string, at time.Time) {
	t.Helper()
	if err := s.files.Chtimes(uploadsName+"/"+file, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestAbandonedUploadsAreCollected(t *testing.T) {
	s, _, c := newBucket(t)
	ctx := t.Context()
	putObject(t, s, metaKey, "meta")
	id, err := s.BeginUpload(ctx, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	putPart(t, s, id, 1, "x")
	writeFile(t, s, uploadsName+"/KILLED", "half a file")
	for _, file := range uploadedFiles(t, s) {
		touch(t, s, file, c.t.Add(-time.Hour))
	}
	c.t = c.t.Add(25 * time.Hour)
	putPart(t, s, id, 2, "an upload that goes on")
	writeFile(t, s, uploadsName+"/RUNNING", "of a part that is being received")
	touch(t, s, "RUNNING", c.t)
	if err := s.CollectUploads(ctx, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Object(ctx, metaKey); !isNotFound(err) {
		t.Errorf("an object of yesterday: %v", err)
	}
	if got := uploadedFiles(t, s); len(got) != 3 {
		t.Errorf("files %v", got)
	}
	c.t = c.t.Add(25 * time.Hour)
	if err := s.CollectUploads(ctx, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := uploadedFiles(t, s); len(got) != 0 {
		t.Errorf("files %v", got)
	}
	if err := findUpload(ctx, s.read, rootKey, id); !isNotFound(err) {
		t.Errorf("an upload of yesterday: %v", err)
	}
}

func TestKeysForUploadsLastUntilThePasswordChanges(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	stores := []*Store{openStore(t, dir), openStore(t, dir)}
	var mu sync.Mutex
	made := map[string]bool{}
	race(stores, func(s *Store) {
		keys, err := s.StorageKeys(t.Context())
		if err != nil || len(keys.AccessKey) != 20 || len(keys.SecretKey) < 40 {
			t.Errorf("%q, %v", keys.AccessKey, err)
		}
		mu.Lock()
		defer mu.Unlock()
		made[keys.AccessKey+string(keys.SecretKey)] = true
	})
	if err := stores[0].SetPassword(t.Context(), "another password"); err != nil {
		t.Fatal(err)
	}
	keys, err := stores[1].StorageKeys(t.Context())
	if err != nil || len(made) != 1 || made[keys.AccessKey+string(keys.SecretKey)] {
		t.Errorf("%d pairs of keys, %v", len(made), err)
	}
	if s := fmt.Sprintf("%v %+v %#v", keys, keys, keys); strings.Contains(s, string(keys.SecretKey)) {
		t.Error("printed")
	}
}
