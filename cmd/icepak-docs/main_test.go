package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/manual"
	"github.com/upmaru/icepak/cmd/internal/sbom"
)

func TestTheSameSourceMakesTheSameFiles(t *testing.T) {
	one, two := files(t), files(t)
	if !maps.EqualFunc(one, two, bytes.Equal) {
		t.Error("two runs made other files")
	}
	for _, name := range []string{"man/icepak.1.gz", "man/icepak-polar-serve.1.gz", "completions/icepak.bash", "completions/icepak.zsh", "completions/icepak.fish", "LICENSES"} {
		if len(one[name]) == 0 {
			t.Errorf("no %s among %q", name, slices.Sorted(maps.Keys(one)))
		}
	}
	cmd := exec.Command("bash", "-n")
	cmd.Stdin = bytes.NewReader(one["completions/icepak.bash"])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("bash does not read its completions: %v: %s", err, out)
	}
}

// The bill of this test's own program, which is linked of what icepak is linked of.
func TestTheBillOfMaterialsHasLicences(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sbom.json")
	if err := writeSBOM(t.Context(), path, program, sbom.Release{Version: "2.0.0"}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Components []struct {
			Name     string
			Licenses []any
		}
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, c := range doc.Components {
		found[c.Name] = len(c.Licenses)
	}
	for _, name := range []string{"github.com/canonical/lxd", "github.com/spf13/cobra", "modernc.org/sqlite", "stdlib"} {
		if found[name] == 0 {
			t.Errorf("%s is missing, or has no licence", name)
		}
	}
}

// files makes them, and returns what they hold.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "docs")
	if err := writeDocs(t.Context(), dir, manual.Release{Version: "2.0.0"}); err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		found[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
