package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

// numbered is a list of n texts.
func numbered(from, to int) []any {
	var list []any
	for i := from; i <= to; i++ {
		list = append(list, fmt.Sprintf("item %d", i))
	}
	return list
}

func TestFailuresAreExplained(t *testing.T) {
	long := strings.Repeat("x", 100)
	tests := []struct {
		name   string
		result checks.Result
		want   string
	}{
		{"short lists are shown whole",
			checks.Result{Expected: []any{"a", "b"}, Actual: []any{"a"}, Message: `missing: "b"`},
			"expected  [a, b]\nactual    [a]\nmissing: \"b\""},
		{"of long lists, what is missing and what is extra",
			checks.Result{Expected: map[string]any{"consist-of": numbered(1, 30)}, Actual: numbered(2, 32), Message: `missing: "item 1"; extra: "item 31", "item 32"`},
			"difference (- missing, + extra)\n  - item 1\n  + item 31\n  + item 32\n  … 29 equal elements"},
		{"what is extra is not told where it is not wrong",
			checks.Result{Expected: map[string]any{"contain-elements": append(numbered(1, 20), "z")}, Actual: append(numbered(1, 20), "y"), Message: `missing: "z"`},
			"difference (- missing)\n  - z\nactual\n" + bullets(numbered(1, 19)) + "\n  … 2 more lines"},
		{"an element counts as often as it is there",
			checks.Result{Expected: map[string]any{"consist-of": append(numbered(1, 20), "a", "a")}, Actual: append(numbered(1, 20), "a")},
			"difference (- missing, + extra)\n  - a\n  … 21 equal elements"},
		{"the lines of a text are elements",
			checks.Result{Expected: map[string]any{"consist-of": append(numbered(1, 20), 5.0)}, Actual: "6\n" + asText(numbered(1, 20))},
			"difference (- missing, + extra)\n  - 5\n  + \"6\"\n  … 20 equal elements"},
		{"what is missing is not made up where the guest has shortened the list",
			checks.Result{Expected: map[string]any{"consist-of": []any{"item 9"}}, Actual: []any{"item 1", "… 70 more"}, Message: "said by the guest"},
			"expected  {consist-of: [item 9]}\nactual    [item 1, … 70 more]\nsaid by the guest"},
		{"long lines from where they differ",
			checks.Result{Expected: long + "abc", Actual: long + "abd"},
			"expected  … xxxxxxxxxxxxxxxxxxabc\nactual    … xxxxxxxxxxxxxxxxxxabd"},
		{"long lines that differ at once",
			checks.Result{Expected: "short", Actual: long},
			"expected  short\nactual    " + long},
		{"equal is compared by line as well",
			checks.Result{Expected: map[string]any{"equal": "a\nb\n"}, Actual: "a\nc\n"},
			"difference (- expected, + actual)\n    a\n  - b\n  + c"},
		{"a text that was shortened is compared as far as it goes",
			checks.Result{Expected: "a\nb\nc\nd\n", Actual: "a\nX\nc… (1234 bytes)"},
			"difference (- expected, + actual)\n    a\n  - b\n  + X\n  … the rest was not kept (1234 bytes)"},
		{"a line that was shortened",
			checks.Result{Expected: "a\nb\n", Actual: long + "… (1234 bytes)"},
			"expected\n  a\n  b\nactual    " + long + "… (1234 bytes)"},
		{"output that is the actual value is told once",
			checks.Result{Type: "command", Expected: map[string]any{"have-prefix": "x"}, Actual: "a\nb\n", Message: "no", Output: "a\nb"},
			"expected  {have-prefix: x}\nactual\n  a\n  b\nno"},
		{"a command's output",
			checks.Result{Type: "command", Expected: 0.0, Actual: 1.0, Message: "m", Output: "a"},
			"expected  0\nactual    1\nm\noutput\n  a"},
		{"nothing was found, and why",
			checks.Result{Expected: 0.0, Message: "timed out after 10s"},
			"expected  0\ntimed out after 10s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.result.Verdict = checks.Fail
			if got := strings.Join(details(tt.result, 60, 20), "\n"); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func bullets(list []any) string {
	var lines []string
	for _, v := range list {
		lines = append(lines, "  - "+v.(string))
	}
	return strings.Join(lines, "\n")
}

func asText(list []any) string {
	var b strings.Builder
	for _, v := range list {
		b.WriteString(v.(string) + "\n")
	}
	return b.String()
}

func TestPlaceOfADifference(t *testing.T) {
	tests := []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "b", 0}, {"ab", "a", 1}, {"xé", "xè", 1}, {"世界", "世間", 3},
	}
	for _, tt := range tests {
		if got := commonStart(tt.a, tt.b); got != tt.want {
			t.Errorf("%q and %q differ at %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func FuzzExplanationIsSafe(f *testing.F) {
	f.Add(hostile, "a\nb… (12 bytes)", uint8(0))
	f.Add("世界", "世間", uint8(4))
	f.Fuzz(func(t *testing.T, a, b string, kind uint8) {
		r := checks.Result{Verdict: checks.Fail, Expected: a, Actual: b, Message: a, Output: b}
		switch kind & 3 {
		case 1:
			r.Expected = map[string]any{"equal": a}
		case 2:
			r.Expected = map[string]any{"consist-of": []any{a, b}}
		case 3:
			r.Expected = []any{a}
		}
		if kind&4 > 0 {
			r.Actual = strings.Split(b, "\n")
		}
		got := details(r, 30, valueLimit)
		assertSafe(t, strings.Join(got, "\n"))
		if slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, "\n") }) {
			t.Errorf("a line of several: %q", got)
		}
		if len(got) > 100 {
			t.Errorf("%d lines", len(got))
		}
	})
}
