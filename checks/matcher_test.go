package checks

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
)

// expr reads a matcher as a spec has it, written in JSON.
func expr(t testing.TB, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// want returns the matcher that the JSON text describes.
func want(t testing.TB, kind Kind, text string) Matcher {
	t.Helper()
	m, err := ParseMatcher(kind, expr(t, text))
	if err != nil {
		t.Fatalf("ParseMatcher(%s, %s): %v", kind, text, err)
	}
	return m
}

func TestMatcherDecides(t *testing.T) {
	list := []string{"foo", "bar", "moo"}
	const text = "foo bar\nmoo cow\n"
	for _, tt := range []struct {
		kind   Kind
		expr   string
		actual any
		ok     bool
	}{
		{Bool, `true`, true, true},
		{Bool, `true`, false, false},
		{Bool, `{"not": true}`, false, true},
		{Bool, `{"or": [true, false]}`, false, true},
		{Int, `5`, 5, true},
		{Int, `5`, int64(5), true},
		{Int, `5`, uint32(5), true},
		{Int, `5`, 5.0, true},
		{Int, `5`, 6, false},
		{Int, `"5"`, 5, true},
		{Int, `5`, "5", true},
		{Int, `9007199254740993`, int64(9007199254740992), false},
		{Int, `{"gt": 5}`, 6, true},
		{Int, `{"gt": 5}`, 5, false},
		{Int, `{"ge": 5}`, 5, true},
		{Int, `{"lt": 5.5}`, 5, true},
		{Int, `{"le": 5}`, 6, false},
		{Int, `{"and": [{"gt": 1}, {"lt": 3}]}`, 2, true},
		{Int, `{"and": [{"gt": 1}, {"lt": 3}]}`, 3, false},
		{Int, `{"match-regexp": "^2\\d\\d$"}`, 204, true},
		{Int, `{"have-prefix": "2"}`, 404, false},
		{String, `"0644"`, "0644", true},
		{String, `"0644"`, "644", false},
		{String, `644`, "0644", false},
		{String, `"1.10"`, "1.1", false},
		{String, `{"gt": 120.2}`, "128.3", true},
		{String, `{"equal": "x"}`, "x", true},
		{String, `{"have-prefix": "fo"}`, "foo", true},
		{String, `{"have-suffix": "x"}`, "foo", false},
		{String, `{"contain-substring": "oo"}`, "foo", true},
		{String, `{"match-regexp": "^o"}`, "foo", false},
		{String, `{"have-len": 3}`, "foo", true},
		{List, `["foo", "bar"]`, list, true},
		{List, `["foo", "foo"]`, list, false}, // each takes an element of its own
		{List, `["foo", "x"]`, list, false},
		{List, `{"equal": ["foo", "bar", "moo"]}`, list, true},
		{List, `{"equal": ["bar", "foo", "moo"]}`, list, false},
		{List, `{"equal": ["foo", "bar"]}`, list, false},
		{List, `{"consist-of": ["moo", {"have-prefix": "f"}, "bar"]}`, list, true},
		{List, `{"consist-of": ["moo", "foo"]}`, list, false},
		{List, `{"consist-of": []}`, []string{}, true},
		{List, `{"consist-of": []}`, list, false},
		// The first matcher could take either; only one pairing works.
		{List, `{"consist-of": [{"match-regexp": "oo"}, "foo", "bar"]}`, list, true},
		{List, `{"contain-element": {"have-prefix": "b"}}`, list, true},
		{List, `{"contain-element": "x"}`, list, false},
		{List, `{"contain-elements": ["moo", {"have-prefix": "b"}]}`, list, true},
		{List, `{"have-len": 3}`, list, true},
		{List, `{"have-len": {"ge": 1}}`, list, true},
		{List, `{"have-len": {"lt": 3}}`, list, false},
		{List, `{"have-len": 0}`, []string(nil), true},
		{List, `{"not": ["x", "foo"]}`, list, true},
		{List, `{"contain-element": {"and": [{"ge": 46}, {"le": 50}]}}`, []string{"a", "47"}, true},
		{List, `"127.0.0.1"`, []string{"127.0.0.1"}, true},
		{List, `{"semver-constraint": ">=1.0.0"}`, []string{"1.2.3", "2.0.0"}, true},
		{List, `{"semver-constraint": ">=2.0.0"}`, []string{"1.2.3", "2.0.0"}, false},
		{List, `{"semver-constraint": ">=1.0.0"}`, []string{}, false},
		{Text, `["foo", "/^moo/"]`, text, true},
		{Text, `["foo", "cows"]`, text, false},
		{Text, `["!ftw", "!/^ERROR:/"]`, text, true},
		{Text, `["!cow"]`, text, false},
		{Text, `["!/^moo/"]`, text, false},
		{Text, `["/bar$/"]`, text, true}, // a line's end, not the text's
		{Text, `["foo bar\nmoo"]`, text, false},
		{Text, `["\\!x"]`, "a!x\n", true},
		{Text, `["\\/x/"]`, "/x/\n", true},
		{Text, `["\\/x/"]`, "x\n", false},
		{Text, `["!\\/x/"]`, "x\n", true},
		{Text, `["//x"]`, "x\n", false},
		{Text, `["//x"]`, "//x\n", true},
		{Text, `["/"]`, "a/b", true},
		{Text, `["//"]`, "a/b", false},
		{Text, `["/usr/lib"]`, "usr/lib", false},
		{Text, `["!"]`, "", true}, // no line at all
		{Text, `["x$"]`, "x$\r\n", true},
		{Text, `["/x$/"]`, "x\r\n", true},
		{Text, `"foo bar\nmoo cow\n"`, text, true},
		{Text, `"foo bar\nmoo cow"`, text, false}, // as goss: the whole text
		{Text, `"15"`, "15\n", true},              // the text of the number 15
		{Text, `"1.10"`, "1.1\n", false},
		{Text, `""`, "", true},
		{Text, `""`, "\n", false},
		{Text, `{"have-len": 16}`, text, true},
		{Text, `{"contain-element": {"have-prefix": "moo"}}`, text, true},
		{Text, `{"consist-of": ["moo cow", "foo bar"]}`, text, true},
		{Text, `{"have-patterns": ["foo", "!x"]}`, text, true},
		{Text, `{"not": ["foo", "x"]}`, text, true},
		{Text, `{"and": [["foo"], {"not": {"contain-substring": "ftw"}}]}`, text, true},
		{Text, `{"gt": 10}`, "15\n", true},
		{Any, `{"have-key": "a"}`, map[string]any{"a": 1}, true},
		{Any, `{"have-key": {"have-prefix": "b"}}`, map[string]any{"a": 1}, false},
		{Any, `{"equal": {"a": [1, "x"]}}`, map[string]any{"a": []any{1, "x"}}, true},
		{Any, `{"equal": null}`, nil, true},
		{Any, `[1, {"gt": 2}]`, []any{3, 1}, true},
		{Any, `"128"`, 128, true},
		{Any, `128`, " 128.0 ", true},
		{Any, `true`, "true", false},

		// What cannot be compared holds neither way.
		{String, `{"gt": 5}`, "abc", false},
		{String, `{"not": {"gt": 5}}`, "abc", false},
		{List, `{"not": {"contain-element": {"gt": 5}}}`, []string{"abc"}, false},
		{List, `{"not": {"contain-elements": [{"gt": 5}]}}`, []string{"abc"}, false},
		{List, `{"not": {"consist-of": [{"gt": 5}]}}`, []string{"abc"}, false},
		{List, `{"not": [{"gt": 5}]}`, []string{"abc"}, false},
		{List, `{"not": {"contain-elements": ["x"]}}`, []string{"abc"}, true},
		{Any, `{"not": {"have-key": {"gt": 5}}}`, map[string]any{"abc": 1}, false},
		{String, `{"not": {"semver-constraint": ">=9.0.0"}}`, "abc", false},
		{String, `{"not": {"and": [{"gt": 5}, {"lt": 9}]}}`, "abc", false},
		{String, `{"not": {"or": [{"gt": 5}, {"lt": 9}]}}`, "abc", false},
		{String, `{"gt": 5}`, "NaN", false},
		{String, `{"not": {"gt": 5}}`, "NaN", false},
		{Text, `["!x"]`, nil, false},
		{Int, `0`, nil, false},
		{String, `""`, nil, false},
	} {
		t.Run(string(tt.kind)+" "+tt.expr, func(t *testing.T) {
			m := want(t, tt.kind, tt.expr)
			if got := m.Match(tt.actual); got.OK != tt.ok {
				t.Errorf("Match(%#v) = %v, want %v; %s", tt.actual, got.OK, tt.ok, got.Message)
			}
		})
	}
}

func TestSemverConstraintIsNeverWrong(t *testing.T) {
	const notSemver = "is not a semantic version"
	for _, tt := range []struct {
		constraint, version string
		ok                  bool
		message             string
	}{
		{">=550.0.0", "550.54.14", true, ""},
		{">=550.0.0", "550.54", true, ""},
		{">=550", "v550.54", true, ""},
		{">=470.57.02", "470.57.02", true, ""}, // NVIDIA's leading zero
		{">=470.57.03", "470.57.02", false, "does not satisfy"},
		{">=1.2.0 <2.0.0", "1.10.0", true, ""},
		{">=1.2.0 <2.0.0", "2.0.0", false, "does not satisfy"},
		{"<1.0.0 || >=2.0.0", "2.1.0", true, ""},
		{">1.0.0 <2.0.0 !=1.5.0", "1.5.0", false, "does not satisfy"}, // goss's operators
		{"==1.2.3", "1.2.3", true, ""},
		{">1.0.0 !1.2.3", "1.2.3", false, "does not satisfy >1.0.0 !1.2.3"},
		{">=1.0.0", "1.1.0-rc1", true, ""},
		{">=1.0.0", "1.0.0-rc1", false, "does not satisfy"},
		{">=2.0.0", "2.36-9+deb12u14", false, notSemver},
		{">=1.24.0", "1.24.0-2", false, notSemver},
		{">=1.24.0", "1.24.0-2ubuntu7", false, notSemver},
		{">=1.36.1", "1.36.1-r5", false, notSemver}, // Alpine's revision
		{">=1.0.0", "1:2.3", false, notSemver},
		{">=1.0.0", "3.0.11~deb12u2", false, notSemver},
		{">=1.0.0", "1.2.3.4", false, notSemver},
		{">=1.0.0", "", false, notSemver},
		{">=1.0.0", "99999999999999999999.0.0", false, notSemver},
	} {
		t.Run(tt.constraint+" "+tt.version, func(t *testing.T) {
			arg, _ := json.Marshal(map[string]string{"semver-constraint": tt.constraint})
			got := want(t, String, string(arg)).Match(tt.version)
			if got.OK != tt.ok || !strings.Contains(got.Message, tt.message) {
				t.Errorf("got %v, %q", got.OK, got.Message)
			}
		})
	}
}

func TestMatchMessageNamesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		kind    Kind
		expr    string
		actual  any
		message string
	}{
		{Bool, `true`, false, ""}, // expected and actual say it
		{Int, `{"gt": 5}`, 5, "5 is not greater than 5"},
		{Int, `{"gt": 5}`, "x", `"x" is not a number`},
		{List, `["a", "b", "c"]`, []string{"b"}, `missing: "a", "c"`},
		{List, `{"consist-of": ["a", {"have-prefix": "b"}]}`, []string{"a", "c"}, `missing: {"have-prefix":"b"}; extra: "c"`},
		{List, `{"equal": ["a", "b"]}`, []string{"a", "c"}, `element 2 is "c", want "b"`},
		{List, `{"equal": ["a"]}`, []string{"a", "c"}, `extra: "c"`},
		{List, `{"have-len": 1}`, []string{"a", "c"}, `its length is 2, want 1`},
		{Text, `["a", "!b"]`, "b\n", `missing: "a"; found, but should not be: "!b"`},
		{Text, `"a"`, "a\n", `it ends with a newline that is not expected`},
		{Text, `"a\nb\n"`, "a\nc\n", `line 2 is "c", want "b"`},
		{Text, `"a\n"`, "a\nb", `line 2 is "b", want ""`},
		{String, `{"not": {"have-prefix": "a"}}`, "ab", `it does match {"have-prefix":"a"}`},
		{String, `{"or": ["a", {"have-prefix": "b"}]}`, "c", `none holds: want "a", got "c"; "c" does not start with "b"`},
		{List, `["a"]`, []string(nil), `missing: "a"`},
	} {
		t.Run(string(tt.kind)+" "+tt.expr, func(t *testing.T) {
			got := want(t, tt.kind, tt.expr).Match(tt.actual)
			if got.OK || got.Message != tt.message {
				t.Errorf("got %v, %q, want %q", got.OK, got.Message, tt.message)
			}
			if !reflect.DeepEqual(got.Expected, normal(expr(t, tt.expr))) {
				t.Errorf("Expected is %#v", got.Expected)
			}
		})
	}
}

