package spec

import (
	"testing"
	"testing/fstest"
)

func TestTemplatesSeeTheProduct(t *testing.T) {
	fsys := fstest.MapFS{"a.yaml": {Data: []byte(
		"checks: {a: {matching: {x: {content: '{{.Product.OS}}/{{.Product.Release}}/{{.Product.Arch}}/{{.Product.Variant}}', matches: x}}}}\n")}}
	for _, tt := range []struct{ product, want string }{
		{"debian:bookworm:amd64:cloud", "debian/bookworm/amd64/cloud"},
		{"", "///"},
		{"debian:bookworm", "///"},
	} {
		t.Run(tt.product, func(t *testing.T) {
			s, err := LoadFS(fsys, "a.yaml", Options{Product: tt.product})
			if err != nil {
				t.Fatal(err)
			}
			want := "checks: {a: {matching: {x: {content: '" + tt.want + "', matches: x}}}}\n"
			if got := s.Files[0].Rendered; got != want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestASpecNamesTheFilesThatItWasReadFrom(t *testing.T) {
	const a, b = "include: [common/b.yaml]\n", "vars: {x: 1}\nchecks: {a: {gossfile: {c.yaml: {}}}}\n"
	const c = "matching: {x: {content: {{.Vars.x}}, matches: 1}}\n"
	fsys := fstest.MapFS{"a.yaml": {Data: []byte(a)}, "common/b.yaml": {Data: []byte(b)}, "common/c.yaml": {Data: []byte(c)}}
	s, err := LoadFS(fsys, "a.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []File{{"a.yaml", a, a}, {"common/b.yaml", b, b}, {"common/c.yaml", c, "matching: {x: {content: 1, matches: 1}}\n"}}
	if len(s.Files) != len(want) {
		t.Fatalf("files %v", s.Files)
	}
	for i, f := range s.Files {
		if f != want[i] {
			t.Errorf("file %d: got %q, want %q", i, f, want[i])
		}
	}
}
