package polarstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// publishUploads gives a version that is being created the files that were
// uploaded for it, and returns those that are not needed under their old names
// once it is. Items of which none was uploaded are taken as they are: their files
// are elsewhere, and as long as that is so the version does not get into testing.
func (s *Store) publishUploads(ctx context.Context, tx *sql.Tx, items []Item) (files []string, err error) {
	uploaded := map[string]storedObject{}
	missing := ""
	for _, it := range items {
		o, err := s.storedObject(ctx, tx, it.Path)
		switch {
		case isNotFound(err):
			missing = it.Name
			continue
		case err != nil:
			return nil, err
		case o.Size != it.Size:
			return nil, &RefusedError{fmt.Sprintf("%s was uploaded with %d bytes and not %d", it.Name, o.Size, it.Size)}
		case o.hash != it.Hash:
			return nil, &RefusedError{it.Name + " was uploaded with another content than its hash says"}
		}
		uploaded[it.Path] = o
	}
	if len(uploaded) > 0 && missing != "" {
		return nil, &RefusedError{missing + " was not uploaded"}
	}
	for key, o := range uploaded {
		if err := s.publishUpload(o); err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM objects WHERE key = ?", key); err != nil {
			return nil, err
		}
		files = append(files, o.file)
	}
	return files, nil
}

// publishUpload puts an uploaded file where its item has it. It keeps its old name
// too, so that a kill before the version is there loses nothing. What has the
// place is of a version that did not come about.
func (s *Store) publishUpload(o storedObject) error {
	if err := s.haveFile(o.file, o.Size); isNotFound(err) {
		return &RefusedError{o.Key + " was uploaded, but is not there any more"}
	} else if err != nil {
		return err
	}
	if err := s.files.MkdirAll(path.Dir(o.Key), 0o700); err != nil {
		return err
	}
	if err := s.files.Remove(o.Key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.files.Link(o.file, o.Key); err != nil {
		return err
	}
	return s.syncDirs(path.Dir(o.Key))
}

// refuseWithoutFiles refuses a version of which users would get broken images.
func (s *Store) refuseWithoutFiles(ctx context.Context, tx *sql.Tx, versionID int64) error {
	items, err := versionItems(ctx, tx, versionID)
	if err != nil {
		return err
	}
	for _, it := range items {
		if has, err := s.HasFile(it); err != nil {
			return err
		} else if !has {
			return &RefusedError{fmt.Sprintf("version %d has no %s of %d bytes here: import or push the same files first", versionID, it.Name, it.Size)}
		}
	}
	return nil
}
