package polarstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestDataFolderIsForItsOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a ?#% folder", "polar")
	s := openStore(t, dir)
	if _, err := s.AddProduct(t.Context(), testKey, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".", databaseName, databaseName + "-wal", filesName} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestOpenLeavesForeignFoldersAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "letters.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), dir, Options{}); err == nil {
		s.Close()
		t.Fatal("opened")
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	s := openStore(t, dir)
	if _, err := s.write.ExecContext(t.Context(), "PRAGMA user_version = 1000"); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), dir, Options{})
	if err == nil {
		again.Close()
		t.Fatal("opened")
	}
	if !strings.Contains(err.Error(), "newer icepak") {
		t.Error(err)
	}
}

func TestManyMayOpenANewFolderAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			s, err := Open(t.Context(), dir, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, err := s.AddChecks(t.Context(), fmt.Sprintf("check-%d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	checks, err := openStore(t, dir).Checks(t.Context())
	if err != nil || len(checks) != 12 {
		t.Errorf("%d checks, %v", len(checks), err)
	}
}

func TestOfEventsAtOnceOneIsTaken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	stores := []*Store{openStore(t, dir), openStore(t, dir)} // as in two processes
	s := stores[0]
	v := importBuild(t, s, testSerial)
	added, err := s.AddChecks(t.Context(), "ipv4")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := s.AddCluster(t.Context(), testCluster(t, "one"))
	if err != nil {
		t.Fatal(err)
	}

	// Two who ask for the same assessment at once get the same one.
	var mu sync.Mutex
	var ids []int64
	race(stores, func(s *Store) {
		a, err := s.Assessment(t.Context(), v.ID, added[0].ID, cluster.ID, "container")
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, a.ID)
	})
	if len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 1 {
		t.Fatalf("assessments %v", ids)
	}

	for _, tt := range []struct {
		name  string
		setup func() error
		fire  func(s *Store) error
	}{
		{"pass", func() error {
			_, err := s.FireAssessment(t.Context(), ids[0], "run", By{})
			return err
		}, func(s *Store) error {
			_, err := s.FireAssessment(t.Context(), ids[0], "pass", By{})
			return err
		}},
		{"activate", func() error {
			_, err := s.FireVersion(t.Context(), v.ID, "test", By{})
			return err
		}, func(s *Store) error {
			_, err := s.FireVersion(t.Context(), v.ID, "activate", By{})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.setup(); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			taken := 0
			race(stores, func(s *Store) {
				err := tt.fire(s)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					taken++
				} else if !isRefused(err) {
					t.Error(err)
				}
			})
			if taken != 1 {
				t.Errorf("%d taken", taken)
			}
		})
	}
}

// race calls f many times at once, in turn with each store.
func race(stores []*Store, f func(*Store)) {
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() { f(stores[i%len(stores)]) })
	}
	wg.Wait()
}

