package polarstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
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
	keys, err := s.storageKeys(ctx, s.read)
	if err != nil || keys.AccessKey != "" {
		return keys, err
	}
	err = s.update(ctx, func(tx *sql.Tx) error {
		// Somebody else may have been first.
		if keys, err = s.storageKeys(ctx, tx); err != nil || keys.AccessKey != "" {
			return err
		}
		keys = StorageKeys{AccessKey: rand.Text()[:20], SecretKey: Secret(rand.Text() + rand.Text())}
		if err := put(ctx, tx, "s3_access_key", keys.AccessKey); err != nil {
			return err
		}
		return s.putStorageSecret(ctx, tx, keys.SecretKey)
	})
	if err != nil {
		return StorageKeys{}, fmt.Errorf("make keys for uploads: %w", err)
	}
	return keys, nil
}

func (s *Store) storageKeys(ctx context.Context, q querier) (keys StorageKeys, err error) {
	if keys.AccessKey, err = setting(ctx, q, "s3_access_key"); err != nil || keys.AccessKey == "" {
		return StorageKeys{}, err
	}
	keys.SecretKey, err = s.storageSecret(ctx, q)
	return keys, err
}

// The secret key is not hashed, since signatures are compared by making them again,
// but encrypted as clusters' credentials are.
const storageSecretName = "s3_secret"

func (s *Store) putStorageSecret(ctx context.Context, tx *sql.Tx, secret Secret) error {
	with, err := s.sealer()
	if err != nil {
		return err
	}
	value := with.seal([]byte(secret), storageSecretName)
	return put(ctx, tx, storageSecretName, base64.StdEncoding.EncodeToString(value))
}

func (s *Store) storageSecret(ctx context.Context, q querier) (Secret, error) {
	text, err := setting(ctx, q, storageSecretName)
	if err != nil {
		return "", err
	}
	with, err := s.sealer()
	if err != nil {
		return "", err
	}
	value, err := base64.StdEncoding.DecodeString(text)
	if err == nil {
		value, err = with.open(value, storageSecretName)
	}
	if err != nil {
		return "", &KeyError{s.keyFile, "is not the one that it was encrypted with"}
	}
	return Secret(value), nil
}
