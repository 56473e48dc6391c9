package polarstore

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// Whatever comes at once, from several processes: what is taken is one event after
// the other, each from the state that the one before led to.
func TestEventsAtOnceAreTakenOneAfterAnother(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	stores := []*Store{openStore(t, dir), openStore(t, dir)}
	s, ctx := stores[0], t.Context()
	v := importBuild(t, s, testSerial)
	added, err := s.AddChecks(ctx, "ipv4")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := s.AddCluster(ctx, testCluster(t, "one"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Assessment(ctx, v.ID, added[0].ID, cluster.ID, "vm")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		machine machine
		id      int64
		fire    func(s *Store, event string) error
	}{
		{versionStates(), v.ID, func(s *Store, event string) error {
			_, err := s.FireVersion(ctx, v.ID, event, By{})
			return err
		}},
		{assessmentStates(), a.ID, func(s *Store, event string) error {
			_, err := s.FireAssessment(ctx, a.ID, event, By{})
			return err
		}},
	} {
		t.Run(tt.machine.what, func(t *testing.T) {
			var taken atomic.Int64
			var wg sync.WaitGroup
			for _, s := range stores {
				for i := range 4 {
					wg.Go(func() {
						for n := range 3 * len(tt.machine.moves) {
							err := tt.fire(s, tt.machine.moves[(i+n)%len(tt.machine.moves)].event)
							if err == nil {
								taken.Add(1)
							} else if !isRefused(err) {
								t.Error(err)
							}
						}
					})
				}
			}
			wg.Wait()
			events, err := tt.machine.events(ctx, s.read, tt.id)
			if err != nil {
				t.Fatal(err)
			}
			if len(events) == 0 || int64(len(events)) != taken.Load() {
				t.Errorf("%d events in the log, %d were taken", len(events), taken.Load())
			}
			state := "created"
			for _, ev := range events {
				i := slices.IndexFunc(tt.machine.moves, func(mv move) bool { return mv.event == ev.Name })
				if mv := tt.machine.moves[i]; ev.From != state || !slices.Contains(mv.from, ev.From) || ev.To != mv.to {
					t.Fatalf("%s when it was %s: %+v", ev.Name, state, ev)
				}
				state = ev.To
			}
			var now string
			if err := s.read.QueryRowContext(ctx, "SELECT state FROM "+tt.machine.table+" WHERE id = ?", tt.id).Scan(&now); err != nil || now != state {
				t.Errorf("it is %s, and the log says %s; %v", now, state, err)
			}
		})
	}
}

func TestActivationsAtOnceKeepTheNewest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "polar")
	stores := []*Store{openStore(t, dir), openStore(t, dir)}
	s := stores[0]
	if err := s.SetKeep(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	var all []Version
	for i := range 8 {
		v := importBuild(t, s, fmt.Sprintf("2026010%d", i+1))
		fire(t, s, v, "test")
		all = append(all, v)
	}
	var wg sync.WaitGroup
	for i, v := range all {
		wg.Go(func() {
			if _, err := stores[i%2].FireVersion(t.Context(), v.ID, "activate", By{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, v := range all {
		want := "inactive"
		if i >= len(all)-3 {
			want = "active"
		}
		if got := stateOf(t, s, v); got != want {
			t.Errorf("%s is %s, want %s", v.Serial, got, want)
		}
	}
}
