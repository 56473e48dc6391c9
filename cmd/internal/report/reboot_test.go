package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

// rebooted is a check of which some was looked at twice.
func rebooted() Summary {
	result := func(property string, v checks.Verdict, when checks.Moment, actual any, message string) checks.Result {
		return checks.Result{Type: "boot", Property: property, Verdict: v, When: when, Actual: actual, Message: message, Source: "a.yaml:3:5"}
	}
	c := CheckResult{Name: "boot", Source: "a.yaml:2:3", Outcome: checks.Outcome{Verdict: checks.Fail, Passed: 6, Total: 7},
		Results: []checks.Result{
			result("processes", checks.Pass, "", 9, ""),
			result("memory", checks.Pass, "", 1000, ""),
			result("state", checks.Pass, "", "running", ""),
			result("ipv4", checks.Pass, "", 1.2, ""),
			result("processes", checks.Pass, checks.AfterReboot, 10, ""),
			result("memory", checks.Pass, checks.AfterReboot, 1000, ""),
			result("state", checks.Pass, checks.AfterReboot, "running\x1b[2J", ""),
			result("ipv4", checks.Fail, checks.AfterReboot, nil, "held before the reboot: there is no ipv4 address"),
		}}
	image := ImageResult{Image: Image{Product: "a:b:c:d", Type: "container"}, Verdict: checks.Fail, Checks: []CheckResult{c},
		Stages: []StageTime{{Stage: Evaluate, Duration: 1e9}, {Stage: Reboot, Duration: 3e9}}}
	return Summary{Verdict: checks.Fail, Images: []ImageResult{image}}
}

func TestWhatAChangedPropertyWasIsToldToWhoWantsItAll(t *testing.T) {
	for _, tt := range []struct {
		verbose   bool
		has, lack []string
	}{
		{false, []string{"boot: ipv4, after a reboot", "held before the reboot: there is no ipv4 address", "checks 1.0 s, reboot 3.0 s"},
			[]string{"processes", "state", "memory", "before the reboot, "}},
		{true, []string{"✓ boot: processes\n", "✓ boot: processes, after a reboot\n        9 before the reboot, 10 after it\n", "held before the reboot: there"},
			[]string{"1000", "\x1b"}},
	} {
		var out bytes.Buffer
		r := NewText(&out, &bytes.Buffer{}, TextOptions{Verbose: tt.verbose})
		if err := r.Close(rebooted()); err != nil {
			t.Fatal(err)
		}
		for _, text := range tt.has {
			if !strings.Contains(out.String(), text) {
				t.Errorf("verbose %v: nothing of %q in\n%s", tt.verbose, text, out.String())
			}
		}
		for _, text := range tt.lack {
			if strings.Contains(out.String(), text) {
				t.Errorf("verbose %v: %q in\n%s", tt.verbose, text, out.String())
			}
		}
	}
}

func TestAResultAfterARebootHasAMetricOfItsOwn(t *testing.T) {
	var out bytes.Buffer
	if err := NewPrometheus(&out, true).Close(rebooted()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "icepak_result_verdict{"); n != 8 {
		t.Errorf("%d metrics of 8 results:\n%s", n, out.String())
	}
	if n := strings.Count(out.String(), `when="after a reboot"`); n != 4 {
		t.Errorf("%d metrics say when, of 4", n)
	}
}
