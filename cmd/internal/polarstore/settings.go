package polarstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// set sets a setting of the whole server.
func (s *Store) set(ctx context.Context, name, value string) error {
	return s.update(ctx, func(tx *sql.Tx) error { return put(ctx, tx, name, value) })
}

func put(ctx context.Context, tx *sql.Tx, name, value string) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
	if err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	return nil
}

// setting returns a setting's value, which is empty where it is not set.
func setting(ctx context.Context, q querier, name string) (value string, err error) {
	err = q.QueryRowContext(ctx, "SELECT value FROM settings WHERE name = ?", name).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read setting %s: %w", name, err)
	}
	return value, nil
}
