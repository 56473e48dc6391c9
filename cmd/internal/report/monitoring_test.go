package report

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

func TestNagiosStatesAreTheVerdicts(t *testing.T) {
	skippedAll := ImageResult{Verdict: checks.Skip, Checks: []CheckResult{skipped("gpu", "no GPU")}}
	tests := []struct {
		name    string
		summary Summary
		want    string
	}{
		{"passed", allPassed(), "OK"},
		{"failed", design(), "CRITICAL"},
		{"not known", serverGone(), "UNKNOWN"},
		{"a verdict that is none", Summary{}, "UNKNOWN"},
		{"nothing to do", Summary{Verdict: checks.Skip}, "OK"},
		{"nothing was looked at", Summary{Verdict: checks.Skip, Images: []ImageResult{skippedAll}}, "UNKNOWN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if out := render(t, "nagios", Options{}, tt.summary); !strings.HasPrefix(out, "ICEPAK "+tt.want+" - ") {
				t.Errorf("want %s, got %s", tt.want, out)
			}
		})
	}
}

var nagiosLine = regexp.MustCompile(`^ICEPAK (OK|CRITICAL|UNKNOWN) - [^|\n]+\|total=\d+ failed=\d+ errors=\d+ skipped=\d+ duration=\d+\.\d{3}s\n((?:Fail|Error) \d+ - [^|\n]+\n)*$`)

func FuzzNagiosIsValid(f *testing.F) {
	f.Add("\x1b[31m\n ::x ##[y]")
	f.Add("a|b=1\n|")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > fuzzed {
			return
		}
		o := Options{PerfData: true}
		o.Verbose = true
		out := render(t, "nagios", o, everywhere(s))
		assertSafe(t, out)
		if !nagiosLine.MatchString(out) {
			t.Errorf("got %q", out)
		}
	})
}

var (
	metricHead = regexp.MustCompile(`^# (HELP|TYPE) (icepak_[a-z_]+) \S.*$`)
	metricLine = regexp.MustCompile(`^(icepak_[a-z_]+)((?:\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})?) (\d+(?:\.\d+)?|-\d+(?:\.\d+)?)$`)
)

// checkMetrics checks that a text is as Prometheus wants it: each family in one
// piece with its head before it, and no series twice.
func checkMetrics(doc string) error {
	seen := make(map[string]bool)
	family := ""
	for l := range strings.SplitSeq(strings.TrimSuffix(doc, "\n"), "\n") {
		if m := metricHead.FindStringSubmatch(l); m != nil {
			if seen[m[1]+" "+m[2]] || m[1] == "TYPE" && m[2] != family {
				return fmt.Errorf("misplaced: %s", l)
			}
			family, seen[m[1]+" "+m[2]] = m[2], true
			continue
		}
		m := metricLine.FindStringSubmatch(l)
		switch {
		case m == nil:
			return fmt.Errorf("no metric: %q", l)
		case m[1] != family:
			return fmt.Errorf("%s in the family %s", m[1], family)
		case seen[m[1]+m[2]]:
			return fmt.Errorf("twice: %s", l)
		}
		seen[m[1]+m[2]] = true
	}
	return nil
}

func TestPrometheusIsValid(t *testing.T) {
	o := Options{}
	o.Verbose = true
	for _, r := range runs() {
		if err := checkMetrics(render(t, "prometheus", o, r.summary)); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}

func TestPrometheusHasEveryVerdict(t *testing.T) {
	out := render(t, "prometheus", Options{}, design())
	const labels = `product="debian:bookworm:amd64:default",serial="20261122-01",type="container",remote="rack1"`
	for _, want := range []string{
		`icepak_run_verdict{verdict="fail"} 1`,
		`icepak_run_verdict{verdict="pass"} 0`,
		`icepak_image_verdict{` + labels + `,verdict="fail"} 1`,
		`icepak_check_verdict{` + labels + `,check="ipv4",verdict="pass"} 1`,
		`icepak_check_verdict{` + labels + `,check="package-install",verdict="pass"} 0`,
		`icepak_check_verdict{` + labels + `,check="service-start",verdict="skip"} 1`,
		`icepak_check_duration_seconds{` + labels + `,check="ipv6"} 2.6`,
		`icepak_check_results{` + labels + `,check="package-install",verdict="fail"} 1`,
	} {
		if !strings.Contains(out, want+"\n") {
			t.Errorf("no %s in:\n%s", want, out)
		}
	}
}

func FuzzPrometheusIsValid(f *testing.F) {
	f.Add("\x1b[31m\n ::x ##[y]")
	f.Add("\"} 1\n# TYPE x counter\n\\")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > fuzzed {
			return
		}
		o := Options{}
		o.Verbose = true
		out := render(t, "prometheus", o, everywhere(s))
		assertSafe(t, out)
		if err := checkMetrics(out); err != nil {
			t.Errorf("%v in:\n%s", err, out)
		}
	})
}
