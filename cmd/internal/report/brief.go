package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/upmaru/icepak/checks"
)

// Line returns s cleaned, as one line that is not too long to be shown.
func Line(s string) string { return oneLine(s, lineLimit) }

// Why says in one clean line why the check is not a pass, or nothing where no one
// has said it.
func Why(c CheckResult) string {
	if c.Reason != "" {
		return Line(c.Reason)
	}
	for _, r := range c.Results {
		if faulty(r.Verdict) {
			return cut(Label(r)+because(r), lineLimit)
		}
	}
	return ""
}

// because says in one line why the result is not a pass.
func because(r checks.Result) string {
	switch {
	case r.Message != "":
		return ": " + Line(r.Message)
	case r.Expected == nil:
		return ""
	}
	return ": expected " + Line(inline(plain(r.Expected))) + ", found " + Line(inline(plain(r.Actual)))
}

// Label names a result in one clean line, such as package nginx: installed.
func Label(r checks.Result) string { return label(r) }

// Explain says why a result is not a pass, in clean lines of which there are not too
// many: what was expected and found, the message, the output, the place in the spec.
func Explain(r checks.Result) string { return strings.Join(details(r, 60, valueLimit), "\n") }

// Tail returns the last of the text's lines, cleaned, and says how many came before.
func Tail(s string) string { return strings.Join(lastLines(splitLines(s), valueLimit), "\n") }

// Seconds shows a duration as reports do: 4.1 s.
func Seconds(d time.Duration) string { return seconds(d) }

// Size shows a number of bytes for people: 296 B, 3.2 kB, 68.4 MB.
func Size(bytes int64) string {
	switch {
	case bytes < 1e3:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 1e6:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}
