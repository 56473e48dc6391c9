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
	Channel string    `json:"channel"` // testing, active
	Type    string    `json:"type"`    // lxd, incus
	Created time.Time `json:"created"`
}

// AddSpace adds a space and returns it with its token, which is not kept.
func (s *Store) AddSpace(ctx context.Context, channel, typ string) (Space, string, error) {
	wrong := InvalidError{}
	if channel != "testing" && channel != "active" {
		wrong["channel"] = "must be testing or active"
	}
	if typ != "lxd" && typ != "incus" {
		wrong["type"] = "must be lxd or incus"
	}
	if len(wrong) > 0 {
		return Space{}, "", wrong
	}
	secret := make([]byte, 16)
	rand.Read(secret)
	token := hex.EncodeToString(secret)
	sp, err := s.addSpace(ctx, channel, typ, token)
	return sp, token, err
}

func (s *Store) addSpace(ctx context.Context, channel, typ, token string) (Space, error) {
	now := millis(s.now())
	sp := Space{Channel: channel, Type: typ, Created: moment(now)}
	err := s.update(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, "INSERT INTO spaces (channel, type, token_hash, created_at) VALUES (?, ?, ?, ?) RETURNING id",
			channel, typ, tokenHash([]byte(token)), now).Scan(&sp.ID)
	})
	if err != nil {
		return Space{}, fmt.Errorf("add space: %w", err)
	}
	return sp, nil
}

// Spaces returns all spaces, oldest first.
func (s *Store) Spaces(ctx context.Context) ([]Space, error) {
	all, err := list(ctx, s.read, scanSpace, "SELECT id, channel, type, created_at FROM spaces ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list spaces: %w", err)
	}
	return all, nil
}

// RemoveSpace removes a space: its token opens nothing any more.
func (s *Store) RemoveSpace(ctx context.Context, id int64) error {
	return s.remove(ctx, "space", "DELETE FROM spaces WHERE id = ?", strconv.FormatInt(id, 10))
}

// FindSpace returns the space that the token opens.
func (s *Store) FindSpace(ctx context.Context, token string) (Space, error) {
	sp, err := scanSpace(s.read.QueryRowContext(ctx, "SELECT id, channel, type, created_at FROM spaces WHERE token_hash = ?",
		tokenHash([]byte(token))).Scan)
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
	err = scan(&sp.ID, &sp.Channel, &sp.Type, &created)
	sp.Created = moment(created)
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
