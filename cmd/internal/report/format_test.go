package report

import (
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

// render is what a format makes of a run.
func render(t *testing.T, format string, o Options, s Summary) string {
	t.Helper()
	var out bytes.Buffer
	tell(t, newReporter(t, format, &out, o), s)
	return out.String()
}

func newReporter(t *testing.T, format string, w io.Writer, o Options) Reporter {
	t.Helper()
	for _, f := range Formats() {
		if f.Name == format {
			if o.Progress == nil {
				o.Progress = io.Discard
			}
			return f.New(w, o)
		}
	}
	t.Fatalf("there is no format %s", format)
	return nil
}

// looks are the formats' golden files: a name's ending, and how it is made. Those
// that show a result in many lines have fewer runs.
var looks = []struct {
	ending, format string
	opts           Options
	runs           []string // all where empty
}{
	{"documentation", "documentation", Options{}, nil},
	{"rspecish", "rspecish", Options{}, nil},
	{"rspecish.color", "rspecish", Options{TextOptions: TextOptions{Color: true}}, []string{"design"}},
	{"md", "markdown", Options{}, nil},
	{"html", "html", Options{}, []string{"several", "hostile", "long values", "never ready", "no images"}},
	{"goss.json", "goss-json", Options{Pretty: true}, []string{"design", "server gone", "hostile", "long values", "no images"}},
	{"github", "github", Options{}, nil},
	{"tap", "tap", Options{}, nil},
	{"nagios", "nagios", Options{PerfData: true}, nil},
	{"nagios.verbose", "nagios", Options{TextOptions: TextOptions{Verbose: true}}, []string{"several", "hostile"}},
	{"prometheus", "prometheus", Options{}, []string{"several", "hostile", "no images"}},
	{"prometheus.verbose", "prometheus", Options{TextOptions: TextOptions{Verbose: true}}, []string{"design"}},
}

func TestFormatsShowRuns(t *testing.T) {
	for _, look := range looks {
		for _, r := range runs() {
			if len(look.runs) == 0 || slices.Contains(look.runs, r.name) {
				t.Run(r.name+"."+look.ending, func(t *testing.T) {
					golden(t, r.name+"."+look.ending, []byte(render(t, look.format, look.opts, r.summary)))
				})
			}
		}
	}
}

func TestEveryFormatSaysWhatItIsFor(t *testing.T) {
	var names []string
	for _, f := range Formats() {
		if f.For == "" || strings.ContainsAny(f.For, "\n.") || len(f.For) > 60 {
			t.Errorf("%s: %q is not a few words", f.Name, f.For)
		}
		if slices.Contains(names, f.Name) {
			t.Errorf("two formats are called %s", f.Name)
		}
		names = append(names, f.Name)
	}
	for _, o := range FormatOptions() {
		for _, f := range o.Formats {
			if !slices.Contains(names, f) {
				t.Errorf("%s is an option of %s, which is no format", o.Name, f)
			}
		}
	}
}

func TestAReportThatCannotBeWrittenIsAnError(t *testing.T) {
	names := map[string]string{
		"documentation": "documentation", "rspecish": "rspecish", "markdown": "Markdown", "html": "HTML", "json": "JSON",
		"goss-json": "goss JSON", "junit": "JUnit", "github": "GitHub", "tap": "TAP", "nagios": "Nagios", "prometheus": "Prometheus", "jsonl": "JSON lines",
	}
	for format, name := range names {
		err := newReporter(t, format, full{}, Options{}).Close(design())
		if want := "writing the " + name + " report: no space left on device"; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", format, err, want)
		}
	}
}

func TestSilentSaysNothing(t *testing.T) {
	if out := render(t, "silent", Options{}, design()); out != "" {
		t.Errorf("got %q", out)
	}
}

// everywhere is a run in which a hostile guest's text stands wherever one can.
func everywhere(s string) Summary {
	image := ImageResult{
		Image:   Image{Product: s, Serial: s, Type: s, Remote: s, Fingerprint: s, Spec: s},
		Verdict: checks.Fail, Reason: s, Failed: Stage(s), Kept: s, Promotion: s,
		Stages:      []StageTime{{Stage(s), ms(1)}},
		Diagnostics: []Diagnostic{{s, s}},
		Checks: []CheckResult{{
			Name: s, Title: s, Source: s, Outcome: checks.Outcome{Verdict: checks.Fail, Reason: s, Total: 2, Passed: 1},
			Results: []checks.Result{
				{Type: "file", ID: s, Property: s, Title: s, Verdict: checks.Fail, Expected: s, Actual: s + "x", Message: s, Output: s, Source: s},
				{Type: "file", ID: "/x", Property: "contents", Verdict: checks.Pass, Expected: []any{s}},
			},
		}, skipped("skipped", s)},
	}
	other := ImageResult{Image: debian, Verdict: checks.Error, Reason: s}
	return Summary{Verdict: checks.Fail, Images: []ImageResult{image, other}, Warnings: []string{s}, Version: s}
}

// fuzzed bounds the texts that the formats are fuzzed with: the fuzzer tries to
// shorten what it finds, and takes the square of its length for that. Long texts are
// FuzzExplanationIsSafe's.
const fuzzed = 48

// harmless is in place of a hostile guest's text where it says nothing.
const harmless = "harmless"

func FuzzListsAreSafe(f *testing.F) {
	f.Add("\x1b[31m\n##\x00[error]::")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > fuzzed {
			return
		}
		for _, format := range []string{"documentation", "rspecish"} {
			assertSafe(t, render(t, format, Options{}, everywhere(s)))
		}
	})
}

func TestListsForPeopleAreASCIIWhereTheyHaveToBe(t *testing.T) {
	for _, format := range []string{"documentation", "rspecish"} {
		out := render(t, format, Options{TextOptions: TextOptions{ASCII: true}}, hostileGuest())
		if strings.ContainsFunc(out, func(r rune) bool { return r >= 0x80 }) {
			t.Errorf("%s: not ASCII:\n%s", format, out)
		}
	}
}

// The docs tell of the formats in the table's words and order.
func TestTheDocsListEveryFormat(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	rest := string(doc)
	for _, f := range Formats() {
		_, after, found := strings.Cut(rest, "\n| `"+f.Name+"` | ")
		if !found {
			t.Errorf("docs/formats.md has no row for %s, or not in its place", f.Name)
			continue
		}
		rest = after
	}
	for _, o := range FormatOptions() {
		row := "\n| `" + o.Name + "` | `" + strings.Join(o.Formats, "`, `") + "` | "
		if !strings.Contains(string(doc), row) {
			t.Errorf("docs/formats.md has no row %s", row)
		}
	}
}
