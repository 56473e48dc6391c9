package polarstore

import (
	"testing"
	"time"
)

const day = 24 * time.Hour

func TestPruneEndsTestingPeriods(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events map[time.Duration]string // by when they are fired
		at     time.Duration            // when it is pruned
		want   string                   // the state after that
	}{
		{"in time", map[time.Duration]string{0: "test"}, 3 * day, "testing"},
		{"a moment too long", map[time.Duration]string{0: "test"}, 3*day + time.Millisecond, "inactive"},
		{"tested again", map[time.Duration]string{0: "test", 2 * day: "test"}, 4 * day, "testing"},
		{"tested again, and too long then", map[time.Duration]string{0: "test", 2 * day: "test"}, 6 * day, "inactive"},
		{"back after it was inactive", map[time.Duration]string{0: "test", day: "deactivate", 4 * day: "test"}, 6 * day, "testing"},
		{"activated", map[time.Duration]string{0: "test", day: "activate"}, 9 * day, "active"},
		{"never tested", nil, 9 * day, "created"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			c := newClock(s)
			began := c.t
			v := importBuild(t, s, testSerial)
			for hours := range 24 * 9 {
				if event, ok := tt.events[time.Duration(hours)*time.Hour]; ok {
					c.t = began.Add(time.Duration(hours) * time.Hour)
					fire(t, s, v, event)
				}
			}
			c.t = began.Add(tt.at)
			would, err := s.Overdue(t.Context(), 3*day)
			if err != nil {
				t.Fatal(err)
			}
			pruned, err := s.Prune(t.Context(), 3*day)
			if err != nil {
				t.Fatal(err)
			}
			if got := stateOf(t, s, v); got != tt.want {
				t.Errorf("it is %s, want %s", got, tt.want)
			}
			if tt.want != "inactive" {
				if len(would)+len(pruned) > 0 {
					t.Errorf("would prune %v, and pruned %v", would, pruned)
				}
				return
			}
			if len(would) != 1 || len(pruned) != 1 || would[0].State != "testing" || pruned[0].State != "inactive" ||
				would[0].ID != v.ID || !would[0].Since.Equal(pruned[0].Since) {
				t.Errorf("would prune %v, and pruned %v", would, pruned)
			}
			events, err := s.VersionEvents(t.Context(), v.ID)
			if err != nil {
				t.Fatal(err)
			}
			last := events[len(events)-1]
			if last.Name != "deactivate" || last.Actor != "polar" || last.Comment != "testing period expired" {
				t.Errorf("last event %+v", last)
			}
			if again, err := s.Prune(t.Context(), 3*day); err != nil || len(again) != 0 {
				t.Errorf("pruned again: %v, %v", again, err)
			}
		})
	}
}
