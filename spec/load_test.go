package spec

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/upmaru/icepak/checks"
)

const rootExists = "user: {root: {exists: true}}"

func mapFS(files map[string]string) fstest.MapFS {
	fsys := make(fstest.MapFS)
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestIncludesAreReadWhereTheyStand(t *testing.T) {
	fsys := mapFS(map[string]string{
		"images/debian.yaml":     "checks: {first: {" + rootExists + "}}\ninclude: [common/*.yaml, ../shared/web.yaml]\n",
		"images/common/a.yaml":   "checks: {a: {" + rootExists + "}}\n",
		"images/common/b.yaml":   "include: c/c.yaml\nchecks: {b: {" + rootExists + "}}\n",
		"images/common/c/c.yaml": "checks: {c: {" + rootExists + "}}\n",
		"shared/web.yaml":        "service: {nginx: {running: true}}\n",
	})
	s, err := LoadFS(fsys, "images/debian.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := checkNames(s), "first a c b web"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	if got, want := s.Checks[2].Items[0].Source, "images/common/c/c.yaml:1:21"; got != want {
		t.Errorf("want source %q, got %q", want, got)
	}
}

func TestIncludesStayInsideTheirFileSystem(t *testing.T) {
	fsys := mapFS(map[string]string{"a.yaml": "include: [../../etc/passwd, /etc/passwd]\n"})
	_, err := LoadFS(fsys, "a.yaml", Options{})
	if err == nil || strings.Count(err.Error(), "a.yaml:1:") != 2 {
		t.Errorf("want two mistakes, got %v", err)
	}
}

func TestVarsOfTheIncludingFileAndOfOptionsWin(t *testing.T) {
	fsys := mapFS(map[string]string{
		"a.yaml": "vars: {x: outer, y: outer}\ninclude: b.yaml\n",
		"b.yaml": "vars: {x: inner, y: inner, z: inner}\nchecks:\n" +
			"  b: {title: '{{.Vars.x}} {{.Vars.y}} {{.Vars.z}}', " + rootExists + "}\n",
	})
	s, err := LoadFS(fsys, "a.yaml", Options{Vars: map[string]any{"y": "option"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Checks[0].Title, "outer option inner"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestAGossFileIsACheckOfItsName(t *testing.T) {
	tests := []struct{ file, want string }{
		{"goss.yaml", "goss"},
		{"dir/My Web_Server.yml", "my-web-server"},
		{"__.yaml", "goss"},
		{"goss.v2.yaml", "goss-v2"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			s, err := Parse(tt.file, []byte(rootExists), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := checkNames(s); got != tt.want {
				t.Errorf("want %q, got %q", tt.want, got)
			}
		})
	}
}

// A chain of files, each of which includes the next.
func chain(n int) map[string]string {
	files := map[string]string{fmt.Sprintf("%d.yaml", n): rootExists}
	for i := range n {
		files[fmt.Sprintf("%d.yaml", i)] = fmt.Sprintf("include: %d.yaml\n", i+1)
	}
	return files
}

func TestIncludesAreBounded(t *testing.T) {
	if _, err := LoadFS(mapFS(chain(maxIncludes)), "0.yaml", Options{}); err != nil {
		t.Errorf("%d levels: %v", maxIncludes, err)
	}
	_, err := LoadFS(mapFS(chain(maxIncludes+1)), "0.yaml", Options{})
	if want := "50.yaml:1:10: includes are nested more than 50 deep"; err == nil || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
	// Each file includes the next one twice, so that there are 2^40 ways.
	files := chain(40)
	for i := range 40 {
		files[fmt.Sprintf("%d.yaml", i)] = fmt.Sprintf("include: [%d.yaml, %d.yaml]\n", i+1, i+1)
	}
	_, err = LoadFS(mapFS(files), "0.yaml", Options{})
	if err == nil || !strings.Contains(err.Error(), "more than 1000 files are included") {
		t.Errorf("want a limit on files, got %v", err)
	}
}

func TestAFileIncludedTwiceIsTakenOnceUnlessItChanges(t *testing.T) {
	files := map[string]string{
		"a.yaml": "include: [b.yaml, c.yaml]\n",
		"b.yaml": "vars: {x: 1}\ninclude: d.yaml\n",
		"c.yaml": "vars: {x: 1}\ninclude: d.yaml\n",
		"d.yaml": "checks: {d: {file: {'/{{.Vars.x}}': {exists: true}}}}\n",
	}
	s, err := LoadFS(mapFS(files), "a.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := checkNames(s); got != "d" {
		t.Errorf("want d once, got %q", got)
	}
	files["c.yaml"] = "vars: {x: 2}\ninclude: d.yaml\n"
	_, err = LoadFS(mapFS(files), "a.yaml", Options{})
	if want := "d.yaml:1:10: check d is defined twice, first at d.yaml:1:10"; err == nil || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
}

func TestRenderReturnsTheTextThatPositionsAreOf(t *testing.T) {
	got, err := Render("testdata/ok/templates.yaml", testOptions)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/rendered.txt", got)
	if _, err := Render("testdata/err/template-unknown.yaml", Options{}); err == nil {
		t.Error("want a mistake, got none")
	}
}

func TestAMissingFileIsNoMistakeOfTheSpec(t *testing.T) {
	_, err := Load("testdata/none.yaml", Options{})
	if _, isErrors := err.(Errors); err == nil || isErrors {
		t.Errorf("want an error of the file, got %v", err)
	}
}

func TestAFileThatIsTooLargeIsRefused(t *testing.T) {
	fsys := mapFS(map[string]string{"a.yaml": rootExists + "\n#" + strings.Repeat("x", maxText)})
	if _, err := LoadFS(fsys, "a.yaml", Options{}); err == nil {
		t.Error("want an error, got none")
	}
}

func TestLinesMayEndAsOnWindows(t *testing.T) {
	s, err := Parse("x.yaml", []byte("\uFEFFchecks:\r\n  a:\r\n    file: {/a: {contents: [\"{{toLower \"B\"}}\"]}}\r\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Checks[0].Source, "x.yaml:2:3"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestVarsAreFoundInATextThatIsNotYetYAML(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"none", "checks: {}\n", ""},
		{"nested", "a:\n  vars: {x: 1}\n", ""},
		{"key that begins so", "vars2: {x: 1}\nvarsity: 1\n", ""},
		{"value without a space", "vars:x\n", ""},
		{"block", "a: {{.Vars.x}}\nvars:\n  x: 1\n\n  y: |\n    z\nb: 1\n", "\nvars:\n  x: 1\n\n  y: |\n    z\n"},
		{"flow", "vars: {x: 1,\n  y: [2,\n]\n}\n{{if .x}}\n", "vars: {x: 1,\n  y: [2,\n]\n}\n"},
		{"comment after it", "vars:\n# one\n  x: 1\n# {{two}}\nb: 1\n", "vars:\n# one\n  x: 1\n"},
		{"end of file", "'vars':\n  x: 1", "'vars':\n  x: 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := varsBlock(tt.text); got != tt.want {
				t.Errorf("want %q, got %q", tt.want, got)
			}
		})
	}
}

func TestVarsArePrintedAsTheyAreWritten(t *testing.T) {
	for _, value := range []string{"0644", "1.10", "10", "-1", "1e3", "true", "2001-01-01", "0x1f", "a b", "9223372036854775807"} {
		t.Run(value, func(t *testing.T) {
			s, err := Parse("x.yaml", []byte("vars: {x: "+value+"}\nchecks: {a: {title: '{{.Vars.x}}', "+rootExists+"}}\n"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Checks[0].Title; got != value {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestAnIncludedFileMayRenderToNothing(t *testing.T) {
	fsys := mapFS(map[string]string{
		"a.yaml":      "gossfile: {web.yaml: {}}\n" + rootExists + "\n",
		"b.yaml":      "include: web.yaml\nchecks: {b: {" + rootExists + "}}\n",
		"web.yaml":    "---\n{{if .Env.WEB}}service: {nginx: {running: true}}{{end}}\n",
		"plain.yaml":  "gossfile: {empty.yaml: {}}\n" + rootExists + "\n",
		"empty.yaml":  "# cut short\n",
		"alone.yaml":  "{{if .Env.WEB}}service: {nginx: {running: true}}{{end}}",
		"hollow.yaml": "gossfile: {web.yaml: {}}\n",
	})
	opts := Options{Env: map[string]string{"WEB": ""}}
	for _, name := range []string{"a.yaml", "b.yaml"} {
		if s, err := LoadFS(fsys, name, opts); err != nil || len(s.Checks) != 1 {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	for name, want := range map[string]string{
		"plain.yaml":  "empty.yaml:1:1: the file is empty",
		"alone.yaml":  "alone.yaml:1:1: the file is empty",
		"hollow.yaml": "hollow.yaml:1:1: check hollow asserts nothing",
	} {
		if _, err := LoadFS(fsys, name, opts); err == nil || err.Error() != want {
			t.Errorf("%s: want %q, got %v", name, want, err)
		}
	}
}

func TestJSONIsReadAsOthersReadIt(t *testing.T) {
	const text = "{\n\t\"file\": {\n\t\t\"/a\": {\"exists\":true,\t\"contents\": [\"a\\tb\", \"\\/\\u00e9\\ud83d\\ude00\\ud800\u2028\"]}\n\t}\n}\n"
	s, err := Parse("x.json", []byte(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	item := s.Checks[0].Items[0]
	got, err := json.Marshal(item.Resource.(*checks.File).Contents)
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(map[string]any{"kind": "text", "expr": []any{"a\tb", "/é😀\uFFFD\u2028"}})
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if json.Unmarshal(got, &a) != nil || json.Unmarshal(want, &b) != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("want %s, got %s", want, got)
	}
	if want := "x.json:3:3"; item.Source != want {
		t.Errorf("want source %s, got %s", want, item.Source)
	}
}

func TestVarsAreMergedDeeply(t *testing.T) {
	base, err := ParseVars("a.yaml", []byte("db: {host: a, port: 0644}\nlist: [1, 2]\n"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := ParseVars("b.json", []byte("{\n\t\"db\": {\"host\": \"b\"}, \"list\": [3]}"))
	if err != nil {
		t.Fatal(err)
	}
	got := MergeVars(base, top)
	want := map[string]any{"db": map[string]any{"host": "b", "port": "0644"}, "list": []any{int64(3)}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
	if base["db"].(map[string]any)["host"] != "a" {
		t.Error("the lower vars were changed")
	}
	for text, want := range map[string]string{
		"":           "",
		"# none\n":   "",
		"[1]":        "v:1:1: want a mapping, got a list",
		"a: 1\na: 2": `v:2:1: duplicate key "a", first at v:1:1`,
		"a: [":       "v:1:4: YAML: did not find expected node content",
	} {
		if _, err := ParseVars("v", []byte(text)); (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%q: want %q, got %v", text, want, err)
		}
	}
}
