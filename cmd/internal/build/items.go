package build

import (
	"path"
	"slices"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// The names of combined hashes.
const (
	CombinedSquashFS = "combined_squashfs_sha256"
	CombinedDisk     = "combined_disk-kvm-img_sha256"
)

// An Item is a file of a version as Polar is told of it.
type Item struct {
	Name       string `json:"name"`
	FileType   string `json:"file_type"`
	Hash       string `json:"hash"`
	Size       int64  `json:"size"`
	Path       string `json:"path"`
	IsMetadata bool   `json:"is_metadata"`
	Combined   []Hash `json:"combined_hashes"`
}

// A Hash is one that has a name.
type Hash struct {
	Name string `json:"name"`
	Hash string `json:"hash"`
}

// Folder is where the files of a product's version are, in a bucket or below the
// embedded Polar's files. The product's key is os:release:arch:variant.
func Folder(product, serial string) string {
	return path.Join("images", path.Join(strings.Split(product, ":")...), serial)
}

// Items makes the items of a version from its files in a folder, of which the
// metadata is the first. It is there twice, under the names that Incus and LXD
// look for.
func Items(files []File, folder string) []Item {
	combined := []Hash{}
	var roots []Item
	for _, f := range files[1:] {
		it := Item{Name: f.Name, FileType: simplestreams.SquashFS, Hash: f.Hash, Size: f.Size, Path: path.Join(folder, f.Name), Combined: []Hash{}}
		switch f.Name {
		case RootFS:
			combined = append(combined, Hash{CombinedSquashFS, f.Combined})
		case Disk:
			it.FileType = simplestreams.DiskKVM
			combined = append(combined, Hash{CombinedDisk, f.Combined})
		}
		roots = append(roots, it)
	}
	var items []Item
	for _, name := range []string{simplestreams.IncusMetadata, simplestreams.LXDMetadata} {
		items = append(items, Item{Name: name, FileType: name, Hash: files[0].Hash, Size: files[0].Size,
			Path: path.Join(folder, files[0].Name), IsMetadata: true, Combined: slices.Clone(combined)})
	}
	return append(items, roots...)
}
