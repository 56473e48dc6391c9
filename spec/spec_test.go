package spec

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

var update = flag.Bool("update", false, "write golden files")

var testOptions = Options{Env: map[string]string{"LANG": "C.UTF-8", "HOME": "/root"}}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

func testFiles(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	return files
}

func TestLoadReadsEverythingThatTheLanguageHas(t *testing.T) {
	for _, file := range testFiles(t, "testdata/ok/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s, err := Load(file, testOptions)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".json", append(got, '\n'))
		})
	}
}

func TestMistakesAreNamedWithTheirPlace(t *testing.T) {
	for _, file := range testFiles(t, "testdata/err/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s, err := Load(file, testOptions)
			var all Errors
			if !errors.As(err, &all) || s != nil {
				t.Fatalf("want Errors and no spec, got %v and %v", err, s)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".out", []byte(all.Error()+"\n"))
		})
	}
}

func TestTenMistakesAreTenLines(t *testing.T) {
	_, err := Load("testdata/err/ten.yaml", testOptions)
	if err == nil {
		t.Fatal("want mistakes, got none")
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 10 {
		t.Errorf("want 10 lines, got %d:\n%v", len(lines), err)
	}
}

func TestChecksReachTheGuestAsTheyWereRead(t *testing.T) {
	for _, file := range testFiles(t, "testdata/ok/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s, err := Load(file, testOptions)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range s.Checks {
				roundTrip(t, c.Check)
			}
		})
	}
}

// roundTrip sends a check over the wire and back.
func roundTrip(t *testing.T, c checks.Check) {
	t.Helper()
	sent, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back checks.Check
	if err := json.Unmarshal(sent, &back); err != nil {
		t.Fatalf("%v in %s", err, sent)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	if string(sent) != string(again) {
		t.Errorf("check %s changed on its way:\n%s\n%s", c.Name, sent, again)
	}
}

// Every attribute of every resource type is of a type that can be decoded, and
// every matcher has a kind.
func TestEveryAttributeCanBeDecoded(t *testing.T) {
	samples := []string{"true", "1", "[a]", "{a: b}", "{a: [b]}"}
	for _, typ := range checks.Types() {
		attrs := attributes(reflect.TypeOf(typ.New()).Elem())
		for name, a := range attrs {
			needed := ""
			for other, o := range attrs {
				if o.required && other != name {
					needed += "\n" + other + ": x"
				}
			}
			t.Run(typ.Name+" "+name, func(t *testing.T) {
				accepted := slices.ContainsFunc(append(samples, a.oneOf...), func(sample string) bool {
					d := newDecoder()
					n := parseNode("x", name+": "+sample+needed, d.probs)
					d.fields(n, reflect.ValueOf(typ.New()).Elem(), "attribute", typ.Name)
					return len(d.probs.list) == 0
				})
				if !accepted {
					t.Errorf("none of %q is accepted", samples)
				}
				isMatcher := reflect.TypeOf(typ.New()).Elem().FieldByIndex(a.index).Type == matcherType
				if isMatcher != (a.kind != "") {
					t.Errorf("kind is %q, and whether it is a matcher is %v", a.kind, isMatcher)
				}
			})
		}
	}
}

func TestMatchComparesEveryPartOfAProduct(t *testing.T) {
	debian := Image{OS: []string{"debian"}, Release: []string{"bookworm", "tri*"}, Arch: []string{"a*64"}}
	tests := []struct {
		name    string
		image   Image
		product string
		want    bool
	}{
		{"empty image", Image{}, "alpine:3.20:amd64:default", true},
		{"all parts", debian, "debian:bookworm:amd64:default", true},
		{"glob", debian, "debian:trixie:arm64:cloud", true},
		{"other os", debian, "devuan:bookworm:amd64:default", false},
		{"other release", debian, "debian:sid:amd64:default", false},
		{"other arch", debian, "debian:bookworm:armhf:default", false},
		{"other variant", Image{Variant: []string{"cloud"}}, "debian:sid:amd64:default", false},
		{"part of a name", Image{OS: []string{"deb"}}, "debian:sid:amd64:default", false},
		{"too few parts", Image{}, "debian:bookworm", false},
		{"too many parts", Image{}, "debian:bookworm:amd64:default:x", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (&Spec{Image: tt.image}).Match(tt.product); got != tt.want {
				t.Errorf("Match(%q) = %v", tt.product, got)
			}
		})
	}
}

func checkNames(s *Spec) string {
	var names []string
	for _, c := range s.Checks {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

const chainOfNeeds = `checks:
  d: {needs: c, user: {root: {exists: true}}}
  a: {user: {root: {exists: true}}}
  b: {needs: a, user: {root: {exists: true}}}
  c: {needs: [a, b], user: {root: {exists: true}}}
  e: {user: {root: {exists: true}}}
`

func TestSelectKeepsWhatIsNeeded(t *testing.T) {
	tests := []struct {
		names []string
		want  string
	}{
		{[]string{"a"}, "a"},
		{[]string{"e", "b", "b"}, "a b e"},
		{[]string{"d"}, "d a b c"},
		{nil, ""},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.names, ","), func(t *testing.T) {
			s, err := Parse("x.yaml", []byte(chainOfNeeds), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Select(tt.names); err != nil {
				t.Fatal(err)
			}
			if got := checkNames(s); got != tt.want {
				t.Errorf("want %q, got %q", tt.want, got)
			}
		})
	}
}

func TestSelectRefusesAnUnknownCheck(t *testing.T) {
	s, err := Parse("x.yaml", []byte("checks: {ipv4: {user: {root: {exists: true}}}}"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Select([]string{"ipv4", "ipv44"})
	var unknown *UnknownCheckError
	if !errors.As(err, &unknown) {
		t.Fatalf("want an UnknownCheckError, got %v", err)
	}
	want := &UnknownCheckError{Name: "ipv44", Suggestion: "ipv4", Known: []string{"ipv4"}}
	if !reflect.DeepEqual(unknown, want) {
		t.Errorf("want %+v, got %+v", want, unknown)
	}
	if got := checkNames(s); got != "ipv4" {
		t.Errorf("the spec was changed: %s", got)
	}
}
