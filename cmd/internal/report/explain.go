package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/upmaru/icepak/checks"
)

// An explanation is what a person needs to know of a result that did not pass, as
// cleaned lines. What there is nothing to say of is empty.
type explanation struct {
	// Difference stands for Expected, Actual or both where they are long; Legend
	// says how to read it.
	Difference []string
	Legend     string
	Expected   []string
	Actual     []string
	Message    string   // why, in a line
	Output     []string // what the command behind it printed
	OutputOf   string   // what to call the output, where the message does not introduce it
	Source     string   // the place in the spec
}

// explain explains a result. Values longer than width are given several lines;
// outputLines bounds the output's.
func explain(r checks.Result, width, outputLines int) explanation {
	e := explanation{
		Message: oneLine(r.Message, lineLimit),
		Output:  lastLines(splitLines(r.Output), outputLines),
		Source:  oneLine(r.Source, lineLimit),
	}
	if r.Message == "" || r.Type == "command" {
		e.OutputOf = "output"
	}
	if actual, ok := r.Actual.(string); ok && slices.Equal(splitLines(actual), splitLines(r.Output)) {
		e.Output = nil // it is the actual value, which is shown
	}
	if !e.texts(r, width) && !e.lists(r, width) {
		e.values(r, width)
	}
	for _, lines := range [][]string{e.Difference, e.Expected, e.Actual, e.Output} {
		for i, l := range lines {
			lines[i] = Clean(l)
		}
	}
	return e
}

// texts compares two texts: by line where they have several, and else from
// shortly before the place where they differ.
func (e *explanation) texts(r checks.Result, width int) bool {
	expected, ok := wantedText(r.Expected)
	actual, ok2 := r.Actual.(string)
	switch {
	case !ok || !ok2:
		return false
	case multiline(expected) || multiline(actual):
		e.Difference, e.Legend = textDifference(expected, actual), "- expected, + actual"
		return len(e.Difference) > 0
	case len(expected) <= width && len(actual) <= width:
		return false
	}
	n := commonStart(expected, actual)
	e.Expected, e.Actual = []string{fromPlace(expected, n)}, []string{fromPlace(actual, n)}
	return true
}

// wantedText is the text that a value must be equal to.
func wantedText(expected any) (string, bool) {
	if m, ok := expected.(map[string]any); ok && len(m) == 1 {
		expected = m["equal"]
	}
	s, ok := expected.(string)
	return s, ok
}

// lists tells which elements are missing and which are extra, where the lists
// are too long to be looked through.
func (e *explanation) lists(r checks.Result, width int) bool {
	d, ok := compareElements(r.Expected, r.Actual)
	if !ok || len(inline(plain(r.Expected))) <= width && len(inline(plain(r.Actual))) <= width {
		return false
	}
	e.Difference, e.Legend = d.lines("- ", d.missing), "- missing"
	if d.exact {
		e.Difference, e.Legend = append(e.Difference, d.lines("+ ", d.extra)...), "- missing, + extra"
		if n := len(d.found); n > 0 {
			e.Difference = append(e.Difference, "… "+plural(n, "equal element"))
		}
	} else {
		e.Actual = valueLines(r.Actual, width)
	}
	if strings.HasPrefix(e.Message, "missing: ") || strings.HasPrefix(e.Message, "extra: ") {
		e.Message = "" // which says the same
	}
	return true
}

// values shows what was expected and what was found. Nothing was found where the
// message alone says what happened.
func (e *explanation) values(r checks.Result, width int) {
	if r.Expected != nil {
		e.Expected = valueLines(r.Expected, width)
	}
	if r.Actual != nil || r.Verdict == checks.Fail && r.Expected != nil && e.Message == "" {
		e.Actual = valueLines(r.Actual, width)
	}
}

// lines is the explanation as text.
func (e explanation) lines() []string {
	var lines []string
	if len(e.Difference) > 0 {
		lines = append(lines, "difference ("+e.Legend+")")
		lines = append(lines, indent(e.Difference)...)
	}
	lines = append(lines, labelled("expected", e.Expected)...)
	lines = append(lines, labelled("actual", e.Actual)...)
	if e.Message != "" {
		lines = append(lines, e.Message)
	}
	if len(e.Output) > 0 {
		if e.OutputOf != "" {
			lines = append(lines, e.OutputOf)
		}
		lines = append(lines, indent(e.Output)...)
	}
	if e.Source != "" {
		lines = append(lines, e.Source)
	}
	for i, l := range lines {
		lines[i] = Clean(l) // the start of a line matters, and indenting moved it
	}
	return lines
}

// details explains a result that did not pass, as lines of text.
func details(r checks.Result, width, outputLines int) []string {
	return explain(r, width, outputLines).lines()
}

// labelled puts a short value behind its name, a long one below it.
func labelled(name string, value []string) []string {
	switch len(value) {
	case 0:
		return nil
	case 1:
		return []string{fmt.Sprintf("%-8s  %s", name, value[0])}
	}
	return append([]string{name}, indent(value)...)
}

// commonStart is the number of bytes that two texts have in common at their
// start, whole characters only.
func commonStart(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && (n < len(a) && !utf8.RuneStart(a[n]) || n < len(b) && !utf8.RuneStart(b[n])) {
		n--
	}
	return n
}

// fromPlace shows a text of one line from shortly before the place, in bytes,
// that matters.
func fromPlace(s string, place int) string {
	const before = 20
	from := max(0, place-before)
	for from > 0 && from < len(s) && !utf8.RuneStart(s[from]) {
		from--
	}
	if from == 0 {
		return cut(scalar(cutBytes(s, 4*lineLimit)), lineLimit)
	}
	return cut("… "+scalar(cutBytes(s[from:], 4*lineLimit)), lineLimit)
}

// whyText is the causes as lines of text.
func whyText(list []string) string {
	var b strings.Builder
	for _, c := range causeLines(list) {
		b.WriteString("\nwhy  " + c)
	}
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

// failures explains the results of a check that did not pass, as text. It stops
// after so many results, or when the text is long.
func failures(c CheckResult, results, outputLines int) string {
	var b strings.Builder
	for _, r := range c.Results {
		if !faulty(r.Verdict) {
			continue
		}
		if results--; results < 0 || b.Len() > jsonLimit {
			b.WriteString("\n… and more\n")
			break
		}
		b.WriteString("\n" + label(r) + "\n")
		for _, l := range details(r, 60, outputLines) {
			b.WriteString("  " + l + "\n")
		}
	}
	return bounded(b.String())
}
