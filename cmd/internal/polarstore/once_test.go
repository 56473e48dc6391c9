package polarstore

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// isInvalid tells whether err is about the field.
func isInvalid(err error, field string) bool {
	var wrong InvalidError
	return errors.As(err, &wrong) && wrong[field] != ""
}

func TestARequestIsDoneOnceForItsKey(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	v := importBuild(t, s, testSerial)
	fire := func(event, comment, key string) (Event, error) {
		return s.FireVersion(ctx, v.ID, event, By{Actor: "a", Comment: comment, Key: key})
	}
	first, err := fire("test", "", "k1")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := fire("test", "", "k1"); err != nil || again != first {
		t.Errorf("again %+v, %v, want %+v", again, err, first)
	}
	if _, err := fire("activate", "", "k2"); err != nil {
		t.Fatal(err)
	}
	if again, err := fire("test", "", "k1"); err != nil || again != first {
		t.Errorf("after another event %+v, %v", again, err)
	}
	events, err := s.VersionEvents(ctx, v.ID)
	if err != nil || len(events) != 2 {
		t.Errorf("events %+v, %v", events, err)
	}
	for name, f := range map[string]func() error{
		"another event":   func() error { _, err := fire("deactivate", "", "k1"); return err },
		"another comment": func() error { _, err := fire("test", "why", "k1"); return err },
		"another version": func() error { _, err := s.FireVersion(ctx, v.ID+1, "test", By{Actor: "a", Key: "k1"}); return err },
		"another actor":   func() error { _, err := s.FireVersion(ctx, v.ID, "test", By{Actor: "b", Key: "k1"}); return err },
		"an assessment":   func() error { _, err := s.FireAssessment(ctx, v.ID, "test", By{Actor: "a", Key: "k1"}); return err },
		"a long key":      func() error { _, err := fire("deactivate", "", strings.Repeat("k", maxRequestKey+1)); return err },
		"an escape":       func() error { _, err := fire("deactivate", "", "\x1b[2J"); return err },
	} {
		if err := f(); !isInvalid(err, "idempotency_key") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAVersionIsCreatedOnceForItsKey(t *testing.T) {
	s := newStore(t)
	p, err := s.AddProduct(t.Context(), testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	items := []Item{{Name: "a", FileType: "squashfs", Hash: sum("a"), Size: 1, Path: testTarget + "/a", Combined: map[string]string{"x": sum("x")}}}
	create := func(serial, key string) (Version, error) {
		return s.CreateVersion(t.Context(), p.ID, serial, items, key)
	}
	first, err := create(testSerial, "k")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := create(testSerial, "k"); err != nil || again != first {
		t.Errorf("again %+v, %v, want %+v", again, err, first)
	}
	if _, err := create(testSerial+"b", "k"); !isInvalid(err, "idempotency_key") {
		t.Errorf("another serial: %v", err)
	}
	for _, key := range []string{"", "other"} {
		if _, err := create(testSerial, key); !isRefused(err) {
			t.Errorf("with the key %q: %v", key, err)
		}
	}
}

func TestARefusedRequestMayBeMadeAgain(t *testing.T) {
	s := newStore(t)
	v := importBuild(t, s, testSerial)
	by := By{Actor: "a", Key: "k"}
	if _, err := s.FireVersion(t.Context(), v.ID, "activate", by); !isRefused(err) {
		t.Fatalf("activate of a created version: %v", err)
	}
	fire(t, s, v, "test")
	if _, err := s.FireVersion(t.Context(), v.ID, "activate", by); err != nil {
		t.Error(err)
	}
}

func TestOfOneRequestAtOnceAllGetTheSameAnswer(t *testing.T) {
	dir := t.TempDir()
	stores := []*Store{openStore(t, dir), openStore(t, dir)} // as in two processes
	v := importBuild(t, stores[0], testSerial)
	var mu sync.Mutex
	var ids []int64
	race(stores, func(s *Store) {
		ev, err := s.FireVersion(t.Context(), v.ID, "test", By{Key: "k"})
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, ev.ID)
	})
	if len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 1 {
		t.Errorf("events %v", ids)
	}
}

func TestRequestsAreForgottenWithTime(t *testing.T) {
	s := newStore(t)
	c := &clock{time.Now()}
	s.now = c.now
	v := importBuild(t, s, testSerial)
	password := strings.Repeat("p", minPassword)
	if err := s.SetPassword(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FireVersion(t.Context(), v.ID, "test", By{Key: "k"}); err != nil {
		t.Fatal(err)
	}
	after := func(d time.Duration) error {
		c.t = c.t.Add(d)
		if _, err := s.CreateSession(t.Context(), password); err != nil {
			t.Fatal(err)
		}
		_, err := s.FireVersion(t.Context(), v.ID, "deactivate", By{Key: "k"})
		return err
	}
	if err := after(requestLifetime - time.Hour); !isInvalid(err, "idempotency_key") {
		t.Errorf("before: %v", err)
	}
	if err := after(time.Hour); err != nil {
		t.Errorf("after: %v", err)
	}
}

func TestEventsSayWhoAndWhyWithinBounds(t *testing.T) {
	s := newStore(t)
	v := importBuild(t, s, testSerial)
	for _, tt := range []struct {
		name, field string
		by          By
	}{
		{"a comment of several lines", "", By{"me", "no IPv6:\n\tat boot – ✗", ""}},
		{"as long as it may be", "", By{strings.Repeat("m", maxActor), strings.Repeat("c", maxComment), ""}},
		{"a long comment", "comment", By{"me", strings.Repeat("c", maxComment+1), ""}},
		{"an escape in it", "comment", By{"me", "\x1b[31m", ""}},
		{"bytes that are no text", "comment", By{"me", "\xff\xfe", ""}},
		{"a long name", "by", By{strings.Repeat("m", maxActor+1), "", ""}},
		{"a name of two lines", "by", By{"me\nyou", "", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev, err := s.FireVersion(t.Context(), v.ID, "test", tt.by)
			switch {
			case tt.field != "" && !isInvalid(err, tt.field):
				t.Errorf("got %v", err)
			case tt.field == "" && (err != nil || ev.Actor != tt.by.Actor || ev.Comment != tt.by.Comment):
				t.Errorf("got %+v, %v", ev, err)
			}
		})
	}
}
