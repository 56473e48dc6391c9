package spec

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func addFiles(f *testing.F) {
	for _, pattern := range []string{"testdata/ok/*.yaml", "testdata/err/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// fuzzed reads a text as a spec in an empty file system.
func fuzzed(data []byte) (*Spec, error) {
	fsys := fstest.MapFS{"x.yaml": {Data: data}}
	return LoadFS(fsys, "x.yaml", testOptions)
}

// checkErrors holds errors to what they promise, with the text's number of lines.
func checkErrors(t *testing.T, err error, lines []string) {
	t.Helper()
	var all Errors
	if !errors.As(err, &all) {
		t.Fatalf("want Errors, got %v", err)
	}
	for _, e := range all {
		if e.File != "x.yaml" || e.Line < 1 || e.Line > len(lines) || e.Col < 1 || e.Msg == "" {
			t.Fatalf("a place that is not in the text of %d lines: %+v", len(lines), e)
		}
		if most := len([]rune(lines[e.Line-1])) + 1; e.Col > most {
			t.Fatalf("column %d in a line of %d: %+v", e.Col, most-1, e)
		}
		if strings.Contains(e.Error(), "\n") {
			t.Fatalf("more than a line: %q", e.Error())
		}
	}
}

// yamlLines splits a text at what YAML takes for the end of a line.
func yamlLines(text string) []string {
	ends := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	return strings.Split(ends.Replace(text), "\n")
}

func FuzzParse(f *testing.F) {
	addFiles(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		text := strings.ReplaceAll(string(data), "{{", "{")
		s, err := fuzzed([]byte(text))
		if err != nil {
			checkErrors(t, err, yamlLines(strings.TrimPrefix(text, "\uFEFF")))
			return
		}
		if len(s.Checks) == 0 {
			t.Fatal("a spec without checks was taken")
		}
		for _, c := range s.Checks {
			if len(c.Items) == 0 {
				t.Fatalf("check %s asserts nothing and was taken", c.Name)
			}
			roundTrip(t, c.Check)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	addFiles(f)
	f.Add([]byte(`{{define "a"}}{{template "b"}}{{template "b"}}{{end}}{{define "b"}}{{template "a"}}{{end}}{{template "a"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var all Errors
		if _, err := fuzzed(data); err != nil && !errors.As(err, &all) {
			t.Fatalf("want Errors, got %v", err)
		}
		for _, e := range all {
			if e.Line < 1 || e.Col < 1 || strings.Contains(e.Error(), "\n") {
				t.Fatalf("%+v", e)
			}
		}
	})
}
