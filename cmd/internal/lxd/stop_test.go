package lxd_test

import (
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// The tiny image takes two seconds to shut down: it gives its processes one to end,
// and one more after it has killed them.
func TestAGuestIsStoppedByForceOnlyWhereItTakesTooLong(t *testing.T) {
	for _, tt := range []struct {
		name     string
		patience time.Duration
		stopped  bool // before
		forced   bool
	}{
		{"one that shuts down", 30 * time.Second, false, false},
		{"one that takes too long", time.Second, false, true},
		{"one that has stopped already", 30 * time.Second, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inst := create(t, lxdtest.Server(t))
			if !tt.stopped {
				if err := inst.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				until(t, "its init runs, and hears that it is to shut down", func() bool {
					console, err := inst.Console(t.Context())
					return err == nil && strings.Contains(console, "tiny boots")
				})
			}
			forced, err := inst.Stop(t.Context(), tt.patience)
			if forced != tt.forced || err != nil {
				t.Errorf("forced %v, %v", forced, err)
			}
			if status, err := inst.Status(t.Context()); status != "Stopped" || err != nil {
				t.Errorf("it is %s, %v", status, err)
			}
		})
	}
}
