package polarstore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// What opens clusters and the bucket is encrypted in the database: a copy of that alone, such as
// a backup that went astray, opens none. The key is in a file beside it.
const keyName = "key"

// A KeyError says why the key file does not open what is encrypted.
type KeyError struct {
	File   string
	Reason string
}

func (e *KeyError) Error() string { return "key file " + e.File + " " + e.Reason }

// sealed is the first byte of what seal returns. Until schema 003, credentials
// were JSON, which begins otherwise.
const sealed = 1

// A sealer encrypts values. Each is bound to what it is of, so that it is of no use
// in another's place.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}, err
}

func (s sealer) seal(value []byte, of string) []byte {
	return s.aead.Seal([]byte{sealed}, nil, value, []byte(of))
}

func (s sealer) open(value []byte, of string) ([]byte, error) {
	if len(value) == 0 || value[0] != sealed {
		return nil, errors.New("not encrypted")
	}
	return s.aead.Open(nil, nil, value[1:], []byte(of))
}

// sealer returns the sealer of the key file. The file is read each time: a server
// runs for long, and is to see that it was put back.
func (s *Store) sealer() (sealer, error) {
	text, err := os.ReadFile(s.keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return sealer{}, &KeyError{s.keyFile, "is missing"}
	}
	if err != nil {
		return sealer{}, fmt.Errorf("read key file: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keySize {
		return sealer{}, &KeyError{s.keyFile, "holds no key"}
	}
	return newSealer(key)
}

const keySize = 32 // of AES-256

// makeKey makes the key file where there is none, unless something is encrypted
// with one that has gone missing. Nobody else is in the transaction.
func (s *Store) makeKey(ctx context.Context, tx *sql.Tx) error {
	if _, err := os.Stat(s.keyFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var used bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM clusters WHERE substr(credential, 1, 1) = ?)
		OR EXISTS (SELECT 1 FROM settings WHERE name = ?)`, []byte{sealed}, storageSecretName).Scan(&used)
	if err != nil || used {
		return err // whoever needs the key is told
	}
	key := make([]byte, keySize)
	rand.Read(key)
	return writeKey(s.keyFile, base64.StdEncoding.EncodeToString(key)+"\n")
}

// writeKey writes the file as a whole or not at all, and to the disk: what is
// encrypted from now on is lost without it.
func writeKey(name, text string) (err error) {
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// sealCredentials encrypts credentials that are not yet, and tells whether there
// were any.
func (s *Store) sealCredentials(ctx context.Context, tx *sql.Tx) (found bool, err error) {
	type plain struct {
		id    int64
		name  string
		value []byte
	}
	scan := func(scan func(...any) error) (p plain, err error) { return p, scan(&p.id, &p.name, &p.value) }
	all, err := list(ctx, tx, scan, "SELECT id, name, credential FROM clusters WHERE substr(credential, 1, 1) <> ?", []byte{sealed})
	if err != nil || len(all) == 0 {
		return false, err
	}
	with, err := s.sealer()
	if err != nil {
		return false, err
	}
	for _, p := range all {
		_, err := tx.ExecContext(ctx, "UPDATE clusters SET credential = ? WHERE id = ?", with.seal(p.value, credentialOf(p.name)), p.id)
		if err != nil {
			return false, err
		}
	}
	return true, nil
}
