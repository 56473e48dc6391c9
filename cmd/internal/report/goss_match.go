package report

import (
	"strings"

	"github.com/upmaru/icepak/checks"
)

// A gossMatch is how goss tells of a comparison. Ours never converts a value, so
// that there is no chain of transformations.
type gossMatch struct {
	Actual        any    `json:"actual"`
	Expected      any    `json:"expected"`
	Extra         []any  `json:"extra-elements"`
	Found         []any  `json:"found-elements"`
	Message       string `json:"message"`
	Missing       []any  `json:"missing-elements"`
	Chain         []any  `json:"transform-chain"`
	Untransformed any    `json:"untransformed-value"`
}

func newGossMatch(r checks.Result) gossMatch {
	switch r.Verdict {
	case checks.Skip:
		return gossMatch{}
	case checks.Pass:
		return gossMatch{Actual: boundedValue(r.Actual), Expected: boundedValue(r.Expected), Message: "matches expectation"}
	}
	actual, isText := r.Actual.(string)
	verb, wanted := gossVerb(plain(r.Expected), isText)
	m := gossMatch{Actual: boundedValue(r.Actual), Expected: boundedValue(wanted), Message: verb}
	if d, ok := compareElements(r.Expected, r.Actual); ok {
		m.Found, m.Missing = d.found, d.missing
		if d.exact {
			m.Extra = d.extra
		}
	} else if list, ok := wanted.([]any); ok && verb == "to have patterns" && isText && !cutText.MatchString(actual) {
		m.patterns(list, actual)
	}
	return m
}

// patterns looks for each of the patterns.
func (m *gossMatch) patterns(list []any, text string) {
	for _, p := range list {
		matcher, err := checks.ParseMatcher(checks.Text, []any{bare(p)})
		if err == nil && matcher.Match(text).OK {
			m.Found = append(m.Found, p)
		} else {
			m.Missing = append(m.Missing, p)
		}
	}
}

// gossVerb says in goss's words what was wanted, and of what.
func gossVerb(expected any, isText bool) (verb string, wanted any) {
	switch e := expected.(type) {
	case []any:
		if isText {
			return "to have patterns", e
		}
		return "to contain elements matching", e
	case map[string]any:
		for name, argument := range e {
			return gossMatcherVerb(name, argument, isText)
		}
	case string, bool:
		return "to equal", e
	}
	return "to be numerically eq", expected
}

func gossMatcherVerb(name string, argument any, isText bool) (verb string, wanted any) {
	switch name {
	case "equal":
		return "to equal", argument
	case "and":
		return "to satisfy all of these matchers", argument
	case "or":
		return "to satisfy at least one of these matchers", argument
	case "not":
		verb, wanted = gossVerb(argument, isText)
		return "not " + verb, wanted
	case "gt", "ge", "lt", "le":
		return "to be numerically " + name, argument
	case "match-regexp":
		return "to match regular expression", argument
	case "have-len":
		return "to have length", argument
	case "semver-constraint":
		return "to satisfy semver constraint", argument
	case "contain-element", "contain-elements", "have-key":
		return "to " + strings.ReplaceAll(name, "-", " ") + " matching", argument
	}
	return "to " + strings.ReplaceAll(name, "-", " "), argument // have-prefix, consist-of …
}
