package polarstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// requestLifetime is how long a request is known by its key, which is longer
	// than anybody goes on sending one again.
	requestLifetime = 7 * 24 * time.Hour
	maxRequestKey   = 128 // bytes
)

// once is update for a request that may come twice. The first time, f's result is
// kept under the key that names the request; after that the same request gets
// it, and f is not run. A key that was used for another request is refused. An
// empty key names no request. What f returns an error for is not kept.
//
// asked is all that tells the request from others.
func once[T any](ctx context.Context, s *Store, key string, asked any, f func(*sql.Tx) (T, error)) (result T, err error) {
	if key == "" {
		err := s.update(ctx, func(tx *sql.Tx) (err error) {
			result, err = f(tx)
			return err
		})
		return result, err
	}
	if len(key) > maxRequestKey || !printable(key) {
		return result, InvalidError{"idempotency_key": fmt.Sprintf("must be at most %d bytes that print", maxRequestKey)}
	}
	text, err := json.Marshal(asked)
	if err != nil {
		return result, err
	}
	sum := sha256.Sum256(text)
	err = s.update(ctx, func(tx *sql.Tx) error {
		if known, err := recall(ctx, tx, key, sum[:], &result); known || err != nil {
			return err
		}
		if result, err = f(tx); err != nil {
			return err
		}
		answer, err := json.Marshal(result)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO requests (key, asked, answer, created_at) VALUES (?, ?, ?, ?)",
			key, sum[:], string(answer), millis(s.now()))
		return err
	})
	return result, err
}

// recall reads what came of the request into result, and tells whether it is
// known.
func recall(ctx context.Context, tx *sql.Tx, key string, asked []byte, result any) (known bool, err error) {
	var before []byte
	var answer string
	err = tx.QueryRowContext(ctx, "SELECT asked, answer FROM requests WHERE key = ?", key).Scan(&before, &answer)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look a request up: %w", err)
	case !bytes.Equal(before, asked):
		return false, InvalidError{"idempotency_key": "was used for another request"}
	}
	return true, json.Unmarshal([]byte(answer), result)
}

// forgetRequests forgets those that nobody sends again.
func forgetRequests(ctx context.Context, tx *sql.Tx, now time.Time) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM requests WHERE created_at <= ?", millis(now.Add(-requestLifetime)))
	if err != nil {
		return fmt.Errorf("forget requests: %w", err)
	}
	return nil
}
