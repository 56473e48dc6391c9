package examples

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/upmaru/icepak/spec"
)

func TestEveryExampleIsRight(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			s, err := spec.Load(file, spec.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Checks) == 0 {
				t.Error("it has no checks")
			}
		})
	}
}

func TestEveryShellExampleParses(t *testing.T) {
	files, err := filepath.Glob("*.sh")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if out, err := exec.Command("sh", "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}
