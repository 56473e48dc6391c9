package polarstore

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"time"
)

// MaxParts is how many parts an upload may have.
const MaxParts = 10_000

// A Part is one of an upload: its number and the MD5 of its bytes.
type Part struct {
	Number int
	ETag   string
}

// BeginUpload begins an upload in parts, and returns its id.
func (s *Store) BeginUpload(ctx context.Context, key string) (id string, err error) {
	id = rand.Text()
	err = s.update(ctx, func(tx *sql.Tx) error {
		if err := s.mayUpload(ctx, tx, key); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO uploads (id, key, touched_at) VALUES (?, ?, ?)", id, key, millis(s.now()))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("begin upload of %s: %w", key, err)
	}
	return id, nil
}

// PutPart takes a part of an upload, in place of one that has its number, and
// returns its ETag. Parts may come in any order, and several at once.
func (s *Store) PutPart(ctx context.Context, key, id string, number int, c Content) (etag string, err error) {
	if number < 1 || number > MaxParts {
		return "", InvalidError{"partNumber": fmt.Sprintf("must be 1 to %d", MaxParts)}
	}
	if err := findUpload(ctx, s.read, key, id); err != nil {
		return "", err
	}
	body, sum := c.sum()
	file, size, err := s.receive(ctx, body, false)
	if err != nil {
		return "", fmt.Errorf("part %d of %s: %w", number, key, err)
	}
	unused := file
	defer func() { s.discard(unused) }()
	if etag, err = sum(); err != nil {
		return "", fmt.Errorf("part %d of %s: %w", number, key, err)
	}
	var before string
	err = s.update(ctx, func(tx *sql.Tx) error {
		if err := findUpload(ctx, tx, key, id); err != nil {
			return err
		}
		err := tx.QueryRowContext(ctx, "SELECT file FROM parts WHERE upload_id = ? AND number = ?", id, number).Scan(&before)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO parts (upload_id, number, file, size, md5) VALUES (?, ?, ?, ?, ?)", id, number, file, size, etag)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE uploads SET touched_at = ? WHERE id = ?", millis(s.now()), id)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("part %d of %s: %w", number, key, err)
	}
	unused = before
	return etag, nil
}

// CompleteUpload makes an object of an upload's parts, which are those that the
// publisher names, in the order of their numbers.
func (s *Store) CompleteUpload(ctx context.Context, key, id string, parts []Part) (Object, error) {
	have, err := uploadParts(ctx, s.read, id)
	if err != nil {
		return Object{}, err
	}
	// After its parts: an upload that another completion ends takes them along.
	if err := findUpload(ctx, s.read, key, id); err != nil {
		return Object{}, err
	}
	tag := md5.New()
	whole := &partsReader{store: s, key: key}
	for i, p := range parts {
		known, ok := have[p.Number]
		if !ok || known.md5 != p.ETag {
			return Object{}, InvalidError{"part " + strconv.Itoa(p.Number): "was not uploaded, or is another"}
		}
		if i > 0 && parts[i-1].Number >= p.Number {
			return Object{}, InvalidError{"parts": "are not in the order of their numbers"}
		}
		sum, err := hex.DecodeString(known.md5)
		if err != nil {
			return Object{}, err
		}
		tag.Write(sum)
		whole.left = append(whole.left, known)
	}
	if len(parts) == 0 {
		return Object{}, InvalidError{"parts": Blank}
	}
	defer whole.close()
	etag := hex.EncodeToString(tag.Sum(nil)) + "-" + strconv.Itoa(len(parts))
	o, err := s.keepObject(ctx, key, whole, func() (string, error) { return etag, nil }, func(tx *sql.Tx) error { return endUpload(ctx, tx, key, id) })
	if err != nil {
		return o, err
	}
	s.discardParts(have)
	return o, nil
}

// AbortUpload gives an upload up, with the parts that it has.
func (s *Store) AbortUpload(ctx context.Context, key, id string) error {
	var have map[int]part
	err := s.update(ctx, func(tx *sql.Tx) (err error) {
		if have, err = uploadParts(ctx, tx, id); err != nil {
			return err
		}
		return endUpload(ctx, tx, key, id)
	})
	if err != nil {
		return fmt.Errorf("abort upload of %s: %w", key, err)
	}
	s.discardParts(have)
	return nil
}

func findUpload(ctx context.Context, q querier, key, id string) error {
	var found int
	err := q.QueryRowContext(ctx, "SELECT 1 FROM uploads WHERE id = ? AND key = ?", id, key).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return &NotFoundError{"upload", "of " + key}
	}
	if err != nil {
		return fmt.Errorf("find upload of %s: %w", key, err)
	}
	return nil
}

