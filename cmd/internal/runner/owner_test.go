package runner

import (
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestAbandonedNeverTouchesALiveRun(t *testing.T) {
	now := time.Now()
	live := NewOwner(now.Add(time.Hour)).labels(KeepNever)
	with := func(changes map[string]string) map[string]string {
		labels := maps.Clone(live)
		maps.Copy(labels, changes)
		return labels
	}
	past, future := now.Add(-time.Minute).UTC().Format(time.RFC3339), now.Add(time.Minute).UTC().Format(time.RFC3339)
	for _, tt := range []struct {
		name            string
		labels          map[string]string
		abandoned, kept bool
	}{
		{"this very run", live, false, false},
		{"this very run, later than it was to last", with(map[string]string{labelUntil: past}), false, false},
		{"a process here that is no more", with(map[string]string{labelPID: "4194303:1"}), true, false},
		{"another process with the same number", with(map[string]string{labelPID: strings.Split(live[labelPID], ":")[0] + ":1"}), true, false},
		{"elsewhere, still in its time", with(map[string]string{labelHost: "elsewhere", labelUntil: future}), false, false},
		{"elsewhere, over its time", with(map[string]string{labelHost: "elsewhere", labelUntil: past}), true, false},
		{"elsewhere, without a time", with(map[string]string{labelHost: "elsewhere", labelUntil: ""}), false, false},
		{"kept on purpose", with(map[string]string{labelPID: "4194303:1", labelKeep: "always"}), true, true},
		{"maybe kept on purpose", with(map[string]string{labelPID: "4194303:1", labelKeep: "failed"}), true, true},
		{"nobody's", map[string]string{"user.other": "x"}, false, false},
		{"a process that was not told", with(map[string]string{labelPID: "", labelUntil: future}), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if abandoned, kept := Abandoned(tt.labels, now); abandoned != tt.abandoned || kept != tt.kept {
				t.Errorf("abandoned %v, kept %v", abandoned, kept)
			}
		})
	}
}

// A clock that jumps, either way, makes nobody delete the instances of a run that
// lives on this machine, nor the run its own.
func TestAClockThatJumpsAbandonsNoLiveRun(t *testing.T) {
	labels := NewOwner(time.Now().Add(time.Hour)).labels(KeepNever)
	for _, jump := range []time.Duration{-100 * 365 * 24 * time.Hour, -2 * time.Hour, 2 * time.Hour, 100 * 365 * 24 * time.Hour} {
		if abandoned, _ := Abandoned(labels, time.Now().Add(jump)); abandoned {
			t.Errorf("after a jump by %s it is abandoned", jump)
		}
	}
}

func TestAProcessIsNamedByItsNumberAndStart(t *testing.T) {
	if name := process(os.Getpid()); !regexp.MustCompile(`^\d+:\d+$`).MatchString(name) {
		t.Errorf("this process is %q", name)
	}
	if name := process(4194303); name != "" {
		t.Errorf("a process that is not there is %q", name)
	}
}

func TestInstanceNamesAreValidHostNames(t *testing.T) {
	valid := regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	for _, product := range []string{
		"debian:bookworm:amd64:default", "", ":::", "9front", "a/b/../c", "ÄÖÜ", strings.Repeat("x-", 100), "-_-",
	} {
		if name := InstanceName(product); !valid.MatchString(name) || len(name) > 63 {
			t.Errorf("%q becomes %q", product, name)
		}
	}
	if first, second := InstanceName("a"), InstanceName("a"); first == second {
		t.Error("two instances have one name")
	}
}
