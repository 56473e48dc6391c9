package checks

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// A Kind says what a property's matcher is compared with.
type Kind string

const (
	Bool     Kind = "bool"
	Int      Kind = "int"
	String   Kind = "string"   // numbers and such in the spec are taken as their text
	List     Kind = "list"     // of strings
	Text     Kind = "text"     // a file's or a command's contents: a list is of patterns
	Versions Kind = "versions" // a list of a package's versions
	Any      Kind = "any"
	// Time is a duration, as 1m30s; what was found is a number of seconds. Size is
	// one of bytes, as 200MiB.
	Time Kind = "time"
	Size Kind = "size"
)

// numeric tells whether the kind is a single number.
func (k Kind) numeric() bool { return k == Int || k == Time || k == Size }

// A Matcher is what a spec expects of a property: a literal, or an expression
// such as {gt: 5}. The zero Matcher is not set.
//
// A literal must be equal: as a number where it is one, as text otherwise. A
// literal list must be contained, each element once, or for Text, hold as
// patterns. An expression is a map of one matcher to its argument:
//
//	equal                  a literal; a list must be equal in order
//	and, or                a list of matchers
//	not                    a matcher
//	gt, ge, lt, le         a number, or for Time and Size, a duration or a size
//	have-prefix, have-suffix, contain-substring   text
//	match-regexp           a regular expression, of Go's syntax
//	have-patterns          a list of patterns, each looked for in each line:
//	                       foo, !foo, /re/, !/re/, and \!foo for what starts with !
//	have-len               a whole number, or a matcher for one: bytes of text,
//	                       elements of a list
//	contain-element        a matcher; text is a list of its lines
//	contain-elements       a list of matchers, each for an element of its own
//	consist-of             the same, and no other elements
//	have-key               a matcher for a map's key
//	semver-constraint      such as >=1.2.0 <2.0.0; for a list all must satisfy it
//	satisfies              such as >= 1.24-2, < 2, by the rules of the guest's package
//	                       manager; all versions must satisfy all of it
//	gjson                  paths (gjson.dev) and a matcher for what JSON has at each
//	xml                    xpath, and result: the text that it must give
type Matcher struct {
	kind Kind
	expr any  // as the spec has it: nil, bool, int64, float64, string, []any, map[string]any
	test test // expr, compiled
}

// A Match is the outcome of a comparison.
type Match struct {
	OK bool
	// Message says in a line what is wrong, where expected and actual do not
	// say it all.
	Message  string
	Expected any // the matcher as the spec has it
}

// ParseMatcher checks v and returns the matcher that it describes. v is made
// of nil, bool, int64, float64, string, []any and map[string]any. The error is
// a *MatcherError. The empty list as a literal asserts nothing, as in goss: the
// matcher is then not set.
func ParseMatcher(kind Kind, v any) (Matcher, error) {
	switch kind {
	case Bool, Int, String, List, Text, Versions, Any, Time, Size:
	default:
		return Matcher{}, &MatcherError{Msg: fmt.Sprintf("unknown kind %q", kind)}
	}
	expr := normal(v)
	if list, ok := expr.([]any); ok && len(list) == 0 && kind != Bool && !kind.numeric() {
		return Matcher{}, nil
	}
	p := parser{}
	t := p.parse(kind, expr)
	if p.err != nil {
		return Matcher{}, p.err
	}
	return Matcher{kind, expr, t}, nil
}

// orderedBy returns the matcher with the rules by which satisfies compares.
func (m Matcher) orderedBy(rules versionRules) Matcher {
	switch m.expr.(type) {
	case map[string]any, []any:
		p := parser{rules: rules}
		m.test = p.parse(m.kind, m.expr)
	}
	return m
}

// IsSet tells whether the spec has the property.
func (m Matcher) IsSet() bool { return m.test != nil }

// Match compares what was found: a bool, a string, any number, a list of them,
// or a map with string keys. The zero Matcher matches nothing.
func (m Matcher) Match(actual any) Match {
	if m.test == nil {
		return Match{Message: "there is nothing to compare with"}
	}
	found := m.test.match(normal(actual))
	match := Match{OK: found.ok, Expected: m.expr}
	if _, plain := m.test.(literal); !found.ok && (!plain || found.odd) {
		match.Message = oneLine(found.message)
	}
	return match
}

// MarshalJSON writes kind and expression, or null where it is not set.
func (m Matcher) MarshalJSON() ([]byte, error) {
	if !m.IsSet() {
		return []byte("null"), nil
	}
	return json.Marshal(matcherJSON{m.kind, m.expr})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Matcher) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*m = Matcher{}
		return nil
	}
	var w matcherJSON
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // whole numbers stay what they are
	if err := dec.Decode(&w); err != nil {
		return err
	}
	parsed, err := ParseMatcher(w.Kind, w.Expr)
	*m = parsed
	return err
}

type matcherJSON struct {
	Kind Kind `json:"kind"`
	Expr any  `json:"expr"`
}

// A MatcherError says what is wrong with a matcher and where in it.
type MatcherError struct {
	Path []string // map keys and list indexes that lead to the mistake
	Msg  string
	Hint string // a suggestion such as: did you mean "gt"?, or empty
}

func (e *MatcherError) Error() string { return e.Msg }
