package checks

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// A test is a compiled matcher.
type test interface {
	match(actual any) finding // actual is as normal returns it
}

// A finding is the outcome of a test.
type finding struct {
	ok bool
	// invalid says that the two cannot be compared, as abc with {gt: 5}. Then
	// {not: {gt: 5}} does not hold either.
	invalid bool
	message string
	odd     bool // of a literal: the message says more than both values do
}

// matcherNames are all matchers of an expression.
func matcherNames() []string {
	return []string{
		"and", "consist-of", "contain-element", "contain-elements", "contain-substring", "equal",
		"ge", "gjson", "gt", "have-key", "have-len", "have-patterns", "have-prefix", "have-suffix",
		"le", "lt", "match-regexp", "not", "or", "satisfies", "semver-constraint", "xml",
	}
}

// suits tells whether a matcher can hold for a property of the kind.
func suits(kind Kind, name string) bool {
	switch name {
	case "equal", "not", "and", "or":
		return true
	case "have-key":
		return kind == Any
	case "satisfies":
		return kind == Versions
	case "gjson", "xml":
		return kind == Any || kind == Text || kind == String
	case "contain-element", "contain-elements", "consist-of", "have-len", "have-patterns", "semver-constraint":
		return kind != Bool && !kind.numeric()
	default:
		return kind != Bool
	}
}

const maxMatcherDepth = 32

// A parser compiles an expression. After its first mistake err is set, and
// what it returns is not to be used.
type parser struct {
	path  []string
	err   *MatcherError
	rules versionRules
}

func (p *parser) fail(format string, args ...any) test {
	if p.err == nil {
		p.err = &MatcherError{Path: slices.Clone(p.path), Msg: fmt.Sprintf(format, args...)}
	}
	return nil
}

// in parses what stands at a map's key or a list's index.
func (p *parser) in(step string, parse func() test) test {
	p.path = append(p.path, step)
	defer func() { p.path = p.path[:len(p.path)-1] }()
	return parse()
}

func (p *parser) parse(kind Kind, v any) test {
	if len(p.path) > 2*maxMatcherDepth {
		return p.fail("matchers are nested too deeply")
	}
	switch v := v.(type) {
	case nil:
		return p.fail("want a value, got nothing")
	case map[string]any:
		return p.parseExpression(kind, v)
	case []any:
		return p.parseListLiteral(kind, v)
	default:
		return p.parseScalar(kind, v)
	}
}

func (p *parser) parseExpression(kind Kind, m map[string]any) test {
	if len(m) != 1 {
		return p.fail("want one matcher, got %d: put them in a list under and", len(m))
	}
	var name string
	for name = range m {
	}
	return p.in(name, func() test {
		switch known := matcherNames(); {
		case !slices.Contains(known, name):
			p.fail("unknown matcher %q", name)
			if near := Suggest(name, known); near != "" && p.err.Hint == "" {
				p.err.Hint = fmt.Sprintf("did you mean %q?", near)
			}
			return nil
		case !suits(kind, name):
			return p.fail("%s cannot be used here: the property is %s", name, kindName(kind))
		}
		return p.parseArgument(kind, name, m[name])
	})
}

func kindName(kind Kind) string {
	switch kind {
	case Bool:
		return "true or false"
	case Int:
		return "a number"
	case Time:
		return "a duration"
	case Size:
		return "a size"
	case List, Versions:
		return "a list"
	default:
		return "text"
	}
}

func (p *parser) parseArgument(kind Kind, name string, arg any) test {
	switch name {
	case "equal":
		return p.parseEqual(kind, arg)
	case "not":
		return not{p.parse(kind, arg), arg}
	case "and":
		return and(p.parseList(kind, name, arg, false))
	case "or":
		return or(p.parseList(kind, name, arg, false))
	case "contain-element":
		return containElement{p.parse(elementKind(kind), arg), arg}
	case "contain-elements":
		return elements{p.parseList(elementKind(kind), name, arg, false), exprs(arg), false}
	case "consist-of":
		return elements{p.parseList(elementKind(kind), name, arg, true), exprs(arg), true}
	case "have-key":
		return haveKey{p.parse(String, arg), arg}
	case "gjson":
		return p.parseGJSON(arg)
	case "xml":
		return p.parseXML(arg)
	case "have-patterns":
		list, ok := arg.([]any)
		if !ok {
			return p.fail("have-patterns wants a list, got %s", describe(arg))
		}
		return p.parsePatterns(list)
	case "have-len":
		_, isMatcher := arg.(map[string]any)
		if n, ok := arg.(int64); !isMatcher && (!ok || n < 0) {
			return p.fail("have-len wants a whole number, got %s", describe(arg))
		}
		return haveLen{p.parse(Int, arg), arg}
	case "gt", "ge", "lt", "le":
		n, err := kind.number(arg)
		if _, isList := arg.([]any); err != nil || isList {
			return p.fail("%s wants %s, got %s", name, kind.example(), describe(arg))
		}
		return compare{name, n, kind}
	}
	text, ok := arg.(string)
	switch {
	case !ok:
		return p.fail("%s wants text, got %s", name, describe(arg))
	case text == "":
		return p.fail("%s of an empty text asserts nothing", name)
	}
	return p.parseTextual(name, text)
}

