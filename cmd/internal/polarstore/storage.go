package polarstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
)

// StorageKeys are what publishers sign uploads with.
type StorageKeys struct {
	AccessKey string
	SecretKey Secret
}

// StorageKeys returns the keys for uploads, and makes them at their first use.
// They change with the password: who knew the old one knows the keys.
func (s *Store) StorageKeys(ctx context.Context) (StorageKeys, error) {
	keys, err := storageKeys(ctx, s.read)
	if err != nil || keys.AccessKey != "" {
		return keys, err
	}
	err = s.update(ctx, func(tx *sql.Tx) error {
		// Somebody else may have been first.
		if keys, err = storageKeys(ctx, tx); err != nil || keys.AccessKey != "" {
			return err
		}
		keys = StorageKeys{AccessKey: rand.Text()[:20], SecretKey: Secret(rand.Text() + rand.Text())}
		if err := put(ctx, tx, "s3_access_key", keys.AccessKey); err != nil {
			return err
		}
		return putStorageSecret(ctx, tx, keys.SecretKey)
	})
	if err != nil {
		return StorageKeys{}, fmt.Errorf("make keys for uploads: %w", err)
	}
	return keys, nil
}

func storageKeys(ctx context.Context, q querier) (keys StorageKeys, err error) {
	if keys.AccessKey, err = setting(ctx, q, "s3_access_key"); err != nil || keys.AccessKey == "" {
		return StorageKeys{}, err
	}
	keys.SecretKey, err = storageSecret(ctx, q)
	return keys, err
}

// The secret key is kept as it is, not hashed: signatures are compared by making
// them again.
func putStorageSecret(ctx context.Context, tx *sql.Tx, secret Secret) error {
	return put(ctx, tx, "s3_secret", string(secret))
}

func storageSecret(ctx context.Context, q querier) (Secret, error) {
	text, err := setting(ctx, q, "s3_secret")
	return Secret(text), err
}
