package checks

import (
	"encoding/json"
	"testing"
)

func TestMatchingComparesItsContent(t *testing.T) {
	for _, tt := range []struct {
		content, matches string
		reader           bool
		want             string
	}{
		{`"some string"`, `{"match-regexp": "some str"}`, false, "matches pass\n"},
		{`[2]`, `{"contain-element": 2}`, false, "matches pass\n"},
		{`{"foo": "bar", "baz": "bing"}`, `{"and": [{"have-key": "baz"}, {"not": {"have-key": "x"}}]}`, false, "matches pass\n"},
		{`14`, `{"gt": 0}`, false, "matches pass\n"},
		{`"FAIL"`, `[{"not": "FAIL"}]`, false, "matches fail: missing: {\"not\":\"FAIL\"}\n"},
		{`["45", "46", "47"]`, `[{"contain-element": {"match-regexp": "4."}}, "45", {"and": [{"ge": 46}, {"le": 50}]}]`, false, "matches pass\n"},
		{`9007199254740993`, `9007199254740992`, false, "matches fail\n"},
		{`"foo bar\nmoo cow\n"`, `["foo", "/^m.*w$/", "!wtf", "!/^ERROR:/"]`, true, "matches pass\n"},
		{`"foo bar\nmoo cow\n"`, `["foo", "!cow"]`, true, "matches fail: found, but should not be: \"!cow\"\n"},
		{`40`, `{"and": [{"le": 250}, {"ge": 20}]}`, true, "matches pass\n"},
	} {
		kind := Any
		if tt.reader {
			kind = Text
		}
		m := &Matching{AsReader: tt.reader, Matches: want(t, kind, tt.matches)}
		m.Content = expr(t, tt.content)
		t.Run(tt.content+" "+tt.matches, func(t *testing.T) {
			checkTold(t, m.Evaluate(t.Context(), nil), tt.want)
			data, err := json.Marshal(Item{Type: "matching", ID: "x", Resource: m})
			var back Item
			if err != nil || json.Unmarshal(data, &back) != nil {
				t.Fatal(err)
			}
			checkTold(t, back.Resource.Evaluate(t.Context(), nil), tt.want)
		})
	}
}

func TestMatchingThatPassesDoesNotShowItsContent(t *testing.T) {
	m := &Matching{Content: "secret", Matches: want(t, Any, `{"have-prefix": "s"}`)}
	if list := m.Evaluate(t.Context(), nil); list[0].Verdict != Pass || list[0].Actual != nil {
		t.Errorf("got %+v", list)
	}
}