// parseTextual parses the matchers whose argument is text.
func (p *parser) parseTextual(name, text string) test {
	switch name {
	case "match-regexp":
		re, err := regexp.Compile(text)
		if err != nil {
			return p.fail("%s", regexpProblem(err))
		}
		return matchRegexp{re}
	case "semver-constraint":
		c, err := semver.NewConstraint(gossOperator.ReplaceAllStringFunc(text, func(op string) string {
			return strings.NewReplacer("==", "=", "!", "!=").Replace(op)
		}))
		if err != nil {
			return p.fail("want a constraint such as >=1.2.0 <2.0.0, got %s", show(text))
		}
		c.IncludePrerelease = true
		return semverConstraint{c, text}
	case "satisfies":
		list, err := parseVersionConstraints(text)
		if err != nil {
			return p.fail("%s", err)
		}
		return satisfies{list, text, p.rules}
	default:
		return affix{name, text}
	}
}

// gossOperator is one that goss's semantic versions know and ours do not: == and !.
var gossOperator = regexp.MustCompile(`(^|[\s,|])(==|!)\s*[0-9v]`)

// elementKind is what a list's elements, and a text's lines, are compared as.
func elementKind(kind Kind) Kind {
	if kind == Any || kind == Versions {
		return kind
	}
	return String
}

func exprs(arg any) []any {
	list, _ := arg.([]any)
	return list
}

func (p *parser) parseList(kind Kind, name string, arg any, emptyToo bool) []test {
	list, ok := arg.([]any)
	switch {
	case !ok:
		p.fail("%s wants a list, got %s", name, describe(arg))
	case len(list) == 0 && !emptyToo:
		p.fail("%s of an empty list asserts nothing", name)
	}
	tests := make([]test, len(list))
	for i, v := range list {
		tests[i] = p.in(strconv.Itoa(i), func() test { return p.parse(kind, v) })
	}
	return tests
}

func (p *parser) parseEqual(kind Kind, arg any) test {
	if _, err := json.Marshal(arg); err != nil {
		return p.fail("want finite numbers") // all else in it can be written
	}
	switch arg := arg.(type) {
	case nil, map[string]any:
		if kind != Any {
			return p.fail("equal wants a plain value, got %s", describe(arg))
		}
		return equalAny{arg}
	case []any:
		if kind == Bool || kind.numeric() {
			return p.fail("want %s, got a list", kindName(kind))
		}
		return equalList(arg)
	default:
		return p.parseScalar(kind, arg)
	}
}

func (p *parser) parseListLiteral(kind Kind, list []any) test {
	switch {
	case kind == Text:
		return p.parsePatterns(list)
	case kind != List && kind != Versions && kind != Any:
		return p.fail("want %s, got a list", kindName(kind))
	case len(list) == 0:
		return p.fail("an empty list asserts nothing")
	}
	tests := make([]test, len(list))
	for i, v := range list {
		tests[i] = p.in(strconv.Itoa(i), func() test { return p.parse(elementKind(kind), v) })
	}
	return elements{tests, list, false}
}

func (p *parser) parseScalar(kind Kind, v any) test {
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return p.fail("want a finite number")
	}
	switch kind {
	case Bool:
		if _, ok := v.(bool); !ok {
			return p.fail("want true or false, got %s", describe(v))
		}
	case Int, Time, Size:
		n, err := kind.number(v)
		if err != nil {
			return p.fail("want %s, got %s", kind.example(), describe(v))
		}
		return literal{n, kind}
	case Any:
	default:
		return literal{textOf(v), kind}
	}
	return literal{v, kind}
}

func (p *parser) parsePatterns(list []any) test {
	if len(list) == 0 {
		return p.fail("an empty list of patterns asserts nothing")
	}
	var ps patterns
	for i, v := range list {
		p.in(strconv.Itoa(i), func() test {
			switch v.(type) {
			case nil, []any, map[string]any:
				return p.fail("want a pattern, got %s", describe(v))
			}
			one, err := parsePattern(textOf(v))
			if err != nil {
				return p.fail("%s", err)
			}
			ps = append(ps, one)
			return nil
		})
	}
	return ps
}

// describe is a value for the end of "got …".
func describe(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case []any:
		return "a list"
	case map[string]any:
		return "a map"
	default:
		return show(v)
	}
}

func regexpProblem(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}
