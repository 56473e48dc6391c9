package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func sum(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(h[:])
}

func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string // the names, or the error
	}{
		{"container", map[string]string{"incus.tar.xz": "m", "rootfs.squashfs": "r"}, "incus.tar.xz rootfs.squashfs"},
		{"virtual machine", map[string]string{"incus.tar.xz": "m", "disk.qcow2": "d"}, "incus.tar.xz disk.qcow2"},
		{"both, and more", map[string]string{"incus.tar.xz": "m", "lxd.tar.xz": "", "rootfs.squashfs": "r", "disk.qcow2": "d", "log": "x"}, "incus.tar.xz rootfs.squashfs disk.qcow2"},
		{"metadata under LXD's name", map[string]string{"lxd.tar.xz": "m", "rootfs.squashfs": "r"}, "incus.tar.xz rootfs.squashfs"},
		{"no metadata", map[string]string{"rootfs.squashfs": "r"}, "it has no incus.tar.xz"},
		{"no root", map[string]string{"incus.tar.xz": "m"}, "it has neither rootfs.squashfs nor disk.qcow2"},
		{"an empty file", map[string]string{"incus.tar.xz": "m", "rootfs.squashfs": "r", "disk.qcow2": ""}, "disk.qcow2 is empty or no file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sources, err := Find(write(t, tt.files))
			var names []string
			for _, src := range sources {
				names = append(names, src.Name)
				if data, err := os.ReadFile(src.Path); err != nil || int64(len(data)) != src.Size {
					t.Errorf("%+v: %v", src, err)
				}
			}
			got := strings.Join(names, " ")
			if err != nil {
				var incomplete *IncompleteError
				if !errors.As(err, &incomplete) {
					t.Errorf("%T", err)
				}
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCheckSerial(t *testing.T) {
	for serial, ok := range map[string]bool{
		"20261122": true, "20261122-01": true, "20261122_04:15": true, "20261122a.b+c~d": true,
		"2026112": false, "1795357939a": false, "20261122/../x": false, "20261122 01": false, "20261122\n": false,
		"20261122" + strings.Repeat("0", 121): false,
	} {
		if err := CheckSerial(serial); (err == nil) != ok {
			t.Errorf("%q: %v", serial, err)
		}
	}
}

// A root's combined hash, which is the image's fingerprint in LXD, does not depend
// on how the files are read.
func TestFilesAreHashedAloneAndBehindTheMetadata(t *testing.T) {
	meta, root, disk := "metadata", strings.Repeat("root", 50_000), strings.Repeat("disk", 3)
	for _, piece := range []int{1 << 20, 1000} {
		var h Hasher
		var files []File
		for _, f := range []struct{ name, text string }{{"incus.tar.xz", meta}, {RootFS, root}, {Disk, disk}} {
			sums := h.Begin(f.name)
			for text := f.text; text != ""; {
				n := min(piece, len(text))
				sums.Write([]byte(text[:n]))
				text = text[n:]
			}
			files = append(files, sums.File())
		}
		want := []File{
			{"incus.tar.xz", int64(len(meta)), sum(meta), ""},
			{RootFS, int64(len(root)), sum(root), sum(meta, root)},
			{Disk, int64(len(disk)), sum(disk), sum(meta, disk)},
		}
		if !reflect.DeepEqual(files, want) {
			t.Errorf("in pieces of %d:\n got %v\nwant %v", piece, files, want)
		}
	}
}

// TestItemsAreThoseThatPolarTakes holds the items against a request that a Polar
// was seen to take.
func TestItemsAreThoseThatPolarTakes(t *testing.T) {
	recorded := recordedVersion(t)
	meta, root := recorded.Items[0], recorded.Items[2]
	files := []File{
		{Name: meta.Name, Size: meta.Size, Hash: meta.Hash},
		{Name: root.Name, Size: root.Size, Hash: root.Hash, Combined: meta.Combined[0].Hash},
	}
	got := Items(files, Folder("debian:bookworm:amd64:contract", recorded.Serial))
	if !reflect.DeepEqual(got, recorded.Items) {
		t.Errorf("got\n%+v\nwant\n%+v", got, recorded.Items)
	}
}

type version struct {
	Serial string
	Items  []Item
}

// recordedVersion is what the recorded request number 43 creates.
func recordedVersion(t *testing.T) version {
	t.Helper()
	data, err := os.ReadFile("../polarserver/testdata/exchanges.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var exchange struct{ Label, Req string }
	if err := json.Unmarshal([]byte(strings.Split(string(data), "\n")[42]), &exchange); err != nil || exchange.Label != "create" {
		t.Fatalf("%q, %v", exchange.Label, err)
	}
	var body struct{ Version version }
	if err := json.Unmarshal([]byte(exchange.Req), &body); err != nil {
		t.Fatal(err)
	}
	return body.Version
}

func TestItemsOfEachKindOfBuild(t *testing.T) {
	meta := File{Name: "incus.tar.xz", Size: 1, Hash: "m"}
	root := File{Name: RootFS, Size: 2, Hash: "r", Combined: "mr"}
	disk := File{Name: Disk, Size: 3, Hash: "d", Combined: "md"}
	squash, kvm := Hash{CombinedSquashFS, "mr"}, Hash{CombinedDisk, "md"}
	for _, tt := range []struct {
		name     string
		files    []File
		types    string
		combined []Hash
	}{
		{"container", []File{meta, root}, "incus.tar.xz lxd.tar.xz squashfs", []Hash{squash}},
		{"virtual machine", []File{meta, disk}, "incus.tar.xz lxd.tar.xz disk-kvm.img", []Hash{kvm}},
		{"both", []File{meta, root, disk}, "incus.tar.xz lxd.tar.xz squashfs disk-kvm.img", []Hash{squash, kvm}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var types []string
			for _, it := range Items(tt.files, "images/x") {
				types = append(types, it.FileType)
				want := []Hash{}
				if it.IsMetadata {
					want = tt.combined
				}
				if !reflect.DeepEqual(it.Combined, want) {
					t.Errorf("%s: %v", it.Name, it.Combined)
				}
				if file := strings.Replace(it.Name, "lxd", "incus", 1); it.Path != "images/x/"+file {
					t.Errorf("%s: %s", it.Name, it.Path)
				}
			}
			if got := strings.Join(types, " "); got != tt.types {
				t.Errorf("got %q, want %q", got, tt.types)
			}
		})
	}
}
