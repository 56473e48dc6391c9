package polarstore

import (
	"context"
	"crypto/md5" // what S3's ETags are made of; nothing is secured by it
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"time"
)

// uploadsName is where uploaded files are, below files, until a version has them.
const uploadsName = "uploads"

// An Object is a file in the bucket that publishers upload to. Its key is the path
// of the item that it is for: images/OS/RELEASE/ARCH/VARIANT/SERIAL/NAME.
type Object struct {
	Key  string
	Size int64
	// ETag is of MD5s, as S3 makes it, while the file waits for its version, and
	// from then on the file's SHA-256.
	ETag     string
	Modified time.Time
}

// Object returns what is under the key: a version's file, or one that was uploaded.
func (s *Store) Object(ctx context.Context, key string) (Object, error) {
	it, err := scanItem(s.read.QueryRowContext(ctx, selectItem+"WHERE path = ? LIMIT 1", key).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		o, err := s.storedObject(ctx, s.read, key)
		if err != nil {
			return Object{}, err
		}
		return o.Object, s.haveFile(o.file, o.Size)
	}
	if err != nil {
		return Object{}, fmt.Errorf("find object %s: %w", key, err)
	}
	v, err := scanVersion(s.read.QueryRowContext(ctx, selectVersion+"JOIN items i ON i.version_id = v.id WHERE i.id = ?", it.ID).Scan)
	if err != nil {
		return Object{}, fmt.Errorf("find object %s: %w", key, err)
	}
	return Object{key, it.Size, it.Hash, v.Created}, s.haveFile(it.Path, it.Size)
}

// A storedObject is what is kept of an uploaded file.
type storedObject struct {
	Object
	file, hash string
}

func (s *Store) storedObject(ctx context.Context, q querier, key string) (o storedObject, err error) {
	var created int64
	o.Key = key
	err = q.QueryRowContext(ctx, "SELECT file, size, hash, etag, created_at FROM objects WHERE key = ?", key).
		Scan(&o.file, &o.Size, &o.hash, &o.ETag, &created)
	if errors.Is(err, sql.ErrNoRows) {
		return o, &NotFoundError{"object", key}
	}
	if err != nil {
		return o, fmt.Errorf("find object %s: %w", key, err)
	}
	o.Modified = moment(created)
	return o, nil
}

// haveFile tells whether there is such a file as a whole. Where there is not, the
// error is a *NotFoundError.
func (s *Store) haveFile(name string, size int64) error {
	info, err := s.files.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for %s: %w", name, err)
	}
	if err != nil || !info.Mode().IsRegular() || info.Size() != size {
		return &NotFoundError{"file", name}
	}
	return nil
}

// ErrWrongMD5 says that what came is not what its sender had.
var ErrWrongMD5 = errors.New("the content has another MD5")

// A Content is what a publisher sends.
type Content struct {
	Body io.Reader
	MD5  string // hexadecimal; it is not checked where it is empty
}

// sum returns the body as it is to be read, and what its MD5 is once it was.
func (c Content) sum() (body io.Reader, md5Sum func() (string, error)) {
	h := md5.New()
	return io.TeeReader(c.Body, h), func() (string, error) {
		sum := hex.EncodeToString(h.Sum(nil))
		if c.MD5 != "" && c.MD5 != sum {
			return "", ErrWrongMD5
		}
		return sum, nil
	}
}

// PutObject takes a file for the key, and replaces one that waits there. A key of
// a version's file is refused. Nothing is kept of a body that breaks off.
func (s *Store) PutObject(ctx context.Context, key string, c Content) (Object, error) {
	if err := s.mayUpload(ctx, s.read, key); err != nil {
		return Object{}, err
	}
	body, etag := c.sum()
	return s.keepObject(ctx, key, body, etag, nil)
}

// keepObject makes an object of what the body has. The ETag is known at its end.
// also is done together with it.
func (s *Store) keepObject(ctx context.Context, key string, body io.Reader, etag func() (string, error), also func(*sql.Tx) error) (o Object, err error) {
	hash := sha256.New()
	file, size, err := s.receive(ctx, io.TeeReader(body, hash), true)
	if err != nil {
		return o, fmt.Errorf("object %s: %w", key, err)
	}
	unused := file // what of the two is not the object's file
	defer func() { s.discard(unused) }()
	tag, err := etag()
	if err != nil {
		return o, fmt.Errorf("object %s: %w", key, err)
	}
	o = Object{key, size, tag, moment(millis(s.now()))}
	before := ""
	err = s.update(ctx, func(tx *sql.Tx) error {
		// A version may have been created while the body came.
		if err := s.mayUpload(ctx, tx, key); err != nil {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		old, err := s.storedObject(ctx, tx, key)
		if err != nil && !isNotFound(err) {
			return err
		}
		before = old.file
		_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO objects (key, file, size, hash, etag, created_at) VALUES (?, ?, ?, ?, ?, ?)",
			key, file, size, hex.EncodeToString(hash.Sum(nil)), o.ETag, millis(o.Modified))
		return err
	})
	if err != nil {
		return Object{}, fmt.Errorf("object %s: %w", key, err)
	}
	unused = before
	return o, nil
}

// mayUpload refuses keys that are none, and those of a version's files.
func (s *Store) mayUpload(ctx context.Context, q querier, key string) error {
	// The parts become names of folders. A depth for all keeps files and folders
	// apart.
	if !regexp.MustCompile(`^`+imagesName+`(/[A-Za-z0-9._+~:-]{1,128}){6}$`).MatchString(key) || path.Clean(key) != key || !filepath.IsLocal(key) {
		return InvalidError{"key": "must be " + imagesName + "/OS/RELEASE/ARCH/VARIANT/SERIAL/NAME"}
	}
	if owner, err := ownerOf(ctx, q, "path", key); err != nil {
		return err
	} else if owner != "" {
		return &RefusedError{fmt.Sprintf("%s belongs to %s", key, owner)}
	}
	return nil
}

// receive writes what the body has to a new file of uploads, and returns its name.
// With sync it is on disk then, and not only on its way there.
func (s *Store) receive(ctx context.Context, body io.Reader, sync bool) (file string, size int64, err error) {
	if err := s.files.MkdirAll(uploadsName, 0o700); err != nil {
		return "", 0, err
	}
	name := path.Join(uploadsName, rand.Text())
	f, err := s.create(name)
	if err != nil {
		return "", 0, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			s.discard(name)
		}
	}()
	// A file by itself would choose a buffer, and a small one.
	if size, err = io.CopyBuffer(struct{ io.Writer }{f}, &reader{ctx, body}, make([]byte, 256<<10)); err != nil {
		return "", 0, err
	}
	if sync {
		return name, size, f.Sync()
	}
	return name, size, nil
}

func (s *Store) create(name string) (*os.File, error) {
	return s.files.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// discard removes a file of uploads that nobody knows any more. Where that fails,
// CollectUploads comes after it.
func (s *Store) discard(file string) {
	if file != "" {
		_ = s.files.Remove(file)
	}
}
