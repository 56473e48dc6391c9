package polarstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/build"
)

const testTarget = "images/debian/bookworm/amd64/default/" + testSerial

func sum(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(h[:])
}

func TestImportMakesItemsAsPublishersDo(t *testing.T) {
	const meta, rootfs, disk = "incus.tar.xz of a", "rootfs.squashfs of a", "disk.qcow2 of a"
	squash, kvm := sum(meta, rootfs), sum(meta, disk)
	for _, tt := range []struct {
		name     string
		files    []string
		roots    []string
		combined map[string]string
	}{
		{"container", []string{"incus.tar.xz", "rootfs.squashfs"}, []string{"squashfs"}, map[string]string{build.CombinedSquashFS: squash}},
		{"virtual machine", []string{"incus.tar.xz", "disk.qcow2"}, []string{"disk-kvm.img"}, map[string]string{build.CombinedDisk: kvm}},
		{"both", []string{"incus.tar.xz", "rootfs.squashfs", "disk.qcow2"}, []string{"squashfs", "disk-kvm.img"},
			map[string]string{build.CombinedSquashFS: squash, build.CombinedDisk: kvm}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			if _, err := s.AddProduct(t.Context(), testKey, nil); err != nil {
				t.Fatal(err)
			}
			done, err := s.ImportVersion(t.Context(), testKey, testSerial, writeBuild(t, "a", tt.files...))
			if err != nil {
				t.Fatal(err)
			}
			if done.Known || done.Version.State != "created" || done.Version.Product != testKey {
				t.Errorf("%+v", done)
			}
			items, err := s.Items(t.Context(), done.Version.ID)
			if err != nil {
				t.Fatal(err)
			}
			var roots []string
			for _, it := range items {
				if data, err := fs.ReadFile(s.files.FS(), it.Path); err != nil || sum(string(data)) != it.Hash || int64(len(data)) != it.Size {
					t.Errorf("%s: file does not match: %v", it.Name, err)
				}
				if !it.IsMetadata {
					roots = append(roots, it.FileType)
					if it.Path != testTarget+"/"+it.Name || len(it.Combined) != 0 {
						t.Errorf("%+v", it)
					}
					continue
				}
				if it.FileType != it.Name || it.Path != testTarget+"/incus.tar.xz" || it.Hash != sum(meta) || !reflect.DeepEqual(it.Combined, tt.combined) {
					t.Errorf("%+v", it)
				}
			}
			if len(items) != len(tt.roots)+2 || !reflect.DeepEqual(roots, tt.roots) {
				t.Errorf("roots %v of %d items", roots, len(items))
			}
		})
	}
}

func TestImportTakesMetadataUnderLXDsName(t *testing.T) {
	s := newStore(t)
	if _, err := s.AddProduct(t.Context(), testKey, nil); err != nil {
		t.Fatal(err)
	}
	done, err := s.ImportVersion(t.Context(), testKey, testSerial, writeBuild(t, "a", "lxd.tar.xz", "rootfs.squashfs"))
	if err != nil {
		t.Fatal(err)
	}
	if got := done.Items[0]; got.Name != "incus.tar.xz" || got.Hash != sum("lxd.tar.xz of a") {
		t.Errorf("%+v", got)
	}
}

