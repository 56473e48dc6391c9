package polarserver

import (
	"errors"
	"net/http"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// getItem serves an item's file, or a range of it. The token may be of any
// space: a server that read a feed an hour ago, which is how long LXD keeps one,
// still gets its image after the version has changed its state.
func (s *server) getItem(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if _, err := s.store.FindSpace(ctx, r.PathValue("token")); err != nil {
		return err
	}
	id, err := pathID(r)
	if err != nil {
		return err
	}
	it, err := s.store.Item(ctx, id)
	if err != nil {
		return err
	}
	f, err := s.store.OpenItem(it)
	if missing := (*polarstore.NotFoundError)(nil); errors.As(err, &missing) {
		detail(w, http.StatusNotFound, "file not found") // the item is known: its file was collected
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	// An image is not held up because it could not be counted.
	if err := s.store.CountHit(ctx, id); err != nil && ctx.Err() == nil {
		s.log.Warn("hit not counted", "item", id, "error", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("ETag", `"`+it.Hash+`"`)
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}