func TestParseMatcherRefusesMistakes(t *testing.T) {
	for _, tt := range []struct {
		kind            Kind
		expr            string
		path, msg, hint string
	}{
		{Bool, `"maybe"`, "", `want true or false, got "maybe"`, ""},
		{Bool, `[true]`, "", "want true or false, got a list", ""},
		{Bool, `{"gt": 1}`, "gt", "gt cannot be used here: the property is true or false", ""},
		{Int, `"zero"`, "", `want a number, got "zero"`, ""},
		{Int, `true`, "", "want a number, got true", ""},
		{Int, `{"have-len": 1}`, "have-len", "have-len cannot be used here: the property is a number", ""},
		{Int, `[1]`, "", "want a number, got a list", ""},
		{String, `["x"]`, "", "want text, got a list", ""},
		{String, `null`, "", "want a value, got nothing", ""},
		{String, `{}`, "", "want one matcher, got 0", ""},
		{String, `{"gt": 1, "lt": 2}`, "", "want one matcher, got 2", ""},
		{String, `{"have-prefx": "x"}`, "have-prefx", `unknown matcher "have-prefx"`, `did you mean "have-prefix"?`},
		{String, `{"have_prefix": "x"}`, "have_prefix", `unknown matcher "have_prefix"`, `did you mean "have-prefix"?`},
		{String, `{"frobnicate": "x"}`, "frobnicate", `unknown matcher "frobnicate"`, ""},
		{String, `{"have-prefix": 5}`, "have-prefix", "have-prefix wants text, got 5", ""},
		{String, `{"have-prefix": ""}`, "have-prefix", "have-prefix of an empty text asserts nothing", ""},
		{Text, `{"contain-substring": ""}`, "contain-substring", "asserts nothing", ""},
		{Text, `{"match-regexp": ""}`, "match-regexp", "asserts nothing", ""},
		{String, `{"semver-constraint": ""}`, "semver-constraint", "asserts nothing", ""},
		{String, `{"match-regexp": "("}`, "match-regexp", "missing closing ): `(`", ""},
		{String, `{"semver-constraint": "about 5"}`, "semver-constraint", "want a constraint such as", ""},
		{String, `{"gt": "x"}`, "gt", `gt wants a number, got "x"`, ""},
		{String, `{"gt": [5]}`, "gt", `gt wants a number, got a list`, ""},
		{List, `{"have-len": "3"}`, "have-len", `have-len wants a whole number, got "3"`, ""},
		{List, `{"have-len": -1}`, "have-len", `have-len wants a whole number, got -1`, ""},
		{List, `{"have-len": 1.5}`, "have-len", `have-len wants a whole number, got 1.5`, ""},
		{List, `{"contain-elements": "x"}`, "contain-elements", `contain-elements wants a list, got "x"`, ""},
		{List, `{"contain-elements": []}`, "contain-elements", "asserts nothing", ""},
		{List, `["x", {"and": [{"not": {"gtt": 1}}]}]`, "1/and/0/not/gtt", `unknown matcher "gtt"`, `did you mean "gt"?`},
		{List, `{"have-key": "x"}`, "have-key", "have-key cannot be used here: the property is a list", ""},
		{Text, `["ok", "/(/"]`, "1", "missing closing ): `(`", ""},
		{Text, `["ok", ""]`, "1", "an empty pattern", ""},
		{Text, `["ok", {"gt": 1}]`, "1", "want a pattern, got a map", ""},
		{Text, `{"have-patterns": ["a", ["b"]]}`, "have-patterns/1", "want a pattern, got a list", ""},
		{Text, `{"and": []}`, "and", "asserts nothing", ""},
		{Text, `{"and": [[]]}`, "and/0", "asserts nothing", ""},
		{Text, `{"equal": {"a": 1}}`, "equal", "equal wants a plain value, got a map", ""},
		{"strnig", `"x"`, "", "unknown kind", ""},
	} {
		t.Run(string(tt.kind)+" "+tt.expr, func(t *testing.T) {
			_, err := ParseMatcher(tt.kind, expr(t, tt.expr))
			e, ok := errors.AsType[*MatcherError](err)
			if !ok {
				t.Fatalf("no MatcherError but %v", err)
			}
			if path := strings.Join(e.Path, "/"); path != tt.path || !strings.Contains(e.Msg, tt.msg) || e.Hint != tt.hint {
				t.Errorf("got %q %q %q", path, e.Msg, e.Hint)
			}
		})
	}
}

