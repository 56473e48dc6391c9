package causes

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/upmaru/icepak/checks"
)

var update = flag.Bool("update", false, "write what the rules say into testdata")

// A recorded failure is one of a real guest: its failed results and the evidence.
type recorded struct {
	checks []struct {
		Name    string
		Results []checks.Result
	}
	evidence map[string]string
	want     string
}

func readRecorded(t testing.TB, file string) (r recorded, a *txtar.Archive) {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r.evidence = map[string]string{}
	for _, f := range a.Files {
		switch f.Name {
		case "checks.json":
			if err := json.Unmarshal(f.Data, &r.checks); err != nil {
				t.Fatal(err)
			}
		case "want":
			r.want = string(f.Data)
		default:
			r.evidence[f.Name] = string(f.Data)
		}
	}
	return r, a
}

// TestRecordedFailuresAreExplained holds what is said of failures of real guests.
// Each was broken in one way, which the file's comment tells.
func TestRecordedFailuresAreExplained(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d recorded failures, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			r, a := readRecorded(t, file)
			var got strings.Builder
			results := 0
			for _, c := range r.checks {
				results += len(c.Results)
				for _, f := range OfCheck(c.Results, r.evidence) {
					got.WriteString(c.Name + ": " + f.Text + " [" + f.Piece + "]\n")
				}
			}
			if results == 0 && len(r.checks) > 0 { // it never got to its checks
				for _, f := range OfImage(r.evidence) {
					got.WriteString("image: " + f.Text + " [" + f.Piece + "]\n")
				}
			}
			if *update {
				rest := a.Files[:0]
				for _, f := range a.Files {
					if f.Name != "want" {
						rest = append(rest, f)
					}
				}
				a.Files = append([]txtar.File{{Name: "want", Data: []byte(got.String())}}, rest...)
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got.String() != r.want {
				t.Errorf("got\n%swant\n%s", got.String(), r.want)
			}
		})
	}
}
