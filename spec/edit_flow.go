package spec

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// insertFlow adds an entry before the bracket at the end of a mapping. Where
// that has lines of its own for its entries, so has the new one.
func (p *page) insertFlow(into *yaml.Node, key string, value *yaml.Node) (string, error) {
	in, err := p.brackets(p.offset(into))
	if err != nil {
		return "", err
	}
	closing, last := in.end-1, in.last
	before, rest := p.text[:last], p.text[last:]
	if len(into.Content) > 0 && !strings.HasSuffix(before, ",") {
		before += ","
	}
	lineStart := strings.LastIndex(p.text[:closing], "\n") + 1
	own := last < lineStart && strings.TrimSpace(p.text[lineStart:closing]) == ""
	switch {
	case own: // the bracket has a line of its own
		indent := len(p.text[lineStart:closing]) + p.step
		if n := len(into.Content); n > 0 && into.Content[n-2].Line > into.Line {
			indent = into.Content[n-2].Column - 1
		}
		gap := p.text[last : lineStart-1] // a comment on the last line
		return before + gap + "\n" + strings.Repeat(" ", indent) + p.flowEntry(indent, key, value) + p.text[lineStart-1:], nil
	case len(into.Content) > 0:
		before += " "
	}
	return before + p.flowEntry(-1, key, value) + rest, nil
}

// A span is where a mapping in brackets ends.
type span struct {
	end      int  // after its bracket
	last     int  // after what stands before that, besides comments and spaces
	comments bool // there are some between the brackets
}

// brackets finds the end of the mapping in brackets that begins at from.
func (p *page) brackets(from int) (span, error) {
	var s span
	depth := 0
	previous := byte(0) // the last character that is no space
	for i := from; i < len(p.text); i++ {
		c := p.text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			continue
		case c == '#' && strings.IndexByte(" \t\n", p.text[i-1]) >= 0: // a comment
			if n := strings.IndexByte(p.text[i:], '\n'); n >= 0 {
				i += n
			} else {
				i = len(p.text)
			}
			s.comments = true
			continue
		case (c == '"' || c == '\'') && strings.IndexByte("{[,:", previous) >= 0:
			i += quoted(p.text[i:]) - 1
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				s.end = i + 1
				return s, nil
			}
		}
		previous, s.last = c, i+1
	}
	return s, notEditablef("the end of a mapping is not found")
}

// quoted is the length of the quoted text at a string's start.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[0] == '"' && s[i] == '\\':
			i++
		case s[0] == '\'' && s[i] == '\'' && strings.HasPrefix(s[i+1:], "'"):
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return len(s)
}
