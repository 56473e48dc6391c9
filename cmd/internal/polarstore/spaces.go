package polarstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A Space is a view of the image feed: versions in one state, for one kind of
// server.
type Space struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name,omitempty"` // for people; several may have the same
	Channel string    `json:"channel"`        // testing, active
	Type    string    `json:"type"`           // lxd, incus
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // when its token stops to open it; zero: never
}

// AddSpace adds a space and returns it with its token, which is not kept. Of sp,
// the id and when it was created are not looked at.
func (s *Store) AddSpace(ctx context.Context, sp Space) (Space, string, error) {
	sp.Created = moment(millis(s.now()))
	if !sp.Expires.IsZero() {
		sp.Expires = moment(millis(sp.Expires))
	}
	if err := checkSpace(sp); err != nil {
		return Space{}, "", err
	}
	secret := make([]byte, 16)
	rand.Read(secret)
	token := hex.EncodeToString(secret)
	expires := sql.NullInt64{Int64: millis(sp.Expires), Valid: !sp.Expires.IsZero()}
	err := s.update(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "INSERT INTO spaces (name, channel, type, token_hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
			sp.Name, sp.Channel, sp.Type, tokenHash([]byte(token)), millis(sp.Created), expires).Scan(&sp.ID)
	})
	if err != nil {
		return Space{}, "", fmt.Errorf("add space: %w", err)
	}
	return sp, token, nil
}

func checkSpace(sp Space) error {
	wrong := InvalidError{}
	if !printable(sp.Name) || len(sp.Name) > 64 {
		wrong["name"] = Invalid
	}
	if sp.Channel != "testing" && sp.Channel != "active" {
		wrong["channel"] = "must be testing or active"
	}
	if sp.Type != "lxd" && sp.Type != "incus" {
		wrong["type"] = "must be lxd or incus"
	}
	if !sp.Expires.IsZero() && !sp.Expires.After(sp.Created) {
		wrong["expires"] = "must be in the future"
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

const selectSpace = "SELECT id, name, channel, type, created_at, expires_at FROM spaces "

// Spaces returns all spaces, oldest first.
func (s *Store) Spaces(ctx context.Context) ([]Space, error) {
	all, err := list(ctx, s.read, scanSpace, selectSpace+"ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list spaces: %w", err)
	}
	return all, nil
}

// RemoveSpace removes a space: its token opens nothing any more.
func (s *Store) RemoveSpace(ctx context.Context, id int64) error {
	return s.remove(ctx, "space", "DELETE FROM spaces WHERE id = ?", strconv.FormatInt(id, 10))
}

// FindSpace returns the space that the token opens. One that has expired is as
// one that never was.
func (s *Store) FindSpace(ctx context.Context, token string) (Space, error) {
	sp, err := scanSpace(s.read.QueryRowContext(ctx, selectSpace+"WHERE token_hash = ? AND (expires_at IS NULL OR expires_at > ?)",
		tokenHash([]byte(token)), millis(s.now())).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return sp, &NotFoundError{"space", "with this token"}
	}
	if err != nil {
		return sp, fmt.Errorf("find space: %w", err)
	}
	return sp, nil
}

func scanSpace(scan func(...any) error) (sp Space, err error) {
	var created int64
	var expires sql.NullInt64
	err = scan(&sp.ID, &sp.Name, &sp.Channel, &sp.Type, &created, &expires)
	sp.Created = moment(created)
	if expires.Valid {
		sp.Expires = moment(expires.Int64)
	}
	return sp, err
}

// remove runs a DELETE of the one row that name stands for.
func (s *Store) remove(ctx context.Context, what, query, name string) error {
	return s.update(ctx, func(tx *sql.Tx) error {
		var id int64
		err := tx.QueryRowContext(ctx, query+" RETURNING id", name).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return &NotFoundError{what, name}
		}
		if err != nil {
			return fmt.Errorf("remove %s %s: %w", what, name, err)
		}
		return nil
	})
}
