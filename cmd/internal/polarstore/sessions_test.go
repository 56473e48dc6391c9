package polarstore

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSessions(t *testing.T) {
	s := newStore(t)
	c := newClock(s)
	ctx := t.Context()
	if _, err := s.CreateSession(ctx, ""); !errors.Is(err, ErrWrongPassword) {
		t.Errorf("no password is set, and the empty one gives %v", err)
	}
	password := strings.Repeat("p", maxPassword)
	if err := s.SetPassword(ctx, password); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", password[1:], password + "p"} {
		if _, err := s.CreateSession(ctx, wrong); !errors.Is(err, ErrWrongPassword) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	token, err := s.CreateSession(ctx, password)
	if err != nil {
		t.Fatal(err)
	}
	check := func(when string, want error) {
		t.Helper()
		if err := s.CheckSession(ctx, token); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", when, err, want)
		}
	}
	c.t = c.t.Add(59 * 24 * time.Hour)
	check("after 59 days", nil)
	c.t = c.t.Add(24 * time.Hour)
	check("after 60 days", ErrNoSession)
	if token, err = s.CreateSession(ctx, password); err != nil {
		t.Fatal(err)
	}
	check("new", nil)
	if err := s.SetPassword(ctx, "another password"); err != nil {
		t.Fatal(err)
	}
	check("after a change of the password", ErrNoSession)
	for _, bad := range []string{"short", strings.Repeat("p", maxPassword+1)} {
		if err := s.SetPassword(ctx, bad); err == nil {
			t.Errorf("a password of %d bytes was taken", len(bad))
		}
	}
}

func TestSecretsAreNotKeptOrPrinted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	s := openStore(t, dir)
	ctx := t.Context()
	const password = "correct horse battery"
	if err := s.SetPassword(ctx, password); err != nil {
		t.Fatal(err)
	}
	session, err := s.CreateSession(ctx, password)
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := s.AddSpace(ctx, Space{Channel: "testing", Type: "lxd"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{password, session, token} {
		if strings.Contains(string(data), secret) {
			t.Errorf("the database holds %q", secret)
		}
	}

	c := testCluster(t, "one")
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", c.PrivateKey, "cluster", c)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, c.PrivateKey), log.String()} {
		if strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("printed: %s", text)
		}
	}
}
