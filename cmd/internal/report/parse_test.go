package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

func TestParsedJSONIsTheSameReport(t *testing.T) {
	for _, r := range runs() {
		t.Run(r.name, func(t *testing.T) {
			doc := jsonReport(t, r.summary)
			parsed, err := ParseJSON(doc)
			if err != nil {
				t.Fatal(err)
			}
			var want, got any
			if err := errors.Join(json.Unmarshal(doc, &want), json.Unmarshal(jsonReport(t, parsed), &got)); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
}

// Of a result that is not of the running guest's first look, every format says so;
// what a guest makes up is no moment.
func TestResultsSayOfWhichMomentTheyAre(t *testing.T) {
	s := design()
	r := &s.Images[0].Checks[2].Results[1]
	r.When = checks.BeforeBoot
	const want = "package nginx: installed, before the boot"
	var text bytes.Buffer
	tell(t, NewText(&text, &text, TextOptions{}), s)
	parsed, err := ParseJSON(jsonReport(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if got := label(parsed.Images[0].Checks[2].Results[1]); got != want || !strings.Contains(text.String(), want) {
		t.Errorf("got %q, and\n%s", got, text.String())
	}
	r.When = "next year"
	if doc := string(jsonReport(t, s)); strings.Contains(doc, "next year") || strings.Contains(label(*r), "next year") {
		t.Errorf("%s: %s", label(*r), doc)
	}
}

func TestWhatIsNoReportIsRefused(t *testing.T) {
	doc := string(jsonReport(t, design()))
	for name, text := range map[string]string{
		"nothing":        "",
		"no object":      "[]",
		"of another age": strings.Replace(doc, `"schema_version": 1`, `"schema_version": 2`, 1),
		"without age":    `{}`,
		"two":            doc + doc,
		"cut off":        doc[:len(doc)/2],
		"another type":   strings.Replace(doc, `"name": "ipv4"`, `"name": 4`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := ParseJSON([]byte(text)); err == nil {
				t.Errorf("got %+v", s)
			}
		})
	}
	if _, err := ParseJSON([]byte(strings.Replace(doc, `"verdict"`, `"later_field": [], "verdict"`, 1))); err != nil {
		t.Errorf("a field of a newer icepak: %v", err)
	}
}

func TestWhyIsOneLine(t *testing.T) {
	failed := func(r checks.Result) CheckResult {
		r.Type, r.ID, r.Property, r.Verdict = "package", "nginx", "installed", checks.Fail
		return CheckResult{Outcome: outcome(checks.Fail, 0, 1, 1), Results: []checks.Result{{Verdict: checks.Pass}, r}}
	}
	for _, tt := range []struct {
		name  string
		check CheckResult
		want  string
	}{
		{"the check says it", CheckResult{Outcome: checks.Outcome{Verdict: checks.Fail, Reason: "no\nanswer"}, Results: []checks.Result{{Verdict: checks.Fail}}}, "no answer"},
		{"a result says it", failed(checks.Result{Expected: true, Message: "exit 100"}), "package nginx: installed: exit 100"},
		{"values say it", failed(checks.Result{Expected: []any{"a", 1}, Actual: "b\x1b[2J"}), "package nginx: installed: expected [a, 1], found \"b\\x1b[2J\""},
		{"nothing was found", failed(checks.Result{Expected: 5}), "package nginx: installed: expected 5, found null"},
		{"nobody says it", failed(checks.Result{}), "package nginx: installed"},
		{"there is no failure", passed("ipv4", 2, 1), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Why(tt.check); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// Whatever a report holds, what is made of it for people is clean.
func FuzzParsedReportsAreSafe(f *testing.F) {
	for _, r := range runs() {
		var doc bytes.Buffer
		if err := NewJSON(&doc).Close(r.summary); err != nil {
			f.Fatal(err)
		}
		f.Add(doc.Bytes())
	}
	f.Add([]byte(`{"schema_version":1,"duration_s":-1e300,"images":[{"checks":[{"results":[{"verdict":"x","actual":1e999}]}]}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		s, err := ParseJSON(doc)
		if err != nil {
			return
		}
		for _, image := range s.Images {
			for _, c := range image.Checks {
				assertSafe(t, Why(c))
				for _, r := range c.Results {
					assertSafe(t, Label(r))
					assertSafe(t, Explain(r))
				}
			}
			for _, d := range image.Diagnostics {
				assertSafe(t, Tail(d.Text))
			}
		}
	})
}
