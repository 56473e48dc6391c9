package spec

import (
	"reflect"
	"testing"

	"github.com/upmaru/icepak/checks"
)

// options has an attribute of every type that is decoded.
type options struct {
	checks.Common
	Text    string              `json:"text"`
	Flag    bool                `json:"flag"`
	Number  int                 `json:"number"`
	Wait    checks.Duration     `json:"wait" was:"delay,pause"`
	List    []string            `json:"list"`
	Map     map[string]string   `json:"map"`
	Lists   map[string][]string `json:"lists"`
	Any     map[string]any      `json:"any"`
	Ignored string              `json:"-"`
}

func TestAttributesAreDecodedByTheirType(t *testing.T) {
	tests := []struct {
		text string
		want options
		err  string
	}{
		{"text: 1.10", options{Text: "1.10"}, ""},
		{"text: yes", options{Text: "yes"}, ""},
		{"text: {}", options{}, "x:1:7: want text, got a mapping"},
		{"flag: true", options{Flag: true}, ""},
		{"flag: !!bool yes", options{}, `x:1:7: want !!bool, got "yes"`},
		{"flag: 1", options{}, `x:1:7: want true or false, got "1"`},
		{"number: -12", options{Number: -12}, ""},
		{"number: 1.5", options{}, `x:1:9: want a whole number, got "1.5"`},
		{"number: [1]", options{}, "x:1:9: want a whole number, got a list"},
		{"wait: 1500", options{Wait: 1_500_000_000}, ""},
		{"pause: 2s", options{Wait: 2_000_000_000}, ""},
		{"delay: [1]", options{}, "x:1:8: want a duration such as 5s, got a list"},
		{"delay: 1s\npause: 2s", options{Wait: 1_000_000_000}, "x:2:1: pause and delay, at x:1:1, are names of the same attribute"},
		{"list: [a, 010]", options{List: []string{"a", "010"}}, ""},
		{"list: a", options{List: []string{"a"}}, ""},
		{"list: [a, [b]]", options{List: []string{"a", ""}}, "x:1:11: want text, got a list"},
		{"map: {a: 1, b: true}", options{Map: map[string]string{"a": "1", "b": "true"}}, ""},
		{"map: {a: ~}", options{Map: map[string]string{"a": ""}}, "x:1:10: want a value, got nothing"},
		{"lists: {a: [b, c], d: e}", options{Lists: map[string][]string{"a": {"b", "c"}, "d": {"e"}}}, ""},
		{"any: {a: 1, b: [1.5, ~, x], c: {d: false}}", options{Any: map[string]any{
			"a": int64(1), "b": []any{1.5, nil, "x"}, "c": map[string]any{"d": false}}}, ""},
		{"title: x", options{Common: checks.Common{Title: "x"}}, ""},
		{"Ignored: x", options{}, `x:1:1: unknown attribute "Ignored" of it`},
		{"any: {a: 99999999999999999999999, b: 18446744073709551615}", options{Any: map[string]any{"a": 1e23, "b": nil}},
			"x:1:38: the number 18446744073709551615 is too large"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			var got options
			d := newDecoder()
			d.fields(parseNode("x", tt.text, d.probs), reflect.ValueOf(&got).Elem(), "attribute", "it")
			if err := d.probs.err(); (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
				t.Errorf("want error %q, got %v", tt.err, err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("want %+v, got %+v", tt.want, got)
			}
		})
	}
}

func TestPositionsOfMatchersAreFollowedAsFarAsTheyGo(t *testing.T) {
	n := parseNode("x", "or: [a, {not: {gt: b}}]", newProblems())
	tests := []struct {
		name string
		path []string
		want string
	}{
		{"whole", nil, "x:1:1"},
		{"key", []string{"or"}, "x:1:1"},
		{"element", []string{"or", "0"}, "x:1:6"},
		{"deep", []string{"or", "1", "not", "gt"}, "x:1:16"},
		{"no such key", []string{"or", "1", "and"}, "x:1:9"},
		{"no such element", []string{"or", "7"}, "x:1:1"},
		{"negative", []string{"or", "-1"}, "x:1:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := n.follow(tt.path).String(); got != tt.want {
				t.Errorf("want %s, got %s", tt.want, got)
			}
		})
	}
}

func TestModesAreComparedAsTheyAreWritten(t *testing.T) {
	for _, tt := range []struct {
		mode, actual string
		holds        bool
	}{
		{"{le: 0755}", "0644", true},
		{"{ge: 0600}", "0400", false},
		{"{and: [{ge: 0400}, {lt: 0641}]}", "0640", true},
		{"{gt: 5}", "0006", true},
	} {
		t.Run(tt.mode+" "+tt.actual, func(t *testing.T) {
			s, err := Parse("x.yaml", []byte("file: {/x: {mode: "+tt.mode+"}}"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			m := s.Checks[0].Items[0].Resource.(*checks.File).Mode
			if got := m.Match(tt.actual); got.OK != tt.holds {
				t.Errorf("got %+v", got)
			}
		})
	}
	if _, err := Parse("x.yaml", []byte("file: {/x: {mode: {le: 0o755}}}"), Options{}); err == nil {
		t.Error("0o755 is accepted, which no mode is written as")
	}
}
