package polarstore

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// database returns all bytes of the data folder's database.
func database(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	names, err := filepath.Glob(filepath.Join(dir, databaseName+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

// holdsKey tells whether there is something of the cluster's key or certificate.
func holdsKey(text string, c Cluster) bool {
	for _, pem := range []string{c.Certificate, string(c.PrivateKey)} {
		for line := range strings.Lines(pem) {
			if strings.Contains(text, strings.TrimSpace(line)) {
				return true
			}
		}
	}
	return false
}

func TestCredentialsAreEncrypted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	s := openStore(t, dir)
	c, err := s.AddCluster(t.Context(), testCluster(t, "one"))
	if err != nil {
		t.Fatal(err)
	}
	if holdsKey(database(t, dir), c) {
		t.Error("the database holds the key")
	}
	if info, err := os.Stat(filepath.Join(dir, keyName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info.Mode(), err)
	}
	all, err := openStore(t, dir).Clusters(t.Context())
	if err != nil || len(all) != 1 || all[0] != c {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestCredentialsOfOldDatabasesAreEncrypted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c, removed := testCluster(t, "one"), testCluster(t, "removed")
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	old, err := schema.ReadFile("schema/001.sql")
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(string(old) + "; PRAGMA user_version = 1")
	for _, c := range []Cluster{c, removed} {
		text, err := json.Marshal(credential{c.Certificate, string(c.PrivateKey)})
		if err != nil {
			t.Fatal(err)
		}
		exec("INSERT INTO clusters (name, type, arch, endpoint, state, credential) VALUES (?, ?, ?, ?, 'healthy', ?)",
			c.Name, c.Type, c.Arch, c.Endpoint, text)
	}
	exec("DELETE FROM clusters WHERE name = 'removed'")
	if text := database(t, dir); !holdsKey(text, c) || !holdsKey(text, removed) {
		t.Fatal("the old database was meant to hold the keys")
	}

	s := openStore(t, dir)
	if text := database(t, dir); holdsKey(text, c) || holdsKey(text, removed) {
		t.Error("the database holds a key still")
	}
	all, err := s.Clusters(t.Context())
	if err != nil || len(all) != 1 || all[0].PrivateKey != c.PrivateKey || all[0].Certificate != c.Certificate {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestCredentialsAreBoundToTheirCluster(t *testing.T) {
	s := newStore(t)
	for _, name := range []string{"one", "two"} {
		if _, err := s.AddCluster(t.Context(), testCluster(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.write.ExecContext(t.Context(), "UPDATE clusters SET credential = (SELECT credential FROM clusters WHERE name = 'two') WHERE name = 'one'")
	if err != nil {
		t.Fatal(err)
	}
	var key *KeyError
	if all, err := s.Clusters(t.Context()); !errors.As(err, &key) {
		t.Errorf("%v, %v", all, err)
	}
}

func TestKeyFileThatDoesNotFitIsNeverReplaced(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(file string) error
		want  string
	}{
		"missing": {os.Remove, "is missing"},
		"another": {func(file string) error {
			return os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(make([]byte, keySize))), 0o600)
		}, "is not the one"},
		"too short": {func(file string) error { return os.WriteFile(file, []byte("c2hvcnQ="), 0o600) }, "holds no key"},
		"empty":     {func(file string) error { return os.WriteFile(file, nil, 0o600) }, "holds no key"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "polar")
			file := filepath.Join(dir, keyName)
			if _, err := openStore(t, dir).AddCluster(t.Context(), testCluster(t, "one")); err != nil {
				t.Fatal(err)
			}
			if err := tt.spoil(file); err != nil {
				t.Fatal(err)
			}
			spoiled, _ := os.ReadFile(file)

			s := openStore(t, dir)
			_, listed := s.Clusters(t.Context())
			_, added := s.AddCluster(t.Context(), testCluster(t, "two"))
			for what, err := range map[string]error{"list": listed, "add": added} {
				var key *KeyError
				if !errors.As(err, &key) || key.File != file || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "one") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if now, _ := os.ReadFile(file); string(now) != string(spoiled) {
				t.Error("the key file is another now")
			}

			// Where the key is lost, its clusters can be added again.
			if err := s.RemoveCluster(t.Context(), "one"); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			s = openStore(t, dir)
			if _, err := s.AddCluster(t.Context(), testCluster(t, "one")); err != nil {
				t.Error(err)
			}
			if all, err := s.Clusters(t.Context()); err != nil || len(all) != 1 {
				t.Errorf("%d clusters, %v", len(all), err)
			}
		})
	}
}