// endUpload forgets an upload, which must be there still.
func endUpload(ctx context.Context, tx *sql.Tx, key, id string) error {
	if err := findUpload(ctx, tx, key, id); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "DELETE FROM uploads WHERE id = ?", id)
	return err
}

// A part is what is kept of one.
type part struct {
	number    int
	file, md5 string
	size      int64
}

func uploadParts(ctx context.Context, q querier, id string) (map[int]part, error) {
	scan := func(scan func(...any) error) (p part, err error) { return p, scan(&p.number, &p.file, &p.size, &p.md5) }
	all, err := list(ctx, q, scan, "SELECT number, file, size, md5 FROM parts WHERE upload_id = ?", id)
	if err != nil {
		return nil, fmt.Errorf("list parts: %w", err)
	}
	parts := map[int]part{}
	for _, p := range all {
		parts[p.number] = p
	}
	return parts, nil
}

func (s *Store) discardParts(parts map[int]part) {
	for _, p := range parts {
		s.discard(p.file)
	}
}

// A partsReader reads parts one after another, each as long as it was received.
type partsReader struct {
	store *Store
	key   string
	left  []part
	open  fs.File
	rest  int64 // of the open part
}

func (r *partsReader) Read(p []byte) (int, error) {
	for r.rest == 0 {
		if len(r.left) == 0 {
			return 0, io.EOF
		}
		r.close()
		f, err := r.store.files.Open(r.left[0].file)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, &NotFoundError{"upload", "of " + r.key} // it was completed or given up just now
		}
		if err != nil {
			return 0, err
		}
		r.open, r.rest, r.left = f, r.left[0].size, r.left[1:]
	}
	n, err := r.open.Read(p[:min(int64(len(p)), r.rest)])
	r.rest -= int64(n)
	if err == io.EOF && r.rest > 0 {
		err = io.ErrUnexpectedEOF
	} else if err == io.EOF {
		err = nil
	}
	return n, err
}

func (r *partsReader) close() {
	if r.open != nil {
		r.open.Close()
		r.open = nil
	}
}

// CollectUploads removes what was uploaded longer ago than olderThan and belongs
// to no version: objects, uploads that were not completed, and files that killed
// servers left.
func (s *Store) CollectUploads(ctx context.Context, olderThan time.Duration) error {
	before := s.now().Add(-olderThan)
	var known map[string]bool
	err := s.update(ctx, func(tx *sql.Tx) error {
		for _, query := range []string{"DELETE FROM objects WHERE created_at <= ?", "DELETE FROM uploads WHERE touched_at <= ?"} {
			if _, err := tx.ExecContext(ctx, query, millis(before)); err != nil {
				return err
			}
		}
		scan := func(scan func(...any) error) (file string, err error) { return file, scan(&file) }
		files, err := list(ctx, tx, scan, "SELECT file FROM objects UNION ALL SELECT file FROM parts")
		if err != nil {
			return err
		}
		known = map[string]bool{}
		for _, file := range files {
			known[file] = true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("collect uploads: %w", err)
	}
	entries, err := fs.ReadDir(s.files.FS(), uploadsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("collect uploads: %w", err)
	}
	for _, entry := range entries {
		file := path.Join(uploadsName, entry.Name())
		// A young file without a row is one that is being received.
		if info, err := entry.Info(); err != nil || known[file] || info.ModTime().After(before) {
			continue
		}
		if err := s.files.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("collect uploads: %w", err)
		}
	}
	return nil
}
