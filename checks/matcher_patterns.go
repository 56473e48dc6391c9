package checks

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A pattern is looked for in each line of a text.
type pattern struct {
	text    string // as the spec has it
	inverse bool   // no line may hold it
	want    string
	re      *regexp.Regexp // instead of want
}

// parsePattern reads foo, !foo, /re/ and !/re/. A backslash at the start, or
// after the exclamation mark, is dropped and makes the rest plain text.
func parsePattern(s string) (pattern, error) {
	p := pattern{text: s}
	if s == "" {
		return p, errors.New(`an empty pattern is in every text: for an empty one say equal: ""`)
	}
	rest := s
	rest, p.inverse = strings.CutPrefix(rest, "!")
	if plain, ok := strings.CutPrefix(rest, `\`); ok {
		p.want = plain
		return p, nil
	}
	if len(rest) > 2 && rest[0] == '/' && rest[len(rest)-1] == '/' {
		re, err := regexp.Compile(rest[1 : len(rest)-1])
		if err != nil {
			return p, errors.New(regexpProblem(err))
		}
		p.re = re
		return p, nil
	}
	p.want = rest
	return p, nil
}

func (p pattern) in(line string) bool {
	if p.re != nil {
		return p.re.MatchString(line)
	}
	return strings.Contains(line, p.want)
}

type patterns []pattern

func (ps patterns) match(actual any) finding {
	switch actual.(type) {
	case nil, map[string]any:
		return finding{invalid: true, message: show(actual) + " is not text"}
	}
	found := make([]bool, len(ps))
	for _, line := range linesOf(textOf(actual)) {
		for i, p := range ps {
			found[i] = found[i] || p.in(line)
		}
	}
	var missing, unwanted []string
	for i, p := range ps {
		switch {
		case p.inverse && found[i]:
			unwanted = append(unwanted, p.text)
		case !p.inverse && !found[i]:
			missing = append(missing, p.text)
		}
	}
	var parts []string
	if len(missing) > 0 {
		parts = append(parts, "missing: "+showAll(missing))
	}
	if len(unwanted) > 0 {
		parts = append(parts, fmt.Sprintf("found, but should not be: %s", showAll(unwanted)))
	}
	return finding{ok: len(parts) == 0, message: strings.Join(parts, "; ")}
}
