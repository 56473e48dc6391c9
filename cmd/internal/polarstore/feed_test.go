package polarstore

import (
	"path/filepath"
	"strings"
	"testing"
)

// A feed of many versions is read often: no query of it looks at rows that it
// does not need.
func TestFeedQueriesUseIndexes(t *testing.T) {
	s := newStore(t)
	for _, tt := range []struct {
		name, query string
		args        []any
	}{
		{"products", selectFeedProducts, []any{"testing"}},
		{"versions", selectFeedVersions, []any{"testing"}},
		{"items", selectFeedItems, []any{"[1, 2]", "lxd.tar.xz"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			scan := func(scan func(...any) error) (detail string, err error) {
				var id, parent, unused int
				return detail, scan(&id, &parent, &unused, &detail)
			}
			plan, err := list(t.Context(), s.read, scan, "EXPLAIN QUERY PLAN "+tt.query, tt.args...)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range plan {
				for _, table := range []string{"items", "versions", "v"} {
					if strings.HasPrefix(step+" ", "SCAN "+table+" ") {
						t.Errorf("all of %s is read: %q", table, plan)
					}
				}
				if strings.Contains(step, "TEMP B-TREE") {
					t.Errorf("it sorts: %q", plan)
				}
			}
		})
	}
}

func TestFeedGenerationIsAnotherAfterEachChange(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	s, other := openStore(t, dir), openStore(t, dir)
	v := importBuild(t, s, testSerial)
	generation := func() int64 {
		n, err := s.FeedGeneration(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := generation()
	for _, event := range []string{"test", "activate", "deactivate"} {
		fire(t, other, v, event)
		after := generation()
		if after == before {
			t.Errorf("after %s it is the same", event)
		}
		before = after
	}
	if err := other.CountHit(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if generation() != before {
		t.Error("a hit is no change")
	}
}

func TestFeedReaderSeesNewVersionsAndForgetsOld(t *testing.T) {
	s := newStore(t)
	r := s.FeedReader("testing", "lxd")
	serials := func() string {
		f, err := r.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, serial := range []string{"20260101", "20260102"} {
			if v, ok := f.Products[testKey].Versions[serial]; ok {
				all = append(all, serial)
				if len(v.Items) != 2 || v.Items["lxd.tar.xz"].CombinedSquashFS == "" {
					t.Errorf("%s has the items %v", serial, v.Items)
				}
			}
		}
		return strings.Join(all, " ")
	}
	first, second := importBuild(t, s, "20260101"), importBuild(t, s, "20260102")
	for _, tt := range []struct {
		v     Version
		event string
		want  string
	}{
		{first, "test", "20260101"},
		{second, "test", "20260101 20260102"},
		{first, "activate", "20260102"},
		{first, "deactivate", "20260102"},
		{first, "test", "20260101 20260102"},
	} {
		fire(t, s, tt.v, tt.event)
		if got := serials(); got != tt.want {
			t.Errorf("after %s of %s the feed has %q, want %q", tt.event, tt.v.Serial, got, tt.want)
		}
	}
}

// Readers of the feed rely on it, whichever program writes to the database.
func TestItemsNeverChange(t *testing.T) {
	s := newStore(t)
	v := importBuild(t, s, testSerial)
	fire(t, s, v, "test")
	for _, change := range []string{
		"UPDATE items SET hash = 'x'",
		"INSERT INTO items (version_id, name, file_type, hash, size, path, is_metadata, combined) VALUES (1, 'x', 'x', 'x', 1, 'x', 0, '{}')",
	} {
		if _, err := s.write.ExecContext(t.Context(), change); err == nil {
			t.Errorf("taken: %s", change)
		}
	}
}
