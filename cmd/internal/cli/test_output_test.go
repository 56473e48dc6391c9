package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

func TestFormatsThatExcludeEachOtherAreMistakes(t *testing.T) {
	tests := []struct {
		name    string
		opts    outputOptions
		mistake string // empty where it is none
		hint    string
	}{
		{"one", outputOptions{formats: []string{"tap"}}, "", ""},
		{"several, each to its file", outputOptions{formats: []string{"text", "junit=a", "html=b", "text=c"}}, "", ""},
		{"unknown", outputOptions{formats: []string{"yaml"}}, `want text, documentation, `, ""},
		{"misspelt", outputOptions{formats: []string{"junti=report.xml"}}, `got "junti"`, `did you mean "junit"?`},
		{"no file's name", outputOptions{formats: []string{"json="}}, "the file has no name", ""},
		{"two on standard output", outputOptions{formats: []string{"text", "json"}}, "only one format fits", ""},
		{"annotations beside text", outputOptions{formats: []string{"github", "text"}}, "", ""},
		{"annotations beside JSON", outputOptions{formats: []string{"github", "json"}}, "only one format fits", ""},
		{"silent beside JSON", outputOptions{formats: []string{"silent", "json"}}, "", ""},
		{"a file twice", outputOptions{formats: []string{"json=a", "html=a"}}, "named twice", ""},
		{"an option", outputOptions{formats: []string{"nagios"}, options: []string{"perfdata", "verbose"}}, "", ""},
		{"an unknown option", outputOptions{formats: []string{"nagios"}, options: []string{"perfdat"}}, `got "perfdat"`, `did you mean "perfdata"?`},
		{"another format's option", outputOptions{formats: []string{"tap"}, options: []string{"pretty"}}, "it is an option of goss-json", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.opts.validate()
			if tt.mistake == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var usage usageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.mistake) || usage.hint != tt.hint {
				t.Errorf("got %v (%s), want %s (%s)", err, usage.hint, tt.mistake, tt.hint)
			}
		})
	}
}

// testRun reports a small run that failed and returns what was printed.
func testRun(t *testing.T, environ map[string]string, formats ...string) (stdout, stderr string) {
	t.Helper()
	var out, progress bytes.Buffer
	env := &Env{Out: &out, Err: &progress, Getenv: func(name string) string { return environ[name] }}
	opts := outputOptions{formats: formats}
	if err := opts.validate(); err != nil {
		t.Fatal(err)
	}
	o, err := opts.open(env)
	if err != nil {
		t.Fatal(err)
	}
	image := report.ImageResult{Image: report.Image{Product: "os", Type: "container"}, Verdict: checks.Fail, Reason: "it is broken"}
	o.emit(report.Event{Kind: report.StageStarted, Image: &image.Image, Stage: report.Start})
	o.emit(report.Event{Kind: report.Warning, Detail: "mind this"})
	if err := o.close(report.Summary{Verdict: checks.Fail, Images: []report.ImageResult{image}}); err != nil {
		t.Fatal(err)
	}
	return out.String(), progress.String()
}

func TestProgressIsShownOnce(t *testing.T) {
	const stage, warning = "os container: start\n", "warning: mind this\n"
	file := filepath.Join(t.TempDir(), "report")
	tests := []struct {
		name    string
		formats []string
		want    string
	}{
		{"text", []string{"text"}, stage + warning},
		{"text twice", []string{"text", "text=" + file}, stage + warning},
		{"a machine's format", []string{"tap"}, stage + warning},
		{"only a file", []string{"html=" + file}, stage + warning},
		{"silent", []string{"silent"}, warning},
		{"silent, and a file", []string{"silent", "json=" + file}, warning},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := testRun(t, nil, tt.formats...); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTheJobSummaryIsAppendedOnce(t *testing.T) {
	dir := t.TempDir()
	summary := filepath.Join(dir, "summary.md")
	if err := os.WriteFile(summary, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ := testRun(t, map[string]string{"GITHUB_STEP_SUMMARY": summary}, "github", "github="+filepath.Join(dir, "commands"))
	if !strings.HasPrefix(out, "::error ") {
		t.Errorf("no annotation: %q", out)
	}
	got, err := os.ReadFile(summary)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(got), "before\n## ") || strings.Count(string(got), "## ❌ icepak") != 1 {
		t.Errorf("got:\n%s", got)
	}
}

func TestOtherFormatsLeaveTheJobSummaryAlone(t *testing.T) {
	testRun(t, map[string]string{"GITHUB_STEP_SUMMARY": "/nonexistent/summary"}, "markdown")
}

func TestHelpListsEveryFormat(t *testing.T) {
	help := formatsHelp()
	for _, f := range report.Formats() {
		if !strings.Contains(help, "\n  "+f.Name+" ") {
			t.Errorf("no %s in:\n%s", f.Name, help)
		}
	}
	for l := range strings.Lines(help) {
		if len(l) > 80 {
			t.Errorf("wider than a terminal: %s", l)
		}
	}
}
