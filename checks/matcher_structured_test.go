package checks

import (
	"errors"
	"strings"
	"testing"
)

const jsonText = `{"foo": "bar", "moo": {"nested": "cow"}, "count": "15", "list": [3, 1, 9007199254740993], "none": null}`

const xmlText = `<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE order>
<order date="2019-02-01">
    <address xmlns:b="http://localhost/b">
        <b:city>Old Town</b:city>
    </address>
    <items>
        <!--two-->
        <book isbn="1"><title> A &amp; a </title><sold></sold></book>
        <book isbn="2"><title>B</title><quantity>1</quantity><price>18</price></book>
    </items>
</order>
`

func TestStructuredTextMatches(t *testing.T) {
	for _, tt := range []struct {
		kind   Kind
		expr   string
		actual any
		ok     bool
	}{
		{Text, `{"gjson": {"moo.nested": "cow", "foo": {"have-prefix": "b"}, "count": {"le": 25}}}`, jsonText, true},
		{String, `{"gjson": {"@this": {"have-key": "foo"}, "moo": {"and": [{"have-key": "nested"}, {"not": {"have-key": "x"}}]}}}`, jsonText, true},
		{Any, `{"gjson": {"list": [1, 9007199254740993], "list.#": 3, "list.0": {"gt": 2}, "none": {"equal": null}}}`, jsonText, true},
		{Any, `{"gjson": {"@this": {"equal": {"a": 1}}}}`, `{"a": 1}`, true},
		{Text, `{"gjson": {"count": 16}}`, jsonText, false},
		{Text, `{"not": {"gjson": {"count": 16}}}`, jsonText, true},
		{Text, `{"gjson": {"nosuch": 1}}`, jsonText, false},
		{Text, `{"not": {"gjson": {"nosuch": 1}}}`, jsonText, false}, // a path that is not there is a mistake
		{Text, `{"not": {"gjson": {"a": 1}}}`, "a: 1", false},
		{Any, `{"gjson": {"a": 1}}`, map[string]any{"a": 1}, false},
		{Text, `{"xml": {"xpath": "//book[title='B']/quantity/text()", "result": "1"}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "//book[@isbn='2']/title", "result": "<title>B</title>"}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "//book/title", "result": "<title>A &amp; a</title><title>B</title>"}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "//book[1]/@isbn", "result": "<isbn>1</isbn>"}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "string(//book[1]/title)", "result": " A & a "}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "//address/*[local-name()='city']/text()", "result": "Old Town"}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "//b:city/text()", "result": "Old Town"}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "//book[1]/following-sibling::*[1]/price/preceding-sibling::title/text()", "result": "B"}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "//items", "result": "<items><!--two--><book isbn=\"1\"><title>A &amp; a</title><sold/></book>` +
			`<book isbn=\"2\"><title>B</title><quantity>1</quantity><price>18</price></book></items>"}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "//items/book"}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "//items/dvd", "result": " "}}`, xmlText, false},
		{Text, `{"xml": {"xpath": "count(//book)", "result": 2}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "count(//book) * 1000000", "result": "2E+06"}}`, xmlText, true},
		{Text, `{"xml": {"xpath": "count(//book)", "result": ""}}`, xmlText, false},
		{Text, `{"xml": {"xpath": "boolean(//book[title='C'])", "result": false}}`, xmlText, true},
		{Text, `{"not": {"xml": {"xpath": "count(//book)", "result": "3"}}}`, xmlText, true},
		{Text, `{"not": {"xml": {"xpath": "//book"}}}`, "not <<< xml", false},
		{Text, `{"not": {"xml": {"xpath": "//book"}}}`, "<a>", false},
		{Text, `{"not": {"xml": {"xpath": "//book"}}}`, "<a></b>", false},
		{Text, `{"not": {"xml": {"xpath": "sum('x')", "result": "0"}}}`, xmlText, false},
	} {
		t.Run(tt.expr, func(t *testing.T) {
			if got := want(t, tt.kind, tt.expr).Match(tt.actual); got.OK != tt.ok {
				t.Errorf("Match(%#v) = %v, want %v; %s", tt.actual, got.OK, tt.ok, got.Message)
			}
		})
	}
}

