package runner

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeepProgram(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "probes")
	keep := func(arch, text string) string {
		t.Helper()
		path, err := KeepProgram(dir, arch, Program{Data: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil || string(data) != text {
			t.Fatalf("%s has %q, %v", path, data, err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != 0o755 {
			t.Fatalf("%s: %v, %v", path, info, err)
		}
		return path
	}
	first := keep("amd64", "one")
	arm := keep("arm64", "one")
	if err := os.WriteFile(first, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := keep("amd64", "one"); again != first {
		t.Errorf("the same program is in %s and in %s", first, again)
	}
	second := keep("amd64", "two")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Errorf("%v instead of %s and %s, %v", files, second, arm, err)
	}
}

func TestKeepProgramWithoutAFolderIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := KeepProgram(file, "amd64", Program{}); err == nil {
		t.Errorf("it is in %s", path)
	}
}
