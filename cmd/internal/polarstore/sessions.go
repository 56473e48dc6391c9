package polarstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// Session tokens are valid for sixty days, or until the password changes.
const sessionLifetime = 60 * 24 * time.Hour

// How many bytes a password has.
const (
	minPassword = 8
	maxPassword = 1024
)

var (
	// ErrWrongPassword is CreateSession's error for another password than the
	// one that was set, and where none was set.
	ErrWrongPassword = errors.New("wrong password")
	// ErrNoSession is CheckSession's error for a token that opens none.
	ErrNoSession = errors.New("no such session")
)

// SetPassword sets the password of publishers, ends all their sessions, and their
// keys for uploads.
func (s *Store) SetPassword(ctx context.Context, password string) error {
	if len(password) < minPassword || len(password) > maxPassword {
		return InvalidError{"password": fmt.Sprintf("must have %d to %d bytes", minPassword, maxPassword)}
	}
	hash := hashPassword(password)
	return s.update(ctx, func(tx *sql.Tx) error {
		if err := put(ctx, tx, "password", hash); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM sessions"); err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM settings WHERE name IN ('s3_access_key', 's3_secret')"); err != nil {
			return fmt.Errorf("end keys for uploads: %w", err)
		}
		return nil
	})
}

// HasPassword tells whether a password was set. Without one nobody may publish.
func (s *Store) HasPassword(ctx context.Context) (bool, error) {
	hash, err := setting(ctx, s.read, "password")
	return hash != "", err
}

// CreateSession exchanges the password for a session's token.
func (s *Store) CreateSession(ctx context.Context, password string) (token string, err error) {
	hash, err := setting(ctx, s.read, "password")
	if err != nil {
		return "", err
	}
	if !isPassword(hash, password) {
		return "", ErrWrongPassword
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	now := s.now()
	err = s.update(ctx, func(tx *sql.Tx) error {
		// The password may have been changed since it was compared.
		if current, err := setting(ctx, tx, "password"); err != nil {
			return err
		} else if current != hash {
			return ErrWrongPassword
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE expires_at <= ?", millis(now)); err != nil {
			return err
		}
		if err := forgetRequests(ctx, tx, now); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO sessions (token_hash, created_at, expires_at) VALUES (?, ?, ?)",
			tokenHash(secret), millis(now), millis(now.Add(sessionLifetime)))
		return err
	})
	if err != nil {
		return "", fmt.Errorf("create session: %w", err)
	}
	return base64.StdEncoding.EncodeToString(secret), nil
}

// CheckSession tells whether the token is one of a session.
func (s *Store) CheckSession(ctx context.Context, token string) error {
	secret, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil || len(secret) == 0 {
		return ErrNoSession
	}
	var found int
	err = s.read.QueryRowContext(ctx, "SELECT 1 FROM sessions WHERE token_hash = ? AND expires_at > ?",
		tokenHash(secret), millis(s.now())).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNoSession
	}
	if err != nil {
		return fmt.Errorf("check session: %w", err)
	}
	return nil
}

// tokenHash is what is kept of a token. Tokens are looked up by it, so how long
// that takes tells nothing of them.
func tokenHash(secret []byte) []byte {
	sum := sha256.Sum256(secret)
	return sum[:]
}
