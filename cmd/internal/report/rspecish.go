package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/upmaru/icepak/checks"
)

// NewRspecish returns a Reporter that writes to w, when the run is over, a sign
// for each result, what did not pass, and how many there are.
func NewRspecish(w io.Writer, opts TextOptions) Reporter {
	if opts.ASCII {
		w = asciiWriter{w}
	}
	look := newStyle(opts.ASCII, opts.Color)
	return &document{w, "rspecish", func(s Summary) ([]byte, error) {
		list := findings(s)
		var b strings.Builder
		for i, f := range list {
			if i > 0 && i%signsPerLine == 0 {
				b.WriteByte('\n')
			}
			b.WriteString(look.paint(f.Verdict, sign(f.Verdict)))
		}
		b.WriteString("\n\n" + notPassed(list, look) + closing(s, list, look))
		return []byte(b.String()), nil
	}}
}

// signsPerLine keeps a line of signs within a terminal.
const signsPerLine = 72

func sign(v checks.Verdict) string {
	switch known(v) {
	case checks.Pass:
		return "."
	case checks.Fail:
		return "F"
	case checks.Skip:
		return "S"
	}
	return "E"
}

// notPassed explains, as goss does, what failed and what was skipped.
func notPassed(list []finding, look style) string {
	var b strings.Builder
	before := ""
	for _, f := range list {
		if f.Verdict == checks.Pass {
			continue
		}
		if b.Len() == 0 {
			b.WriteString("Failures/Skipped:\n")
		}
		if where := f.where(); where != before {
			b.WriteString("\n" + look.bold.Sprint(where) + "\n")
			before = where
		}
		b.WriteString("  " + findingLine(f, look) + "\n")
		if faulty(f.Verdict) {
			for _, l := range details(f.Result, 60, valueLimit) {
				b.WriteString(strings.TrimRight("    "+l, " ") + "\n")
			}
		}
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// findingLine shows a finding on one line.
func findingLine(f finding, look style) string {
	text := f.String()
	switch m := oneLine(f.Message, lineLimit); {
	case f.Verdict == checks.Pass && m != "": // it passed earlier
		text += ": " + m
	case f.Verdict == checks.Pass && f.Expected != nil:
		text += ": matches " + cut(inline(plain(f.Expected)), lineLimit)
	case f.Verdict == checks.Pass:
		text += ": passed"
	case f.Verdict == checks.Skip && (m == "" || m == "skipped"):
		text += ": skipped"
	case f.Verdict == checks.Skip:
		text += ": skipped, " + m
	case f.Verdict == checks.Fail:
		text += ": failed"
	} // that it is an error is in its name
	return look.paint(f.Verdict, oneLine(text, 2*lineLimit))
}

// closing is goss's last lines. Errors, which goss does not tell from failures,
// are counted where there are any.
func closing(s Summary, list []finding, look style) string {
	c := count(list)
	line := fmt.Sprintf("Count: %d, Failed: %d", c.Total, c.Failed)
	if c.Errors > 0 {
		line += fmt.Sprintf(", Errors: %d", c.Errors)
	}
	line += fmt.Sprintf(", Skipped: %d", c.Skipped)
	return fmt.Sprintf("Total Duration: %.3fs\n%s\n", max(0, s.Duration).Seconds(), look.paint(s.Verdict, line))
}
