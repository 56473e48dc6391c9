package polarstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Version is one build of a product.
type Version struct {
	ID      int64     `json:"id"`
	Product string    `json:"product"` // its key
	Serial  string    `json:"serial"`
	State   string    `json:"state"` // created, testing, active, inactive
	Created time.Time `json:"created"`
}

// An Item is a file of a version. Size is in bytes, hashes are hexadecimal
// SHA-256. Path is where the file is below the data folder's files.
type Item struct {
	ID         int64
	Name       string
	FileType   string
	Hash       string
	Size       int64
	Path       string
	IsMetadata bool
	Combined   map[string]string // hashes of this file followed by another, by name
	Hits       int64             // how often it was asked for
}

// DefaultKeep is how many active versions a product keeps unless SetKeep said
// otherwise.
const DefaultKeep = 2

// SetKeep sets how many active versions each product keeps.
func (s *Store) SetKeep(ctx context.Context, n int) error {
	if n < 1 {
		return InvalidError{"keep": "must be at least 1"}
	}
	return s.set(ctx, "keep", strconv.Itoa(n))
}

// CreateVersion adds a version with its items to a product, and gives it the files
// that were uploaded for them. A serial or a file that Polar knows already is
// refused, unless the key, which may be empty, names the very request that added
// them. So are files that were uploaded in part or with another content.
func (s *Store) CreateVersion(ctx context.Context, productID int64, serial string, items []Item, key string) (Version, error) {
	if err := checkVersion(serial, items); err != nil {
		return Version{}, err
	}
	var moved []string
	v, err := once(ctx, s, key, []any{"create", productID, serial, items}, func(tx *sql.Tx) (Version, error) {
		p, err := scanProduct(tx.QueryRowContext(ctx, "SELECT id, key, requirements FROM products WHERE id = ?", productID).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return Version{}, &NotFoundError{"product", strconv.FormatInt(productID, 10)}
		}
		if err != nil {
			return Version{}, err
		}
		if err := refuseKnown(ctx, tx, p, serial, items); err != nil {
			return Version{}, err
		}
		if moved, err = s.publishUploads(ctx, tx, items); err != nil {
			return Version{}, err
		}
		return insertVersion(ctx, tx, p, serial, items, s.now())
	})
	if err != nil {
		return Version{}, fmt.Errorf("create version %s: %w", serial, err)
	}
	for _, file := range moved {
		s.discard(file)
	}
	return v, nil
}

// refuseKnown refuses a serial that the product has, and files that any version
// has: an image would be found under two names, or two images under one.
func refuseKnown(ctx context.Context, q querier, p Product, serial string, items []Item) error {
	if _, err := findVersion(ctx, q, p.ID, serial); err == nil {
		return &RefusedError{fmt.Sprintf("%s has a version %s already", p.Key, serial)}
	} else if !isNotFound(err) {
		return err
	}
	for _, it := range items {
		if owner, err := ownerOf(ctx, q, "hash", it.Hash); err != nil {
			return err
		} else if owner != "" {
			return &RefusedError{fmt.Sprintf("%s is the same file as in %s", it.Name, owner)}
		}
		if owner, err := ownerOf(ctx, q, "path", it.Path); err != nil {
			return err
		} else if owner != "" {
			return &RefusedError{fmt.Sprintf("%s has the path of a file of %s", it.Name, owner)}
		}
	}
	return nil
}

// ownerOf names the version that has an item with that value in a column, a
// constant of the caller's. It is empty where none has.
func ownerOf(ctx context.Context, q querier, column, value string) (string, error) {
	var key, serial string
	err := q.QueryRowContext(ctx, `SELECT p.key, v.serial FROM items i JOIN versions v ON v.id = i.version_id
		JOIN products p ON p.id = v.product_id WHERE i.`+column+` = ? LIMIT 1`, value).Scan(&key, &serial)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find who has %s: %w", value, err)
	}
	return key + " " + serial, nil
}

func insertVersion(ctx context.Context, tx *sql.Tx, p Product, serial string, items []Item, now time.Time) (Version, error) {
	v := Version{Product: p.Key, Serial: serial, State: "created", Created: moment(millis(now))}
	err := tx.QueryRowContext(ctx, "INSERT INTO versions (product_id, serial, state, created_at) VALUES (?, ?, ?, ?) RETURNING id",
		p.ID, serial, v.State, millis(now)).Scan(&v.ID)
	if err != nil {
		return v, err
	}
	for _, it := range items {
		combined, err := json.Marshal(it.Combined)
		if err != nil {
			return v, err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO items (version_id, name, file_type, hash, size, path, is_metadata, combined)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, v.ID, it.Name, it.FileType, it.Hash, it.Size, it.Path, it.IsMetadata, string(combined))
		if err != nil {
			return v, err
		}
	}
	return v, nil
}