func TestImportRefuses(t *testing.T) {
	s := newStore(t)
	importBuild(t, s, testSerial)
	good := []string{"incus.tar.xz", "rootfs.squashfs"}
	for _, tt := range []struct {
		name, key, serial, seed string
		files                   []string
		want                    string
	}{
		{"an unknown product", "debian:buzz:amd64:default", "20260103", "b", good, "product debian:buzz:amd64:default not found"},
		{"a serial that LXD does not see", testKey, "1795357939a", "b", good, "LXD would not see the version"},
		{"a short serial", testKey, "2026010", "b", good, "LXD would not see the version"},
		{"a serial that leaves the folder", testKey, "20260103/../../x", "b", good, "is not made of"},
		{"another content under a known serial", testKey, testSerial, "b", good, "already, with another incus.tar.xz"},
		{"a known content under another serial", testKey, "20260103", testSerial, good, "is the same file as in"},
		{"no metadata", testKey, "20260103", "b", []string{"rootfs.squashfs"}, "it has no incus.tar.xz"},
		{"no root", testKey, "20260103", "b", []string{"incus.tar.xz"}, "neither rootfs.squashfs nor disk.qcow2"},
		{"nothing at all", testKey, "20260103", "b", nil, "it has no incus.tar.xz"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.ImportVersion(t.Context(), tt.key, tt.serial, writeBuild(t, tt.seed, tt.files...))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("a folder that is not there", func(t *testing.T) {
		_, err := s.ImportVersion(t.Context(), testKey, "20260103", filepath.Join(t.TempDir(), "nowhere"))
		if incomplete := (*build.IncompleteError)(nil); !errors.As(err, &incomplete) || !strings.Contains(err.Error(), "there is no such folder") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an empty file", func(t *testing.T) {
		dir := writeBuild(t, "b", good...)
		if err := os.Truncate(filepath.Join(dir, "rootfs.squashfs"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ImportVersion(t.Context(), testKey, "20260103", dir); err == nil {
			t.Error("taken")
		}
	})
	if all, err := s.Versions(t.Context(), ""); err != nil || len(all) != 1 {
		t.Errorf("%d versions, %v", len(all), err)
	}
	if left, err := fs.ReadDir(s.files.FS(), incomingName); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestImportOfTheSameAgainIsFine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	stores := []*Store{openStore(t, dir), openStore(t, dir)}
	if _, err := stores[0].AddProduct(t.Context(), testKey, nil); err != nil {
		t.Fatal(err)
	}
	build := writeBuild(t, "a", "incus.tar.xz", "rootfs.squashfs")
	var mu sync.Mutex
	made := 0
	race(stores, func(s *Store) {
		done, err := s.ImportVersion(t.Context(), testKey, testSerial, build)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if !done.Known {
			made++
		}
	})
	if all, err := stores[0].Versions(t.Context(), ""); err != nil || len(all) != 1 || made != 1 {
		t.Errorf("%d versions, made %d times, %v", len(all), made, err)
	}
}

func writeFile(t *testing.T, s *Store, name, text string) {
	t.Helper()
	if err := s.files.MkdirAll(path.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.files.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestImportReplacesWhatAKilledOneLeft(t *testing.T) {
	s := newStore(t)
	writeFile(t, s, testTarget+"/rootfs.squashfs", "of a build that never became a version")
	writeFile(t, s, incomingName+"/KILLED/rootfs.squashfs", "half a file")
	importBuild(t, s, testSerial)
	if data, err := s.files.ReadFile(testTarget + "/rootfs.squashfs"); err != nil || string(data) != "rootfs.squashfs of "+testSerial {
		t.Errorf("%q, %v", data, err)
	}
	if left, err := fs.ReadDir(s.files.FS(), incomingName); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestImportLeavesAloneWhatAnotherCopies(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	s, other := openStore(t, dir), openStore(t, dir)
	running, done, err := other.makeIncoming()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s, running+"/rootfs.squashfs", "half a file of an import that runs")
	importBuild(t, s, testSerial)
	if _, err := s.files.Stat(running + "/rootfs.squashfs"); err != nil {
		t.Error(err)
	}
	done()
	if _, err := s.files.Stat(running); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("done, and there still: %v", err)
	}
}

func TestImportAgainBringsBackLostFiles(t *testing.T) {
	s := newStore(t)
	importBuild(t, s, testSerial)
	root := testTarget + "/rootfs.squashfs"
	for name, lose := range map[string]func() error{
		"gone":   func() error { return s.files.Remove(root) },
		"broken": func() error { return s.files.WriteFile(root, []byte("x"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := lose(); err != nil {
				t.Fatal(err)
			}
			importBuild(t, s, testSerial)
			if data, err := s.files.ReadFile(root); err != nil || string(data) != "rootfs.squashfs of "+testSerial {
				t.Errorf("%q, %v", data, err)
			}
		})
	}
}

// The API takes versions of files that are elsewhere: to say that they were
// imported would be wrong.
func TestImportOfAVersionMadeByTheAPIIsRefused(t *testing.T) {
	s := newStore(t)
	p, err := s.AddProduct(t.Context(), testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	build := writeBuild(t, "a", "incus.tar.xz", "rootfs.squashfs")
	var items []Item
	for _, name := range []string{"incus.tar.xz", "lxd.tar.xz", "rootfs.squashfs"} {
		it := Item{Name: name, FileType: name, Hash: sum("incus.tar.xz of a"), Size: 17, Path: testTarget + "/" + name}
		if name == "rootfs.squashfs" {
			it.Hash = sum("rootfs.squashfs of a")
		}
		items = append(items, it)
	}
	if _, err := s.CreateVersion(t.Context(), p.ID, testSerial, items, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ImportVersion(t.Context(), testKey, testSerial, build); !isRefused(err) {
		t.Errorf("got %v", err)
	}
}

func TestCancelledImportLeavesNothing(t *testing.T) {
	s := newStore(t)
	if _, err := s.AddProduct(t.Context(), testKey, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	dir, incoming := writeBuild(t, "a", "incus.tar.xz", "rootfs.squashfs"), path.Join(incomingName, "x")
	if err := s.files.MkdirAll(incoming, 0o700); err != nil {
		t.Fatal(err)
	}
	sources, err := build.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.copyFiles(ctx, sources, incoming); !errors.Is(err, context.Canceled) {
		t.Errorf("copy: %v", err)
	}
	if _, err := s.ImportVersion(ctx, testKey, testSerial, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("import: %v", err)
	}
	if all, err := s.Versions(t.Context(), ""); err != nil || len(all) != 0 {
		t.Errorf("%d versions, %v", len(all), err)
	}
}
