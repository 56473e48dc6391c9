package polarserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"time"
)

// getItem serves an item's file, or a range of it. The token may be of any
// space: a server that read a feed an hour ago, which is how long LXD keeps one,
// still gets its image after the version has changed its state.
func (s *server) getItem(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if _, err := s.store.findSpace(ctx, r.PathValue("token")); err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	it, err := s.store.item(ctx, id)
	if err != nil {
		return err
	}
	f, err := s.store.files.Open(it.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return &NotFoundError{"file", it.Path}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != it.Size {
		return fmt.Errorf("file %s has %d bytes, want %d", it.Path, info.Size(), it.Size)
	}
	// An image is not held up because it could not be counted.
	if err := s.store.countHit(ctx, id); err != nil && ctx.Err() == nil {
		s.log.Warn("hit not counted", "item", id, "error", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("ETag", `"`+it.Hash+`"`)
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

func (s *Store) item(ctx context.Context, id int64) (Item, error) {
	it, err := scanItem(s.read.QueryRowContext(ctx, selectItem+"WHERE id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return it, &NotFoundError{"item", strconv.FormatInt(id, 10)}
	}
	if err != nil {
		return it, fmt.Errorf("find item %d: %w", id, err)
	}
	return it, nil
}

func (s *Store) countHit(ctx context.Context, id int64) error {
	return s.update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE items SET hits = hits + 1 WHERE id = ?", id)
		return err
	})
}
