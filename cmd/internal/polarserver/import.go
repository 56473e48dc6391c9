package polarserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

const (
	imagesName   = "images"   // where items are, below files
	incomingName = "incoming" // where they are until they are complete
)

// Names of the files of a build.
const (
	rootfsName = "rootfs.squashfs"
	diskName   = "disk.qcow2"
)

// Names of combined hashes.
const (
	combinedSquashFS = "combined_squashfs_sha256"
	combinedDisk     = "combined_disk-kvm-img_sha256"
)

// An Imported is what ImportVersion did.
type Imported struct {
	Version Version
	Items   []Item
	Known   bool // the version was there already, with the same content
}

// ImportVersion makes a version of the product from the files of a build in dir:
// incus.tar.xz (or lxd.tar.xz) with rootfs.squashfs, disk.qcow2 or both. It is
// there as a whole or not at all. The same content again is fine; another
// content under a serial that is taken is refused.
func (s *Store) ImportVersion(ctx context.Context, key, serial, dir string) (Imported, error) {
	done, err := s.importVersion(ctx, key, serial, dir)
	if err != nil {
		return Imported{}, fmt.Errorf("import %s: %w", dir, err)
	}
	return done, nil
}

func (s *Store) importVersion(ctx context.Context, key, serial, dir string) (Imported, error) {
	if err := checkSerial(serial); err != nil {
		return Imported{}, err
	}
	p, err := s.Product(ctx, key)
	if err != nil {
		return Imported{}, err
	}
	names, err := findFiles(dir)
	if err != nil {
		return Imported{}, err
	}
	incoming, err := s.makeIncoming()
	if err != nil {
		return Imported{}, err
	}
	defer s.files.RemoveAll(incoming)
	copied, err := s.copyFiles(ctx, dir, names, incoming)
	if err != nil {
		return Imported{}, err
	}
	target := path.Join(imagesName, path.Join(strings.Split(p.Key, ":")...), serial)
	items := buildItems(copied, target)
	if err := checkVersion(serial, items); err != nil {
		return Imported{}, err
	}

	done := Imported{Items: items}
	err = s.update(ctx, func(tx *sql.Tx) error {
		known, err := findVersion(ctx, tx, p.ID, serial)
		if err == nil {
			done.Version, done.Known = known, true
			return sameItems(ctx, tx, known, items)
		}
		if !isNotFound(err) {
			return err
		}
		if err := refuseKnown(ctx, tx, p, serial, items); err != nil {
			return err
		}
		// Files first: a kill here leaves files without a version, which the next
		// import replaces. Nobody else is in this transaction.
		if err := s.publish(incoming, target, copied); err != nil {
			return err
		}
		done.Version, err = insertVersion(ctx, tx, p, serial, items, s.now())
		return err
	})
	return done, err
}

// checkSerial refuses serials under which LXD would not see the version, or that
// make no name of a folder.
func checkSerial(serial string) error {
	if !simplestreams.VisibleSerial(serial) {
		return InvalidError{"serial": fmt.Sprintf("%q does not start with a date as YYYYMMDD: LXD would not see the version", serial)}
	}
	if !regexp.MustCompile(`^[A-Za-z0-9._+~-]{8,128}$`).MatchString(serial) {
		return InvalidError{"serial": fmt.Sprintf("%q is not made of letters, digits and ._+~-", serial)}
	}
	return nil
}

// findFiles returns the names of the build's files in dir, the metadata first.
func findFiles(dir string) ([]string, error) {
	var names []string
	for _, name := range []string{simplestreams.IncusMetadata, simplestreams.LXDMetadata, rootfsName, diskName} {
		if name == simplestreams.LXDMetadata && len(names) > 0 {
			continue // the same file under its other name
		}
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular() || info.Size() == 0:
			return nil, fmt.Errorf("%s is empty or no file", name)
		}
		names = append(names, name)
	}
	if len(names) == 0 || (names[0] != simplestreams.IncusMetadata && names[0] != simplestreams.LXDMetadata) {
		return nil, fmt.Errorf("it has no %s", simplestreams.IncusMetadata)
	}
	if len(names) == 1 {
		return nil, fmt.Errorf("it has neither %s nor %s", rootfsName, diskName)
	}
	return names, nil
}

// A copied is a file that was copied to incoming.
type copied struct {
	name     string // in the store
	hash     string
	combined string // with the metadata before it
	size     int64
}