func TestParseMatcherRefusesWhatCannotBeWritten(t *testing.T) {
	deep := any("x")
	for range 1000 {
		deep = map[string]any{"not": deep}
	}
	for name, v := range map[string]any{
		"NaN":          math.NaN(),
		"inf in equal": map[string]any{"equal": []any{math.Inf(1)}},
		"NaN in gt":    map[string]any{"gt": math.NaN()},
		"deep":         deep,
	} {
		if m, err := ParseMatcher(Any, v); err == nil || m.IsSet() {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestEmptyListAssertsNothing(t *testing.T) {
	for _, kind := range []Kind{List, Text, Any, String} {
		if m := want(t, kind, `[]`); m.IsSet() {
			t.Errorf("%s: [] is set", kind)
		}
	}
	if (Matcher{}).Match("x").OK {
		t.Error("the zero Matcher matches")
	}
}

func TestMatcherSurvivesTheWire(t *testing.T) {
	for _, text := range []string{
		`true`, `5`, `5.5`, `1e300`, `9007199254740993`, `"x"`, `["a", {"gt": 5}]`,
		`{"semver-constraint": ">=1.2.0"}`, `{"match-regexp": "a<b>&"}`, `{"have-patterns": ["/x/"]}`,
		`{"equal": null}`,
	} {
		t.Run(text, func(t *testing.T) { roundTrip(t, want(t, Any, text)) })
	}
	var unset struct{ M Matcher }
	if err := json.Unmarshal([]byte(`{"M": null}`), &unset); err != nil || unset.M.IsSet() {
		t.Errorf("null gives %v, %v", unset.M, err)
	}
	if err := json.Unmarshal([]byte(`{"M": {"kind": "bool", "expr": "x"}}`), &unset); err == nil {
		t.Error("a wrong matcher is read without an error")
	}
}

func roundTrip(t *testing.T, m Matcher) {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back Matcher
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	if !reflect.DeepEqual(m, back) {
		t.Errorf("%s: got %#v, want %#v", data, back, m)
	}
}

func FuzzMatcher(f *testing.F) {
	for _, seed := range []string{
		`true`, `["a", "!b", "/c/"]`, `{"not": {"gt": 5}}`, `{"consist-of": ["a", {"have-len": 1}]}`,
		`{"semver-constraint": "~1.2 || >3"}`, `{"and": [{"match-regexp": "x*"}, {"equal": [1, null]}]}`, `1e999`,
		`{"gjson": {"a.#(b>1).c|@reverse": {"have-key": "x"}}}`, `{"xml": {"xpath": "//a[b=1]/@c", "result": "x"}}`,
	} {
		f.Add(seed, "foo\nbar 1.2.3\n")
		f.Add(seed, `{"a": [{"b": 2, "c": [1]}]}`)
		f.Add(seed, `<a c="x"><b>1</b></a>`)
	}
	f.Fuzz(func(t *testing.T, spec, text string) {
		var v any
		if json.Unmarshal([]byte(spec), &v) != nil {
			return
		}
		for _, kind := range []Kind{Bool, Int, String, List, Text, Versions, Any} {
			m, err := ParseMatcher(kind, v)
			if err != nil || !m.IsSet() {
				continue
			}
			roundTrip(t, m)
			for _, actual := range []any{nil, true, len(text), text, strings.Fields(text), map[string]any{text: 1}} {
				if got := m.Match(actual); got.OK && got.Message != "" {
					t.Errorf("%s %s on %#v holds, with the message %q", kind, spec, actual, got.Message)
				}
			}
		}
	})
}
