// Package build knows the files of an image's build: how they are named, what
// they hash to, and the items of a version that they make. Imports and pushes
// make the same items of the same files.
package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// The names of root files. Metadata is named as simplestreams has it.
const (
	RootFS = "rootfs.squashfs" // of containers
	Disk   = "disk.qcow2"      // of virtual machines
)

// Names are those that a version's files may have, the metadata first.
func Names() []string { return []string{simplestreams.IncusMetadata, RootFS, Disk} }

// An IncompleteError says what a folder lacks to be a build.
type IncompleteError struct {
	Reason string
}

func (e *IncompleteError) Error() string { return e.Reason }

// A Source is a file of a build before it was read.
type Source struct {
	Name string // what it is to be named
	Path string
	Size int64
}

// Find returns the build's files in dir, the metadata first: incus.tar.xz, or
// else lxd.tar.xz under that name, with rootfs.squashfs, disk.qcow2 or both. The
// error is an *IncompleteError where they are not all there.
func Find(dir string) ([]Source, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, &IncompleteError{"there is no such folder"}
	}
	var found []Source
	for _, name := range []string{simplestreams.IncusMetadata, simplestreams.LXDMetadata, RootFS, Disk} {
		if name == simplestreams.LXDMetadata && len(found) > 0 {
			continue // the same file under its other name
		}
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular() || info.Size() == 0:
			return nil, &IncompleteError{name + " is empty or no file"}
		}
		if name == simplestreams.LXDMetadata {
			name = simplestreams.IncusMetadata
		}
		found = append(found, Source{name, path, info.Size()})
	}
	if len(found) == 0 || found[0].Name != simplestreams.IncusMetadata {
		return nil, &IncompleteError{"it has no " + simplestreams.IncusMetadata}
	}
	if len(found) == 1 {
		return nil, &IncompleteError{"it has neither " + RootFS + " nor " + Disk}
	}
	return found, nil
}

// CheckSerial tells why a serial cannot be that of a build: LXD would not see
// the version, or it makes no name of a folder.
func CheckSerial(serial string) error {
	if !simplestreams.VisibleSerial(serial) {
		return fmt.Errorf("%q does not start with a date as YYYYMMDD: LXD would not see the version", serial)
	}
	// Image builders like to name a build 20261122_04:15.
	if !regexp.MustCompile(`^[A-Za-z0-9._+~:-]{8,128}$`).MatchString(serial) {
		return fmt.Errorf("%q is not made of letters, digits and ._+~:-", serial)
	}
	return nil
}
