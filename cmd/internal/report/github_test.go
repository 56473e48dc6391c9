package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

func TestAnAnnotationHasItsPlace(t *testing.T) {
	tests := []struct {
		name, source, want string
	}{
		{"a place", "images/debian.yaml:31:9", "::error file=images/debian.yaml,line=31,title="},
		{"a file's name with everything", `C:\a,b%:4:2`, `::error file=C%3A\a%2Cb%25,line=4,title=`},
		{"no column", "debian.yaml:31", "::error title="},
		{"no place", "", "::error title="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := oneCheck(CheckResult{Name: "x", Outcome: outcome(checks.Fail, 0, 1, 1), Results: []checks.Result{
				{Type: "file", ID: "/a", Property: "exists", Verdict: checks.Fail, Source: tt.source},
			}})
			if out := render(t, "github", Options{}, s); !strings.HasPrefix(out, tt.want) {
				t.Errorf("got %s, want %s…", out, tt.want)
			}
		})
	}
}

func TestTheJobSummaryIsTheMarkdownReport(t *testing.T) {
	var summary bytes.Buffer
	out := render(t, "github", Options{StepSummary: &summary}, design())
	if want := render(t, "markdown", Options{}, design()); summary.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", summary.String(), want)
	}
	if want := render(t, "github", Options{}, design()); out != want {
		t.Errorf("annotations depend on the summary: %s", out)
	}
}

func TestAJobSummaryThatCannotBeWrittenIsAnError(t *testing.T) {
	var out bytes.Buffer
	err := NewGitHub(&out, full{}).Close(design())
	if err == nil || err.Error() != "writing the Markdown report: no space left on device" {
		t.Errorf("got %v", err)
	}
	if out.Len() == 0 {
		t.Error("the annotations are lost with it")
	}
}

var githubCommand = regexp.MustCompile(`^::(?:error|warning) (?:file=[^:,\n]+,line=\d+,)?title=[^:,\n]+::[^\n]*$`)

func FuzzGitHubHasOnlyOurCommands(f *testing.F) {
	f.Add("\x1b[31m\n ::x ##[y]")
	f.Add("a%0A::error::x")
	f.Add("a,title=b::c:1:2")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > fuzzed {
			return
		}
		out := render(t, "github", Options{}, everywhere(s))
		for l := range strings.SplitSeq(strings.TrimSuffix(out, "\n"), "\n") {
			if !githubCommand.MatchString(l) {
				t.Errorf("%q in:\n%s", l, out)
			}
			// What the runner makes of it is printed to its log.
			_, data, _ := strings.Cut(strings.TrimPrefix(l, "::"), "::")
			assertSafe(t, strings.NewReplacer("%25", "%", "%0D", "\r", "%0A", "\n").Replace(data))
		}
		if n := strings.Count(out, "\n"); n != 3 {
			t.Errorf("%d commands, want 3:\n%s", n, out)
		}
	})
}