// checkVersion tells what is wrong with a version that is to be created. The
// serial may be one that LXD does not see: that is what Polar does.
func checkVersion(serial string, items []Item) error {
	wrong := InvalidError{}
	if serial == "" {
		wrong["serial"] = Blank
	} else if strings.ContainsAny(serial, "/\\") || len(serial) > 128 || !printable(serial) {
		wrong["serial"] = Invalid
	}
	if len(items) == 0 {
		wrong["items"] = Blank
	}
	names := map[string]bool{}
	for i, it := range items {
		field := fmt.Sprintf("items[%d]", i)
		switch {
		case it.Name == "" || it.FileType == "" || it.Hash == "" || it.Path == "":
			wrong[field] = "needs name, file_type, hash, size and path"
		case !isSHA256(it.Hash):
			wrong[field] = "has a hash that is no SHA-256"
		case it.Size < 0:
			wrong[field] = "has a negative size"
		case it.Path != path.Clean(it.Path) || !filepath.IsLocal(it.Path) || !strings.HasPrefix(it.Path, imagesName+"/"):
			wrong[field] = "has a path that is not below " + imagesName + "/"
		case !printable(it.Name):
			wrong[field] = "has a name that does not print"
		case names[it.Name]:
			wrong[field] = "has a name that is there twice"
		}
		for _, hash := range it.Combined {
			if !isSHA256(hash) {
				wrong[field] = "has a combined hash that is no SHA-256"
			}
		}
		names[it.Name] = true
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

func isSHA256(s string) bool { return regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(s) }

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) })
}

// What scanVersion scans, and where it comes from.
const (
	versionColumns = "v.id, p.key, v.serial, v.state, v.created_at"
	versionTables  = "versions v JOIN products p ON p.id = v.product_id"
	selectVersion  = "SELECT " + versionColumns + " FROM " + versionTables + " "
)

// Version returns the product's version of that serial, in upper or lower case.
func (s *Store) Version(ctx context.Context, productID int64, serial string) (Version, error) {
	return findVersion(ctx, s.read, productID, serial)
}

// Versions returns the versions of a product, or of all where key is empty: by
// product, the newest first.
func (s *Store) Versions(ctx context.Context, key string) ([]Version, error) {
	all, err := list(ctx, s.read, scanVersion, selectVersion+
		"WHERE ?1 = '' OR p.key = ?1 ORDER BY p.key, v.created_at DESC, v.id DESC", key)
	if err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	return all, nil
}

func findVersion(ctx context.Context, q querier, productID int64, serial string) (Version, error) {
	v, err := scanVersion(q.QueryRowContext(ctx, selectVersion+"WHERE v.product_id = ? AND v.serial = ?", productID, serial).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return v, &NotFoundError{"version", serial}
	}
	if err != nil {
		return v, fmt.Errorf("find version %s: %w", serial, err)
	}
	return v, nil
}

func scanVersion(scan func(...any) error) (v Version, err error) {
	var created int64
	err = scan(&v.ID, &v.Product, &v.Serial, &v.State, &created)
	v.Created = moment(created)
	return v, err
}

const selectItem = "SELECT id, name, file_type, hash, size, path, is_metadata, combined, hits FROM items "

// Items returns the version's files.
func (s *Store) Items(ctx context.Context, versionID int64) ([]Item, error) {
	return versionItems(ctx, s.read, versionID)
}

func versionItems(ctx context.Context, q querier, versionID int64) ([]Item, error) {
	all, err := list(ctx, q, scanItem, selectItem+"WHERE version_id = ? ORDER BY id", versionID)
	if err != nil {
		return nil, fmt.Errorf("list items of version %d: %w", versionID, err)
	}
	return all, nil
}

func scanItem(scan func(...any) error) (it Item, err error) {
	var combined string
	if err := scan(&it.ID, &it.Name, &it.FileType, &it.Hash, &it.Size, &it.Path, &it.IsMetadata, &combined, &it.Hits); err != nil {
		return it, err
	}
	return it, json.Unmarshal([]byte(combined), &it.Combined)
}

// VersionEvents returns what happened to the version, oldest first.
func (s *Store) VersionEvents(ctx context.Context, versionID int64) ([]Event, error) {
	return versionStates().events(ctx, s.read, versionID)
}

// FireVersion fires an event on a version: test, activate or deactivate. With
// activate, the product's newest active versions stay so and older ones become
// inactive; a version older than all of those too. Into testing, and so to users,
// a version gets only with all its files.
func (s *Store) FireVersion(ctx context.Context, versionID int64, event string, by By) (Event, error) {
	m := versionStates()
	return once(ctx, s, by.Key, by.asked(m, versionID, event), func(tx *sql.Tx) (Event, error) {
		ev, err := m.fire(ctx, tx, versionID, event, by, s.now())
		if err != nil || event == "deactivate" {
			return ev, err
		}
		if err := s.refuseWithoutFiles(ctx, tx, versionID); err != nil || event == "test" {
			return ev, err
		}
		return ev, s.deactivateOld(ctx, tx, versionID)
	})
}

func (s *Store) deactivateOld(ctx context.Context, tx *sql.Tx, versionID int64) error {
	keep := DefaultKeep
	text, err := setting(ctx, tx, "keep")
	if err != nil {
		return err
	}
	if text != "" {
		if keep, err = strconv.Atoi(text); err != nil {
			return fmt.Errorf("setting keep: %w", err)
		}
	}
	scan := func(scan func(...any) error) (id int64, err error) { return id, scan(&id) }
	old, err := list(ctx, tx, scan, `SELECT id FROM versions
		WHERE state = 'active' AND product_id = (SELECT product_id FROM versions WHERE id = ?)
		ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET ?`, versionID, keep)
	if err != nil {
		return fmt.Errorf("find old versions: %w", err)
	}
	by := By{Actor: serverActor, Comment: fmt.Sprintf("a product keeps %d active versions", keep)}
	for _, id := range old {
		if _, err := versionStates().fire(ctx, tx, id, "deactivate", by, s.now()); err != nil {
			return err
		}
	}
	return nil
}
