package spec

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"
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

// FuzzJSON holds that a text which is JSON is read as JSON.
func FuzzJSON(f *testing.F) {
	f.Add([]byte("{\n\t\"a\": [\"\\/\\u0000\\ud83d\\ude00\\u2028\", 1, true, null, {\"\": \"\x7f\"}]}"))
	f.Add([]byte(`"\ud800\\" `))
	f.Fuzz(func(t *testing.T, data []byte) {
		var want any
		if !utf8.Valid(data) || json.Unmarshal(data, &want) != nil {
			return
		}
		probs := newProblems()
		n := parseNode("x", string(data), probs)
		if n == nil || len(probs.list) > 0 {
			return // too deep, a key given twice, a key that is too long
		}
		if got, want := textsOf(n), textsOfJSON(want); !slices.Equal(got, want) {
			t.Errorf("want %q, got %q", want, got)
		}
	})
}

// textsOf lists the texts of a value that are quoted, in order of their keys.
func textsOf(n *node) []string {
	var texts []string
	if n.kind == scalar && n.tag == "!!str" {
		texts = append(texts, n.value)
	}
	for _, item := range n.items {
		texts = append(texts, textsOf(item)...)
	}
	fields := slices.Clone(n.fields)
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.key.value, b.key.value) })
	for _, f := range fields {
		texts = append(append(texts, f.key.value), textsOf(f.value)...)
	}
	return texts
}

func textsOfJSON(v any) []string {
	var texts []string
	switch v := v.(type) {
	case string:
		texts = append(texts, v)
	case []any:
		for _, item := range v {
			texts = append(texts, textsOfJSON(item)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			texts = append(append(texts, key), textsOfJSON(v[key])...)
		}
	}
	return texts
}
