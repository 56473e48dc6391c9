package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/upmaru/icepak/checks"
)

// NewTAP returns a Reporter that writes TAP, version 13, to w when the run is
// over: a line for each result, and for one that did not pass a block of YAML.
// No text of a guest's stands at the start of a line, where a reader that knows
// no YAML would take it for a result.
func NewTAP(w io.Writer) Reporter { return textDocument(w, "TAP", tapReport) }

func tapReport(s Summary) string {
	list := findings(s)
	var b strings.Builder
	fmt.Fprintf(&b, "TAP version 13\n1..%d\n", len(list))
	for i, f := range list {
		name := fmt.Sprintf("%d - %s", i+1, tapText(f.where()+": "+f.String()))
		switch known(f.Verdict) {
		case checks.Pass:
			b.WriteString("ok " + name + "\n")
		case checks.Skip:
			b.WriteString("ok " + name + " # SKIP " + tapText(token(f.Message, "skipped")) + "\n")
		default:
			b.WriteString("not ok " + name + "\n" + tapDiagnostic(f))
		}
	}
	fmt.Fprintf(&b, "# %s: %s\n", runWord(s), numbers(s))
	return b.String()
}

var tapEscape = strings.NewReplacer(`\`, `\\`, "#", `\#`)

// tapText is a line of text in which nothing begins a directive.
func tapText(s string) string { return tapEscape.Replace(s) }

// tapDiagnostic explains a finding as YAML of the plainest kind, a quoted text on
// each line, for that is as much as some readers know.
func tapDiagnostic(f finding) string {
	var b strings.Builder
	add := func(key string, lines ...string) {
		if text := strings.Join(lines, "\n"); text != "" {
			fmt.Fprintf(&b, "  %s: %s\n", key, quoted(text))
		}
	}
	value := func(key string, lines []string) {
		if len(lines) == 1 && isPlain(lines[0]) {
			fmt.Fprintf(&b, "  %s: %s\n", key, lines[0])
			return
		}
		if len(lines) == 1 {
			if text, err := strconv.Unquote(lines[0]); err == nil && !odd(text) {
				lines = []string{text} // it was quoted so as not to look like a number
			}
		}
		add(key, lines...)
	}
	e := explain(f.Result, 60, valueLimit)
	b.WriteString("  ---\n")
	add("verdict", string(known(f.Verdict)))
	if len(e.Difference) > 0 {
		add("legend", e.Legend)
	}
	add("difference", e.Difference...)
	value("expected", e.Expected)
	value("actual", e.Actual)
	add("message", e.Message)
	add("output", e.Output...)
	add("at", e.Source)
	b.WriteString("  ...\n")
	return b.String()
}

// isPlain tells whether s is a number, true, false or null.
func isPlain(s string) bool {
	return json.Valid([]byte(s)) && s == strings.TrimLeft(s, " \t[{\"")
}

// quoted is a text as JSON has it, which YAML has as well.
func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // which no string leads to
	}
	return strings.TrimSuffix(b.String(), "\n")
}