// makeIncoming makes a folder of its own for an import, and removes those that
// killed imports left.
func (s *Store) makeIncoming() (string, error) {
	if err := s.files.MkdirAll(incomingName, 0o700); err != nil {
		return "", err
	}
	left, err := fs.ReadDir(s.files.FS(), incomingName)
	if err != nil {
		return "", err
	}
	for _, entry := range left {
		info, err := entry.Info()
		if err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			s.files.RemoveAll(path.Join(incomingName, entry.Name()))
		}
	}
	name := path.Join(incomingName, rand.Text())
	return name, s.files.Mkdir(name, 0o700)
}

// copyFiles copies the files to incoming, the first one, the metadata, under
// Incus's name, and hashes what it copies.
func (s *Store) copyFiles(ctx context.Context, dir string, names []string, incoming string) ([]copied, error) {
	var all []copied
	for i, name := range names {
		c := copied{name: name}
		combined := sha256.New()
		if i == 0 {
			c.name = simplestreams.IncusMetadata
		} else if err := s.feedFile(combined, path.Join(incoming, all[0].name)); err != nil {
			return nil, err
		}
		if err := s.copyFile(ctx, filepath.Join(dir, name), path.Join(incoming, c.name), combined, &c); err != nil {
			return nil, fmt.Errorf("copy %s: %w", name, err)
		}
		all = append(all, c)
	}
	return all, nil
}

func (s *Store) feedFile(h hash.Hash, name string) error {
	f, err := s.files.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}

func (s *Store) copyFile(ctx context.Context, from, to string, combined hash.Hash, c *copied) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := s.files.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	own := sha256.New()
	if c.size, err = io.Copy(io.MultiWriter(dst, own, combined), &reader{ctx, src}); err != nil {
		return err
	}
	c.hash, c.combined = hex.EncodeToString(own.Sum(nil)), hex.EncodeToString(combined.Sum(nil))
	return dst.Sync()
}

// A reader reads until its context is done.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// buildItems makes the items of a version from its files. The metadata is there
// twice, under the names that Incus and LXD look for.
func buildItems(files []copied, target string) []Item {
	combined := map[string]string{}
	var roots []Item
	for _, f := range files[1:] {
		it := Item{Name: f.name, FileType: simplestreams.SquashFS, Hash: f.hash, Size: f.size, Path: path.Join(target, f.name)}
		switch f.name {
		case rootfsName:
			combined[combinedSquashFS] = f.combined
		case diskName:
			it.FileType = simplestreams.DiskKVM
			combined[combinedDisk] = f.combined
		}
		roots = append(roots, it)
	}
	var items []Item
	for _, name := range []string{simplestreams.IncusMetadata, simplestreams.LXDMetadata} {
		items = append(items, Item{Name: name, FileType: name, Hash: files[0].hash, Size: files[0].size,
			Path: path.Join(target, files[0].name), IsMetadata: true, Combined: maps.Clone(combined)})
	}
	return append(items, roots...)
}

// publish moves the files to where items have them, over what an import that
// was killed left there.
func (s *Store) publish(incoming, target string, files []copied) error {
	if err := s.files.MkdirAll(target, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		if err := s.files.Rename(path.Join(incoming, f.name), path.Join(target, f.name)); err != nil {
			return err
		}
	}
	// The new names are to be on disk before the version is.
	for folder := target; ; folder = path.Dir(folder) {
		if err := s.syncDir(folder); err != nil {
			return err
		}
		if folder == "." {
			return nil
		}
	}
}

func (s *Store) syncDir(name string) error {
	d, err := s.files.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// sameItems refuses items that are not those of the version.
func sameItems(ctx context.Context, q querier, v Version, items []Item) error {
	have, err := versionItems(ctx, q, v.ID)
	if err != nil {
		return err
	}
	hashes := map[string]string{}
	for _, it := range have {
		hashes[it.Name] = it.Hash
	}
	for _, it := range items {
		if hashes[it.Name] != it.Hash {
			return &RefusedError{fmt.Sprintf("%s has a version %s already, with another %s", v.Product, v.Serial, it.Name)}
		}
	}
	if len(have) != len(items) {
		return &RefusedError{fmt.Sprintf("%s has a version %s already, with other files", v.Product, v.Serial)}
	}
	return nil
}
