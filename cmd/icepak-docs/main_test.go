package main

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/manual"
)

func TestTheSameSourceMakesTheSameFiles(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1790000000")
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

func TestADateThatIsNoneIsRefused(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := run(t.Context(), t.TempDir(), manual.Release{}); err == nil {
		t.Error("it was taken")
	}
}

// files makes them, and returns what they hold.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "docs")
	if err := run(t.Context(), dir, manual.Release{Version: "2.0.0"}); err != nil {
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
