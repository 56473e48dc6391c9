package polarstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
)

// Item returns the item of that id.
func (s *Store) Item(ctx context.Context, id int64) (Item, error) {
	it, err := scanItem(s.read.QueryRowContext(ctx, selectItem+"WHERE id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return it, &NotFoundError{"item", strconv.FormatInt(id, 10)}
	}
	if err != nil {
		return it, fmt.Errorf("find item %d: %w", id, err)
	}
	return it, nil
}

// CountHit counts that an item was asked for.
func (s *Store) CountHit(ctx context.Context, id int64) error {
	return s.update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE items SET hits = hits + 1 WHERE id = ?", id)
		return err
	})
}

// HasFile tells whether the item's file is there, and as large as it should be.
func (s *Store) HasFile(it Item) (bool, error) {
	err := s.haveFile(it.Path, it.Size)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// OpenItem opens the item's file. One that has another size than it should is
// refused: it is not what was imported.
func (s *Store) OpenItem(it Item) (_ *os.File, err error) {
	f, err := s.files.Open(it.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &NotFoundError{"file", it.Path}
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() != it.Size {
		return nil, fmt.Errorf("file %s has %d bytes, want %d", it.Path, info.Size(), it.Size)
	}
	return f, nil
}
