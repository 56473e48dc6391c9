package report

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

var (
	tapPlan = regexp.MustCompile(`^1\.\.(\d+)$`)
	// A description has no number sign that is not escaped, but for that of a directive.
	tapPoint = regexp.MustCompile(`^(ok|not ok) (\d+) - ((?:[^#\\]|\\[#\\])*?)(?: # SKIP (.*))?$`)
)

// A tapResult is a test point as a reader has it.
type tapResult struct {
	ok, skipped bool
	diagnostic  map[string]any
}

// parseTAP reads a document as strictly as possible.
func parseTAP(doc string) ([]tapResult, error) {
	lines := strings.Split(strings.TrimSuffix(doc, "\n"), "\n")
	if len(lines) < 3 || lines[0] != "TAP version 13" || !tapPlan.MatchString(lines[1]) {
		return nil, fmt.Errorf("no version and plan: %q", lines)
	}
	plan, last := lines[1], lines[len(lines)-1]
	if !strings.HasPrefix(last, "# ") {
		return nil, fmt.Errorf("no comment at the end: %q", last)
	}
	lines = lines[2 : len(lines)-1]
	var list []tapResult
	for len(lines) > 0 {
		m := tapPoint.FindStringSubmatch(lines[0])
		if m == nil || m[2] != fmt.Sprint(len(list)+1) {
			return nil, fmt.Errorf("not test point %d: %q", len(list)+1, lines[0])
		}
		r := tapResult{ok: m[1] == "ok", skipped: m[4] != ""}
		lines = lines[1:]
		if len(lines) > 0 && lines[0] == "  ---" {
			end := 1
			for end < len(lines) && lines[end] != "  ..." {
				end++
			}
			if end == len(lines) {
				return nil, fmt.Errorf("a diagnostic without an end")
			}
			if err := yaml.Unmarshal([]byte(strings.Join(lines[1:end], "\n")), &r.diagnostic); err != nil {
				return nil, err
			}
			lines = lines[end+1:]
		}
		list = append(list, r)
	}
	if want := fmt.Sprintf("1..%d", len(list)); plan != want {
		return nil, fmt.Errorf("the plan is %s, want %s", plan, want)
	}
	return list, nil
}

func TestTAPSaysWhatFailed(t *testing.T) {
	for _, r := range runs() {
		t.Run(r.name, func(t *testing.T) {
			got, err := parseTAP(render(t, "tap", Options{}, r.summary))
			if err != nil {
				t.Fatal(err)
			}
			bad := false
			for i, f := range findings(r.summary) {
				if got[i].ok == faulty(f.Verdict) || got[i].skipped != (f.Verdict == "skip") {
					t.Errorf("%s is %s, but is told as %+v", f, f.Verdict, got[i])
				}
				if !got[i].ok && got[i].diagnostic["verdict"] != string(f.Verdict) {
					t.Errorf("%s: the diagnostic is %v", f, got[i].diagnostic)
				}
				bad = bad || !got[i].ok
			}
			if bad != faulty(r.summary.Verdict) {
				t.Errorf("a run that is %s is told of otherwise", r.summary.Verdict)
			}
		})
	}
}

// A reader that knows no YAML looks at each line on its own, wherever it begins.
func FuzzTAPIsValid(f *testing.F) {
	f.Add("\x1b[31m\n ::x ##[y]")
	f.Add(`"\ud800"`)
	f.Add("ok 1\nBail out!\n  ...\nnot ok # TODO \\# SKIP")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > fuzzed {
			return
		}
		doc := render(t, "tap", Options{}, everywhere(s))
		assertSafe(t, doc)
		list, err := parseTAP(doc)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		if len(list) != 4 || list[0].ok || !list[1].ok || !list[2].skipped || list[3].ok {
			t.Errorf("got %+v from:\n%s", list, doc)
		}
		for l := range strings.Lines(doc) {
			if l = strings.TrimSpace(l); strings.HasPrefix(strings.ToLower(l), "bail out") || strings.HasPrefix(l, "1..") && l != "1..4" {
				t.Errorf("%q in:\n%s", l, doc)
			}
		}
	})
}
