package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
)

// forms lists what is where in a JSON document, and of which types: a document
// that has no other forms than another can be read by what reads that one.
func forms(path string, v any, into map[string]map[string]bool) {
	kind := fmt.Sprintf("%T", v)
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if path == ".results[].meta" || key == "actual" || key == "expected" || key == "untransformed-value" {
				continue // which are anything
			}
			forms(path+"."+key, member, into)
		}
	case []any:
		for _, item := range v {
			forms(path+"[]", item, into)
		}
	}
	if into[path] == nil {
		into[path] = make(map[string]bool)
	}
	into[path][kind] = true
}

func formsOf(t *testing.T, doc []byte) map[string]map[string]bool {
	t.Helper()
	var v any
	if err := json.Unmarshal(doc, &v); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]map[string]bool)
	forms("", v, found)
	return found
}

// testdata/goss holds what goss v0.4.9 itself printed.
func TestGossJSONHasGosssShape(t *testing.T) {
	doc, err := os.ReadFile("testdata/goss/v0.4.9.json")
	if err != nil {
		t.Fatal(err)
	}
	theirs := formsOf(t, doc)
	theirs[".results[].meta"]["map[string]interface {}"] = true // where the spec has one
	seen := make(map[string]bool)
	set := oneCheck(CheckResult{Name: "a set", Results: []checks.Result{
		{Verdict: checks.Fail, Expected: map[string]any{"consist-of": []any{"a", "b"}}, Actual: []string{"b", "c"}},
	}})
	for _, r := range append(runs(), run{"a set", set}) {
		for path, kinds := range formsOf(t, []byte(render(t, "goss-json", Options{}, r.summary))) {
			seen[path] = true
			for kind := range kinds {
				if !theirs[path][kind] {
					t.Errorf("%s: %s is %s", r.name, path, kind)
				}
			}
		}
	}
	for path := range theirs {
		if !seen[path] && path != ".results[].matcher-result.transform-chain[]" && path != ".results[].matcher-result.transform-chain[].to-array" {
			t.Errorf("no %s", path)
		}
	}
}

func gossResults(t *testing.T, r Reporter, out *bytes.Buffer, s Summary) gossDocument {
	t.Helper()
	tell(t, r, s)
	var doc gossDocument
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestGossJSONTellsOfMatchersAsGossDoes(t *testing.T) {
	tests := []struct {
		name     string
		expected any
		actual   any
		message  string
		wanted   any
		missing  []any
	}{
		{"a text", "a", "b", "to equal", "a", nil},
		{"a number", 5, 6, "to be numerically eq", 5.0, nil},
		{"a boolean", true, false, "to equal", true, nil},
		{"a list", []any{"a", "b"}, []string{"a"}, "to contain elements matching", []any{"a", "b"}, []any{"b"}},
		{"patterns", []any{"a", "/^b/", "!c"}, "a\nc\n", "to have patterns", []any{"a", "/^b/", "!c"}, []any{"/^b/", "!c"}},
		{"a matcher", map[string]any{"match-regexp": "^x"}, "y", "to match regular expression", "^x", nil},
		{"a negation", map[string]any{"not": map[string]any{"have-prefix": "x"}}, "xy", "not to have prefix", "x", nil},
		{"a comparison", map[string]any{"gt": 3}, 2, "to be numerically gt", 3.0, nil},
		{"one of several", map[string]any{"or": []any{"a", "b"}}, "c", "to satisfy at least one of these matchers", []any{"a", "b"}, nil},
		{"a set", map[string]any{"consist-of": []any{"a", "b"}}, []string{"b"}, "to consist of", []any{"a", "b"}, []any{"a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			doc := gossResults(t, NewGossJSON(&out, false), &out, oneCheck(CheckResult{Name: "x", Results: []checks.Result{
				{Type: "file", Property: "contents", Verdict: checks.Fail, Expected: tt.expected, Actual: tt.actual},
			}}))
			m := doc.Results[0].Match
			if m.Message != tt.message || !reflect.DeepEqual(m.Expected, tt.wanted) || !reflect.DeepEqual(m.Missing, tt.missing) {
				t.Errorf("got %q %#v, missing %#v", m.Message, m.Expected, m.Missing)
			}
		})
	}
}

func TestGossJSONKnowsWhenAResultWasFound(t *testing.T) {
	s := design()
	s.Started = started
	image := s.Images[0]
	result := image.Checks[0].Results[1]
	at := started.Add(time.Minute)
	var out bytes.Buffer
	r := NewGossJSON(&out, false)
	event(t, r, Event{Kind: ResultFound, Time: at, Image: &image.Image, Check: "ipv4", Result: &result})
	doc := gossResults(t, r, &out, s)
	if got := doc.Results[1]; !got.End.Equal(at) || !got.Start.Equal(at.Add(-result.Duration)) {
		t.Errorf("from %s to %s", got.Start, got.End)
	}
	if got := doc.Results[0]; !got.End.Equal(started) {
		t.Errorf("a result without an event ended at %s", got.End)
	}
}

func TestGossJSONTellsOfErrorsAsGossDoes(t *testing.T) {
	var out bytes.Buffer
	doc := gossResults(t, NewGossJSON(&out, false), &out, serverGone())
	r := doc.Results[4]
	if r.Type != "Addr" || r.Result != 1 || r.Successful || r.Err == nil || *r.Err != "context deadline exceeded" {
		t.Errorf("got %+v", r)
	}
	if doc.Summary.Failed != 2 || doc.Summary.Tests != 6 {
		t.Errorf("got %+v", doc.Summary)
	}
}

func TestTypesAreNamedAsGossNamesThem(t *testing.T) {
	for name, want := range map[string]string{
		"file": "File", "kernel-param": "KernelParam", "dns": "DNS", "http": "HTTP", "nvidia-smi": "NvidiaSmi", "": "", "é": "É",
	} {
		if got := gossType(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func FuzzGossJSONIsSafe(f *testing.F) {
	f.Add("\x1b[31m\n ::x ##[y]")
	f.Add(`##\[x ##a\u005b[`)
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > fuzzed {
			return
		}
		doc := render(t, "goss-json", Options{}, everywhere(s))
		assertSafe(t, doc)
		if !json.Valid([]byte(doc)) {
			t.Errorf("not JSON: %q", doc)
		}
	})
}
