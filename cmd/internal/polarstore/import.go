package polarstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"syscall"

	"github.com/upmaru/icepak/cmd/internal/build"
)

const (
	imagesName   = "images"   // where items are, below files
	incomingName = "incoming" // where they are until they are complete
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
	if err := build.CheckSerial(serial); err != nil {
		return Imported{}, InvalidError{"serial": err.Error()}
	}
	p, err := s.Product(ctx, key)
	if err != nil {
		return Imported{}, err
	}
	sources, err := build.Find(dir)
	if err != nil {
		return Imported{}, err
	}
	incoming, done, err := s.makeIncoming()
	if err != nil {
		return Imported{}, err
	}
	defer done()
	copied, err := s.copyFiles(ctx, sources, incoming)
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
			target := build.Folder(p.Key, known.Serial)
			imported = Imported{known, buildItems(copied, target), true}
			if err := sameItems(ctx, tx, known, imported.Items); err != nil {
				return err
			}
			return s.publish(incoming, target, copied)
		case !isNotFound(err):
			return err
		}
		target := build.Folder(p.Key, serial)
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

// copyFiles copies the files to incoming and hashes what it copies.
func (s *Store) copyFiles(ctx context.Context, sources []build.Source, incoming string) ([]build.File, error) {
	var hasher build.Hasher
	var all []build.File
	for _, src := range sources {
		sums := hasher.Begin(src.Name)
		if err := s.copyFile(ctx, src.Path, path.Join(incoming, src.Name), sums); err != nil {
			return nil, fmt.Errorf("copy %s: %w", src.Name, err)
		}
		all = append(all, sums.File())
	}
	return all, nil
}

func (s *Store) copyFile(ctx context.Context, from, to string, sums *build.Sums) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := s.create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if _, err := io.CopyBuffer(io.MultiWriter(dst, sums), &reader{ctx, src}, make([]byte, 1<<20)); err != nil {
		return err
	}
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

// buildItems makes the items of a version from its files.
func buildItems(files []build.File, target string) []Item {
	var items []Item
	for _, it := range build.Items(files, target) {
		combined := map[string]string{}
		for _, h := range it.Combined {
			combined[h.Name] = h.Hash
		}
		items = append(items, Item{Name: it.Name, FileType: it.FileType, Hash: it.Hash, Size: it.Size,
			Path: it.Path, IsMetadata: it.IsMetadata, Combined: combined})
	}
	return items
}

// publish moves the files to where items have them, over what an import that
// was killed left there.
func (s *Store) publish(incoming, target string, files []build.File) error {
	if err := s.files.MkdirAll(target, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		if err := s.files.Rename(path.Join(incoming, f.Name), path.Join(target, f.Name)); err != nil {
			return err
		}
	}
	return s.syncDirs(target)
}

// syncDirs brings the names in a folder, and in those above it, to disk: they are
// to be there before a version is.
func (s *Store) syncDirs(folder string) error {
	for ; ; folder = path.Dir(folder) {
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