func TestActivatingKeepsTheNewest(t *testing.T) {
	s := newStore(t)
	c := newClock(s)
	var all []Version
	for i := range 4 {
		all = append(all, importBuild(t, s, fmt.Sprintf("2026010%d", i+1)))
		c.t = c.t.Add(time.Second)
	}
	states := func() string {
		list, err := s.Versions(t.Context(), testKey)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, v := range slices.Backward(list) {
			names = append(names, v.State)
		}
		return strings.Join(names, " ")
	}
	for _, v := range all[:3] {
		fire(t, s, v, "test", "activate")
	}
	if got := states(); got != "inactive active active created" {
		t.Error(got)
	}
	// As in Polar, an older one that is activated again is older still.
	fire(t, s, all[0], "test", "activate")
	if got := states(); got != "inactive active active created" {
		t.Error(got)
	}
	if err := s.SetKeep(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	fire(t, s, all[3], "test", "activate")
	if got := states(); got != "inactive inactive inactive active" {
		t.Error(got)
	}
	events, err := s.VersionEvents(t.Context(), all[2].ID)
	if err != nil {
		t.Fatal(err)
	}
	last := events[len(events)-1]
	if last.Name != "deactivate" || last.Actor != "polar" || last.Comment == "" {
		t.Errorf("last event %+v", last)
	}
	if err := s.SetKeep(t.Context(), 0); err == nil {
		t.Error("no active version would be kept")
	}
}

func TestRefusedEventLeavesNoTrace(t *testing.T) {
	s := newStore(t)
	v := importBuild(t, s, testSerial)
	if _, err := s.FireVersion(t.Context(), v.ID, "activate", By{}); !isRefused(err) {
		t.Fatalf("activate of a created version: %v", err)
	}
	events, err := s.VersionEvents(t.Context(), v.ID)
	if err != nil || len(events) != 0 {
		t.Errorf("events %v, %v", events, err)
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	other := testCluster(t, "other")
	for _, tt := range []struct {
		name string
		add  func() error
	}{
		{"key of three parts", func() error { _, err := s.AddProduct(ctx, "debian:bookworm:amd64", nil); return err }},
		{"key that leaves the folder", func() error { _, err := s.AddProduct(ctx, "..:bookworm:amd64:default", nil); return err }},
		{"key with a slash", func() error { _, err := s.AddProduct(ctx, "a/b:bookworm:amd64:default", nil); return err }},
		{"kernel's name of an architecture", func() error { _, err := s.AddProduct(ctx, "debian:bookworm:x86_64:default", nil); return err }},
		{"slug with a space", func() error { _, err := s.AddChecks(ctx, "has ipv4"); return err }},
		{"item whose name is an escape", func() error {
			_, err := s.CreateVersion(ctx, 1, testSerial, []Item{{Name: "\x1b[2J", FileType: "squashfs", Hash: sum("a"), Size: 1, Path: testTarget + "/a"}}, "")
			return err
		}},
		{"channel", func() error { _, _, err := s.AddSpace(ctx, Space{Channel: "inactive", Type: "lxd"}); return err }},
		{"type of space", func() error { _, _, err := s.AddSpace(ctx, Space{Channel: "active", Type: "qemu"}); return err }},
		{"space that has expired already", func() error {
			_, _, err := s.AddSpace(ctx, Space{Channel: "active", Type: "lxd", Expires: time.Now().Add(-time.Second)})
			return err
		}},
		{"name of a space that is an escape", func() error {
			_, _, err := s.AddSpace(ctx, Space{Channel: "active", Type: "lxd", Name: "\x1b[2J"})
			return err
		}},
		{"endpoint without TLS", func() error {
			c := testCluster(t, "one")
			c.Endpoint = "http://one.example.com:8443"
			_, err := s.AddCluster(ctx, c)
			return err
		}},
		{"another's private key", func() error {
			c := testCluster(t, "one")
			c.PrivateKey = other.PrivateKey
			_, err := s.AddCluster(ctx, c)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var wrong InvalidError
			if err := tt.add(); !errors.As(err, &wrong) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNamesAreTakenOnce(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		add  func(again bool) error
	}{
		{"product", func(again bool) error {
			key := testKey
			if again {
				key = strings.ToUpper(key[:1]) + key[1:]
			}
			_, err := s.AddProduct(ctx, key, nil)
			return err
		}},
		{"check", func(bool) error { _, err := s.AddChecks(ctx, "ipv4"); return err }},
		{"cluster", func(bool) error { _, err := s.AddCluster(ctx, testCluster(t, "one")); return err }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.add(false); err != nil {
				t.Fatal(err)
			}
			if err := tt.add(true); !isRefused(err) {
				t.Errorf("again: %v", err)
			}
		})
	}
}

func TestChecksAreAddedTogether(t *testing.T) {
	s := newStore(t)
	for _, last := range []string{"NOT A SLUG", "ipv4"} {
		if _, err := s.AddChecks(t.Context(), "ipv4", "ipv6", last); err == nil {
			t.Errorf("%q is added", last)
		}
		if all, err := s.Checks(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("with %q: %v, %v", last, all, err)
		}
	}
}

func TestAssessmentOutlivesItsCluster(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	v := importBuild(t, s, testSerial)
	added, err := s.AddChecks(ctx, "ipv4")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := s.AddCluster(ctx, testCluster(t, "one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Assessment(ctx, v.ID, added[0].ID, cluster.ID, "vm"); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveCluster(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveCluster(ctx, "one"); !isNotFound(err) {
		t.Errorf("removed again: %v", err)
	}
	all, err := s.Assessments(ctx, v.ID)
	if err != nil || len(all) != 1 || all[0].Cluster != "" || all[0].Check != "ipv4" || all[0].InstanceType != "vm" {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestFailedUpdateLeavesNoTrace(t *testing.T) {
	s := newStore(t)
	broken := errors.New("broken")
	err := s.update(t.Context(), func(tx *sql.Tx) error {
		if err := put(t.Context(), tx, "keep", "7"); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if value, err := setting(context.Background(), s.read, "keep"); err != nil || value != "" {
		t.Errorf("keep %q, %v", value, err)
	}
}

func TestClusterStates(t *testing.T) {
	s := newStore(t)
	ctx := t.Context()
	if _, err := s.AddCluster(ctx, testCluster(t, "one")); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"unhealthy", "healthy"} {
		if err := s.SetClusterState(ctx, "ONE", state); err != nil {
			t.Error(err)
		}
		if all, err := s.Clusters(ctx); err != nil || all[0].State != state || all[0].Certificate == "" {
			t.Errorf("%v, %v", all, err)
		}
	}
	if err := s.SetClusterState(ctx, "two", "healthy"); !isNotFound(err) {
		t.Errorf("got %v", err)
	}
	if err := s.SetClusterState(ctx, "one", "poorly"); err == nil {
		t.Error("any state is taken")
	}
}

func TestAFullDatabaseIsTold(t *testing.T) {
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "full.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // the limit is a connection's
	for _, statement := range []string{"CREATE TABLE t (x)", "PRAGMA max_page_count = 2"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO t VALUES (zeroblob(1000000))"); !IsFull(err) {
		t.Errorf("got %v", err)
	}
	if IsFull(errors.New("disk full")) {
		t.Error("any error is taken for one")
	}
}
