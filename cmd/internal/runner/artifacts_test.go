package runner

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

func listing(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, relErr := filepath.Rel(dir, path)
			all, err = append(all, rel), relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEvidenceOfAFailureIsWritten(t *testing.T) {
	dir := t.TempDir()
	r := Runner{Artifacts: filepath.Join(dir, "made"), Version: "1.2.3"}
	good, bad := job(&host{}, command(t, 1, "good", "true")), job(&host{}, command(t, 1, "bad", "false"))
	sum := run(t, r, good, bad)
	if sum.Images[0].Artifacts != "" || sum.Images[1].Artifacts == "" {
		t.Fatalf("folders %q and %q", sum.Images[0].Artifacts, sum.Images[1].Artifacts)
	}
	files := listing(t, sum.Images[1].Artifacts)
	for _, want := range []string{"console.log", "probe.log", "result.json", "system.txt", "files.txt", "links.txt"} {
		if !slices.Contains(files, want) {
			t.Errorf("there is no %s among %v", want, files)
		}
	}
	data, err := os.ReadFile(filepath.Join(sum.Images[1].Artifacts, "result.json"))
	if err != nil || !strings.Contains(string(data), `"verdict": "fail"`) {
		t.Errorf("the result is %s, %v", data, err)
	}
	// What reports show stays small.
	for _, d := range sum.Images[1].Diagnostics {
		if d.Name != "console" {
			t.Errorf("a report would show %s", d.Name)
		}
	}
}

func TestEvidenceThatCannotBeWrittenIsToldAndDecidesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	r := Runner{Artifacts: filepath.Join(file, "below"), Emit: func(e report.Event) {
		if e.Kind == report.Warning {
			warnings = append(warnings, e.Detail)
		}
	}}
	sum := run(t, r, job(&host{}, command(t, 1, "bad", "false")))
	if sum.Verdict != checks.Fail || len(warnings) != 1 || !strings.Contains(warnings[0], "evidence is not written") {
		t.Errorf("verdict %s, warnings %q", sum.Verdict, warnings)
	}
}

func TestHostileNamesStayInTheirFolder(t *testing.T) {
	dir := t.TempDir()
	res := report.ImageResult{
		Image: report.Image{Product: "../../etc:x/y\x00:amd64", Serial: "..", Type: "container", Remote: "a/b"},
		Evidence: []report.Diagnostic{
			{Name: "../../../escape", Text: "1"}, {Name: "/etc/passwd", Text: "2"}, {Name: "", Text: "3"}, {Name: "..", Text: "4"},
			{Name: "journal-a\nb.service", Text: "5"}, {Name: "journal-a b.service", Text: "6"}, {Name: "result.json", Text: "7"},
			{Name: strings.Repeat("x", 5000), Text: "8"}, {Name: "CONSOLE", Text: "9"}, {Name: "console", Text: "10"},
		},
	}
	folder, err := (&Runner{}).writeArtifacts(dir, res)
	if err != nil {
		t.Fatal(err)
	}
	files := listing(t, dir)
	if len(files) != len(res.Evidence)+1 {
		t.Errorf("%d files: %q", len(files), files)
	}
	for _, f := range files {
		if filepath.Dir(f) != filepath.Base(folder) || len(filepath.Base(f)) > 140 {
			t.Errorf("a file at %q", f)
		}
	}
	// A second run's goes beside it.
	again, err := (&Runner{}).writeArtifacts(dir, res)
	if err != nil || again != folder+"-2" {
		t.Errorf("again at %q, %v", again, err)
	}
}

// A guest that is known to run nothing is not asked for evidence; its host is.
func TestADeadGuestIsNotAsked(t *testing.T) {
	for _, err := range []error{&ImageFault{Reason: "the image does not start"}, errors.New("the server is gone")} {
		h := &host{launch: err}
		sum := run(t, Runner{}, job(h, command(t, 1, "good", "true")))
		if h.probed != 0 || len(sum.Images[0].Diagnostics) != 1 {
			t.Errorf("%v: probed %d times, %v", err, h.probed, sum.Images[0].Diagnostics)
		}
	}
}
