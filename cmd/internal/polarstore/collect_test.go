package polarstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// garbage returns the paths of what Garbage finds.
func garbage(t *testing.T, s *Store) []string {
	t.Helper()
	found, err := s.Garbage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{}
	for _, g := range found {
		paths = append(paths, g.Path)
	}
	return paths
}

// collect collects all that Garbage finds.
func collect(t *testing.T, s *Store) {
	t.Helper()
	found, err := s.Garbage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range found {
		if done, err := s.Collect(t.Context(), g); err != nil || !done {
			t.Fatalf("collect %+v: %v, %v", g, done, err)
		}
	}
}

// age makes a file below the data folder's files look old.
func age(t *testing.T, s *Store, name string, by time.Duration) {
	t.Helper()
	then := s.now().Add(-by)
	if err := s.files.Chtimes(name, then, then); err != nil {
		t.Fatal(err)
	}
}

func TestGarbageIsWhatNobodyNeeds(t *testing.T) {
	s := newStore(t)
	if got := garbage(t, s); len(got) != 0 {
		t.Errorf("in a new folder: %v", got)
	}
	for serial, events := range map[string][]string{
		"20260101": nil, "20260102": {"test"}, "20260103": {"test", "activate"}, "20260104": {"test", "deactivate"},
	} {
		fire(t, s, importBuild(t, s, serial), events...)
	}
	for name, old := range map[string]time.Duration{
		"images/old/rootfs.squashfs":      24 * time.Hour,
		"images/young/rootfs.squashfs":    23 * time.Hour,
		"incoming/running/disk.qcow2":     48 * time.Hour,
		"uploads/running/rootfs.squashfs": 48 * time.Hour,
	} {
		writeFile(t, s, name, "x")
		age(t, s, name, old)
	}
	const inactive = "images/debian/bookworm/amd64/default/20260104"
	want := []string{inactive + "/incus.tar.xz", inactive + "/rootfs.squashfs", "images/old/rootfs.squashfs"}
	if got := garbage(t, s); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	found, err := s.Garbage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found[0].Of != testKey+" 20260104" || found[0].Size != int64(len("incus.tar.xz of 20260104")) || found[2].Of != "" {
		t.Errorf("%+v", found)
	}
	collect(t, s)
	if got := garbage(t, s); len(got) != 0 {
		t.Errorf("collected, and there still: %v", got)
	}
	for _, gone := range []string{inactive, "images/old"} {
		if _, err := s.files.Stat(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the empty folder %s: %v", gone, err)
		}
	}
	for _, there := range []string{"images/young/rootfs.squashfs", "incoming/running/disk.qcow2", "images/debian/bookworm/amd64/default/20260103/rootfs.squashfs"} {
		if _, err := s.files.Stat(there); err != nil {
			t.Error(err)
		}
	}
}

func TestCollectedVersionComesBackWithItsFiles(t *testing.T) {
	s := newStore(t)
	v := importBuild(t, s, testSerial)
	fire(t, s, v, "test", "deactivate")
	collect(t, s)

	items, err := s.Items(t.Context(), v.ID)
	if err != nil || len(items) != 3 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	if _, err := s.OpenItem(items[0]); !isNotFound(err) || !strings.Contains(err.Error(), "file") {
		t.Errorf("its file: %v", err)
	}
	if _, err := s.FireVersion(t.Context(), v.ID, "test", By{}); !isRefused(err) || !strings.Contains(err.Error(), "has no incus.tar.xz") {
		t.Errorf("test: %v", err)
	}
	if events, err := s.VersionEvents(t.Context(), v.ID); err != nil || len(events) != 2 || stateOf(t, s, v) != "inactive" {
		t.Errorf("%d events, %v", len(events), err)
	}

	importBuild(t, s, testSerial)
	fire(t, s, v, "test")
	if got := garbage(t, s); len(got) != 0 {
		t.Errorf("it is in testing, and its files are garbage: %v", got)
	}
}

// What is left of a collection that was killed must not go into testing either.
func TestHalfCollectedVersionIsRefused(t *testing.T) {
	s := newStore(t)
	v := importBuild(t, s, testSerial)
	fire(t, s, v, "test", "deactivate")
	found, err := s.Garbage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if done, err := s.Collect(t.Context(), found[1]); err != nil || !done {
		t.Fatal(done, err)
	}
	if _, err := s.FireVersion(t.Context(), v.ID, "test", By{}); !isRefused(err) {
		t.Errorf("test: %v", err)
	}
}

func TestCollectLooksAgain(t *testing.T) {
	s := newStore(t)
	v := importBuild(t, s, testSerial)
	fire(t, s, v, "test", "deactivate")
	writeFile(t, s, "images/left/rootfs.squashfs", "x")
	age(t, s, "images/left/rootfs.squashfs", 48*time.Hour)
	found, err := s.Garbage(t.Context())
	if err != nil || len(found) != 3 {
		t.Fatal(found, err)
	}
	fire(t, s, v, "test")
	age(t, s, "images/left/rootfs.squashfs", 0) // another import put its own there
	for _, g := range found {
		if done, err := s.Collect(t.Context(), g); err != nil || done {
			t.Errorf("collected %+v: %v", g, err)
		}
	}
}

func TestCollectionsAndImportsAtOnceLeaveVersionsWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	stores := []*Store{openStore(t, dir), openStore(t, dir)}
	s := stores[0]
	v := importBuild(t, s, testSerial)
	fire(t, s, v, "test", "deactivate")
	build := writeBuild(t, testSerial, "incus.tar.xz", "rootfs.squashfs")
	for range 5 {
		var wg sync.WaitGroup
		for _, s := range stores {
			wg.Go(func() {
				if _, err := s.ImportVersion(t.Context(), testKey, testSerial, build); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				found, err := s.Garbage(t.Context())
				if err != nil {
					t.Error(err)
				}
				for _, g := range found {
					if _, err := s.Collect(t.Context(), g); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				if _, err := s.FireVersion(t.Context(), v.ID, "test", By{}); err != nil && !isRefused(err) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if stateOf(t, s, v) != "testing" {
			continue
		}
		items, err := s.Items(t.Context(), v.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items {
			f, err := s.OpenItem(it)
			if err != nil {
				t.Fatalf("it is in testing: %v", err)
			}
			f.Close()
		}
		fire(t, s, v, "deactivate")
	}
}

func TestGarbageLeavesWhatIsNoFile(t *testing.T) {
	s := newStore(t)
	outside := filepath.Join(t.TempDir(), "letters.txt")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.files.MkdirAll("images/x", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(s.files.Name(), "images/x/link")); err != nil {
		t.Fatal(err)
	}
	c := newClock(s)
	c.t = c.t.Add(48 * time.Hour)
	if got := garbage(t, s); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