func TestStructuredMatchersSayWhereTheyFail(t *testing.T) {
	for _, tt := range []struct{ expr, text, message string }{
		{`{"gjson": {"count": {"lt": 10}, "foo": "baz", "x.y": 1}}`, jsonText,
			`count: 15 is not less than 10; foo: want "baz", got "bar"; x.y: there is no such path`},
		{`{"gjson": {"@this": {"have-len": 1}}}`, strings.Repeat("[", 5<<20), "\"" + strings.Repeat("[", 80) + "\"… is not JSON"},
		{`{"gjson": {"count": 15}}`, "count: 15", `"count: 15" is not JSON`},
		{`{"xml": {"xpath": "count(//book)", "result": 3}}`, xmlText, `count(//book) is "2", want "3"`},
		{`{"xml": {"xpath": "//dvd"}}`, xmlText, "there is no node //dvd"},
		{`{"xml": {"xpath": "//dvd"}}`, "<a>", "it is not XML: it ends too early"},
		{`{"xml": {"xpath": "//dvd"}}`, "<a/>b", "it is not XML: there is text outside of its element"},
		{`{"xml": {"xpath": "//dvd"}}`, "<a></b></a>", "it is not XML: </b> ends what did not begin"},
		{`{"xml": {"xpath": "//dvd"}}`, strings.Repeat("<a>", 2000), "it is not XML: more than 200000 nodes, or 1000 levels"},
		{`{"xml": {"xpath": "sum('x')"}}`, xmlText, "sum('x'): sum() function argument type must be a node-set or number"},
	} {
		if got := want(t, Text, tt.expr).Match(tt.text); got.OK || got.Message != tt.message {
			t.Errorf("%s: %q", tt.expr, got.Message)
		}
	}
}

func TestStructuredMatchersRefuseMistakes(t *testing.T) {
	for _, tt := range []struct {
		kind            Kind
		expr            string
		path, msg, hint string
	}{
		{Text, `{"gjson": {}}`, "gjson", "gjson without a path asserts nothing", ""},
		{Text, `{"gjson": "a"}`, "gjson", `gjson wants a map of paths and matchers, got "a"`, ""},
		{Text, `{"gjson": {"": 1}}`, "gjson", "a path of gjson is empty", ""},
		{Text, `{"gjson": {"a.b": {"gtt": 1}}}`, "gjson/a.b/gtt", `unknown matcher "gtt"`, `did you mean "gt"?`},
		{List, `{"gjson": {"a": 1}}`, "gjson", "gjson cannot be used here: the property is a list", ""},
		{Text, `{"xml": "//a"}`, "xml", `xml wants a map of xpath and result, got "//a"`, ""},
		{Text, `{"xml": {"result": "x"}}`, "xml", "want an XPath expression", ""},
		{Text, `{"xml": {"xpath": "COUNT(//a)"}}`, "xml", "want an XPath expression, got", ""},
		{Text, `{"xml": {"xpath": "//a", "reslt": "x"}}`, "xml/reslt", `unknown key "reslt" of xml`, ""},
		{Text, `{"xml": {"xpath": ["//a"]}}`, "xml/xpath", "want text, got a list", ""},
		{List, `{"satisfies": "> 1"}`, "satisfies", "satisfies cannot be used here: the property is a list", ""},
		{Versions, `{"satisfies": "1.24"}`, "satisfies", `want constraints such as >= 1.24-2, < 2, got "1.24"`, ""},
		{Versions, `{"satisfies": ">= 1, 2"}`, "satisfies", "want constraints", ""},
	} {
		t.Run(tt.expr, func(t *testing.T) {
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

func FuzzXML(f *testing.F) {
	f.Add(xmlText, "//book[@isbn='2']/title")
	f.Add("<a><b c='1'/></a>", "count(//@c) + 1")
	f.Add("<a>", "//a/following::*")
	f.Fuzz(func(t *testing.T, text, expression string) {
		root, err := parseXML(text)
		if err != nil {
			return
		}
		if _, _, err := evaluateXPath(root, expression); err != nil && err.Error() == "" {
			t.Error("an error says nothing")
		}
	})
}
