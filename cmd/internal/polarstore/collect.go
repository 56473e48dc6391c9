package polarstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"
)

// minAge is how old a file that no item refers to must be to be collected. A
// younger one may be of a version that is about to be made.
const minAge = 24 * time.Hour

// Garbage is a file that nobody needs.
type Garbage struct {
	Path string // below the data folder's files
	Size int64
	// Of is the inactive version that it belongs to, as product and serial. It is
	// empty for a file that no item refers to.
	Of string
}

// Garbage returns the files that nobody needs: those of inactive versions, and
// those that a killed import left where items have theirs. It deletes nothing.
func (s *Store) Garbage(ctx context.Context) ([]Garbage, error) {
	found := []Garbage{}
	err := fs.WalkDir(s.files.FS(), imagesName, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // nothing was imported yet, or it went away just now
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		g, ok, err := s.garbage(ctx, s.read, name)
		if ok {
			found = append(found, g)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for garbage: %w", err)
	}
	return found, nil
}

// garbage tells whether nobody needs the file.
func (s *Store) garbage(ctx context.Context, q querier, name string) (Garbage, bool, error) {
	var items, needed int
	var of sql.NullString
	err := q.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (WHERE v.state <> 'inactive'), max(p.key || ' ' || v.serial)
		FROM items i JOIN versions v ON v.id = i.version_id JOIN products p ON p.id = v.product_id WHERE i.path = ?`, name).
		Scan(&items, &needed, &of)
	if err != nil {
		return Garbage{}, false, err
	}
	info, err := s.files.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Garbage{}, false, nil
	}
	if err != nil {
		return Garbage{}, false, err
	}
	young := items == 0 && s.now().Sub(info.ModTime()) < minAge
	return Garbage{Path: name, Size: info.Size(), Of: of.String}, needed == 0 && !young && info.Mode().IsRegular(), nil
}

// Collect deletes a file that Garbage returned, if still nobody needs it, and
// tells whether it did. What is known of its version stays, and so do its items,
// without a file; it gets into testing again only when that is back.
func (s *Store) Collect(ctx context.Context, g Garbage) (done bool, err error) {
	// Nobody moves a version or publishes a file while this transaction is there.
	err = s.update(ctx, func(tx *sql.Tx) error {
		_, ok, err := s.garbage(ctx, tx, g.Path)
		if err != nil || !ok {
			return err
		}
		if err := s.files.Remove(g.Path); err != nil {
			return err
		}
		done = true
		for dir := path.Dir(g.Path); dir != imagesName; dir = path.Dir(dir) {
			if s.files.Remove(dir) != nil {
				break // there is something in it
			}
		}
		return nil
	})
	if err != nil {
		return done, fmt.Errorf("collect %s: %w", g.Path, err)
	}
	return done, nil
}
