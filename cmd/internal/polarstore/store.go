// Package polarstore is the memory of the embedded Polar: a SQLite database and
// the files of images, in one folder.
package polarstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"modernc.org/sqlite" // also the database driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The schema's steps, in order. A database's user_version counts those that it
// has. Steps that were released are never edited.
//
//go:embed schema/*.sql
var schema embed.FS

// A Store is the server's memory: a database and the images' files, in one
// folder. Several processes may have the same folder open.
type Store struct {
	read  *sql.DB
	write *sql.DB  // one connection: its transactions begin immediate
	files *os.Root // what items' paths are relative to
	// keyFile is where the key is that clusters' credentials are encrypted with.
	keyFile string
	now     func() time.Time
}

// Options are what Open may be told.
type Options struct {
	Now func() time.Time // time.Now where nil
}

const (
	databaseName = "polar.db"
	filesName    = "files"
)

// Open opens the store in the folder dir, and makes it where there is none.
// Nobody but the folder's owner gets to read it.
func Open(ctx context.Context, dir string, opts Options) (_ *Store, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	if err := prepareDir(dir); err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	s := &Store{keyFile: filepath.Join(dir, keyName), now: opts.Now}
	if s.now == nil {
		s.now = time.Now
	}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.files, err = os.OpenRoot(filepath.Join(dir, filesName)); err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	path := filepath.Join(dir, databaseName)
	if s.write, err = sql.Open("sqlite", dsn(path, url.Values{"_txlock": {"immediate"}})); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	if s.read, err = sql.Open("sqlite", dsn(path, url.Values{"_query_only": {"1"}})); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := s.prepare(ctx); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

// busyTimeout is how long writers wait for each other. Their transactions are
// short: files are copied outside of them.
const busyTimeout = 10 * time.Second

// dsn names the database to the driver.
func dsn(path string, q url.Values) string {
	q.Set("_busy_timeout", strconv.FormatInt(busyTimeout.Milliseconds(), 10))
	q.Set("_foreign_keys", "1")
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	return u.String()
}

// prepareDir makes the data folder and what SQLite would make for all to read.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		// A folder that is somebody else's must not be closed to them.
		if err := mayClose(dir); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(filepath.Join(dir, databaseName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	err = os.Mkdir(filepath.Join(dir, filesName), 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// mayClose tells whether dir is ours or empty.
func mayClose(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, databaseName)); err == nil {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := d.Readdirnames(1); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s is open to others, not empty, and not a data folder", dir)
	}
	return nil
}

// prepare makes the database ready for use. To change a new one's journal, SQLite
// needs it for itself and does not wait for that: it is asked again.
func (s *Store) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := s.write.ExecContext(ctx, "PRAGMA journal_mode = WAL")
		if err == nil {
			return s.migrate(ctx)
		}
		var code *sqlite.Error
		if !errors.As(err, &code) || code.Code()&0xff != sqlite3.SQLITE_BUSY {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return err
		}
	}
}

// migrate brings the database up to the newest step of the schema, and has the
// clusters' credentials encrypted.
func (s *Store) migrate(ctx context.Context) error {
	steps, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		return err
	}
	var were bool // credentials in clear text
	err = s.update(ctx, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
			return err
		}
		if have > len(steps) {
			return fmt.Errorf("it was made by a newer icepak (schema %d, this one knows %d)", have, len(steps))
		}
		for i, step := range steps[have:] {
			text, err := schema.ReadFile(step)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("%s: %w", step, err)
			}
			if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", have+i+1)); err != nil {
				return err
			}
		}
		if err := s.makeKey(ctx, tx); err != nil {
			return err
		}
		were, err = s.sealCredentials(ctx, tx)
		return err
	})
	if err != nil || !were {
		return err
	}
	// What was overwritten is still in the file's free pages, and in the journal.
	_, err = s.write.ExecContext(ctx, "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}

// Close closes the store.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.files != nil {
		errs = append(errs, s.files.Close())
	}
	return errors.Join(errs...)
}

// update runs f in a transaction that is the only one to write. What f returns
// an error for leaves no trace.
func (s *Store) update(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback()
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// A querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// list runs a query and returns what scan makes of each row.
func list[T any](ctx context.Context, q querier, scan func(scan func(...any) error) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		one, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func millis(t time.Time) int64  { return t.UnixMilli() }
func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
