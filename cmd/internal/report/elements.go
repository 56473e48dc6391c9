package report

import (
	"regexp"
	"strings"
)

// The guest shortens long values before it sends them, and says so in them.
var (
	cutText = regexp.MustCompile(`… \(\d+ bytes\)$`)
	cutList = regexp.MustCompile(`^… \d+ more$`)
)

// An elementDifference says which elements of a list are there as wanted.
type elementDifference struct {
	found, missing, extra []any
	exact                 bool // elements that are extra are wrong
}

// compareElements compares a list, or a text's lines, with the matchers for
// lists whose elements are plain values. It is not ok where that cannot be told,
// for instance because the guest has sent only a part of the list.
func compareElements(expected, actual any) (d elementDifference, ok bool) {
	wanted := plain(expected)
	if m, isMap := wanted.(map[string]any); isMap && len(m) == 1 {
		_, d.exact = m["consist-of"]
		if wanted = m["consist-of"]; !d.exact {
			wanted = m["contain-elements"]
		}
	}
	list, ok := wanted.([]any)
	left, whole := wholeList(plain(actual))
	if _, isText := actual.(string); !ok || !whole || isText && isList(plain(expected)) {
		return d, false // a literal list for a text is one of patterns
	}
	for _, want := range list {
		switch want.(type) {
		case []any, map[string]any, nil:
			return d, false
		}
		if i := indexOf(left, want); i >= 0 {
			d.found = append(d.found, left[i])
			left = append(left[:i:i], left[i+1:]...)
		} else {
			d.missing = append(d.missing, want)
		}
	}
	if len(left) > 0 {
		d.extra = left
	}
	return d, len(d.missing) > 0 || d.exact && len(d.extra) > 0
}

func isList(v any) bool {
	_, ok := v.([]any)
	return ok
}

// wholeList is a list, or the lines of a text, of which nothing is left out.
func wholeList(v any) ([]any, bool) {
	list, ok := v.([]any)
	if s, isText := v.(string); isText {
		for l := range strings.Lines(s) {
			list = append(list, strings.TrimRight(l, "\r\n"))
		}
		ok = true
	}
	for _, item := range list {
		if s, isText := item.(string); isText && (cutText.MatchString(s) || cutList.MatchString(s)) {
			return nil, false
		}
	}
	return list, ok
}

// indexOf finds what is the same value, as text.
func indexOf(list []any, want any) int {
	for i, v := range list {
		if bare(v) == bare(want) {
			return i
		}
	}
	return -1
}

// bare is a plain value as text, unquoted.
func bare(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return inline(v)
}

// lines shows elements, one on each line.
func (elementDifference) lines(prefix string, elements []any) []string {
	var lines []string
	for _, v := range elements {
		lines = append(lines, cut(prefix+inline(v), lineLimit))
	}
	return outerLines(lines, valueLimit)
}
