package polarstore

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
	"syscall"

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
// there as a whole or not at all. The same content again is fine, and brings back
// files that are gone; another content under a serial that is taken is refused.
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
	incoming, done, err := s.makeIncoming()
	if err != nil {
		return Imported{}, err
	}
	defer done()
	copied, err := s.copyFiles(ctx, dir, names, incoming)
	if err != nil {
		return Imported{}, err
	}
	var imported Imported
	err = s.update(ctx, func(tx *sql.Tx) error {
		// Files first: a kill after them leaves files without a version, which the
		// next import replaces. Nobody else is in this transaction.
		known, err := findVersion(ctx, tx, p.ID, serial)
		switch {
		case err == nil:
			target := folderOf(p, known.Serial)
			imported = Imported{known, buildItems(copied, target), true}
			if err := sameItems(ctx, tx, known, imported.Items); err != nil {
				return err
			}
			return s.publish(incoming, target, copied)
		case !isNotFound(err):
			return err
		}
		target := folderOf(p, serial)
		imported.Items = buildItems(copied, target)
		if err := refuseKnown(ctx, tx, p, serial, imported.Items); err != nil {
			return err
		}
		if err := s.publish(incoming, target, copied); err != nil {
			return err
		}
		imported.Version, err = insertVersion(ctx, tx, p, serial, imported.Items, s.now())
		return err
	})
	return imported, err
}

// folderOf is where the files of a product's version are, below the data folder's
// files. Neither the key nor an imported serial leads out of it.
func folderOf(p Product, serial string) string {
	return path.Join(imagesName, path.Join(strings.Split(p.Key, ":")...), serial)
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
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, &RefusedError{"there is no such folder"}
	}
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
			return nil, &RefusedError{name + " is empty or no file"}
		}
		names = append(names, name)
	}
	if len(names) == 0 || (names[0] != simplestreams.IncusMetadata && names[0] != simplestreams.LXDMetadata) {
		return nil, &RefusedError{"it has no " + simplestreams.IncusMetadata}
	}
	if len(names) == 1 {
		return nil, &RefusedError{"it has neither " + rootfsName + " nor " + diskName}
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

// makeIncoming makes a folder of its own for an import, which done removes.
// Imports share a lock while they run, so that whoever gets it alone knows all
// that is there for what killed ones left, and removes it.
func (s *Store) makeIncoming() (name string, done func(), err error) {
	if err := s.files.MkdirAll(incomingName, 0o700); err != nil {
		return "", nil, err
	}
	lock, err := s.files.Open(incomingName)
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		left, err := lock.Readdirnames(-1)
		if err != nil {
			return "", nil, err
		}
		for _, name := range left {
			if err := s.files.RemoveAll(path.Join(incomingName, name)); err != nil {
				return "", nil, err
			}
		}
	}
	// This waits for no more than another's removals.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_SH); err != nil {
		return "", nil, fmt.Errorf("lock %s: %w", incomingName, err)
	}
	name = path.Join(incomingName, rand.Text())
	if err := s.files.Mkdir(name, 0o700); err != nil {
		return "", nil, err
	}
	return name, func() {
		s.files.RemoveAll(name)
		lock.Close()
	}, nil
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
	known := map[string]Item{}
	for _, it := range have {
		known[it.Name] = it
	}
	for _, it := range items {
		if known[it.Name].Hash != it.Hash {
			return &RefusedError{fmt.Sprintf("%s has a version %s already, with another %s", v.Product, v.Serial, it.Name)}
		}
		if known[it.Name].Path != it.Path {
			return &RefusedError{fmt.Sprintf("%s has a version %s already, which was not imported", v.Product, v.Serial)}
		}
	}
	if len(have) != len(items) {
		return &RefusedError{fmt.Sprintf("%s has a version %s already, with other files", v.Product, v.Serial)}
	}
	return nil
}
