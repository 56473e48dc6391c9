package report

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestValuesAreShownAsASpecWouldHaveThem(t *testing.T) {
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"a boolean", true, "true"},
		{"text that looks like a boolean", "true", `"true"`},
		{"a number", 5.0, "5"},
		{"text that looks like a number", "0644", `"0644"`},
		{"nothing", nil, "null"},
		{"empty text", "", `""`},
		{"text", "x86_64", "x86_64"},
		{"a space at the end", "a ", `"a "`},
		{"a line's end", "a\n", `"a\n"`},
		{"what cannot be seen", "a\u200bb\x1b[0m", `"a\u200bb\x1b[0m"`},
		{"a list", []string{"a", "1"}, `[a, "1"]`},
		{"a matcher", map[string]any{"not": map[string]any{"gt": 5}, "and": []any{nil, false}}, "{and: [null, false], not: {gt: 5}}"},
		{"what JSON has no form for", math.NaN(), `"NaN"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(valueLines(tt.in, 60), "\n"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestDifference(t *testing.T) {
	tests := []struct {
		name, expected, actual string
		want                   []string
	}{
		{"a changed line", "a\nb\nc\nd\ne\nf\n", "a\nb\nc\nX\ne\nf\n",
			[]string{"… 1 equal line", "  b", "  c", "- d", "+ X", "  e", "  f"}},
		{"lines in between stay", "a\nb\nc\n", "x\nb\ny\n", []string{"- a", "+ x", "  b", "- c", "+ y"}},
		{"no end of the last line", "a\nb\n", "a\nb", []string{"  a", "- b", "+ b (no newline at the end)"}},
		{"spaces that are not seen", "a\n\tb\n", "a\n b \n", []string{"  a", `- "\tb"`, `+ " b "`}},
		{"nothing there", "a\nb\n", "", []string{"- a", "- b"}},
		{"a blank line", "a\n\nb\n", "a\nb\n", []string{"  a", "- ", "  b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := difference(tt.expected, tt.actual); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestDifferenceShowsBothSidesOfLongTexts(t *testing.T) {
	got := difference(lines(5000), strings.ReplaceAll(lines(5000), "line", "row"))
	if len(got) > valueLimit+2*diffContext+2 || got[0] != "- line 1" || !strings.HasPrefix(got[len(got)-1], "+ row ") {
		t.Errorf("got %q", got)
	}
}
