package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/upmaru/icepak/checks"
)

// NewNagios returns a Reporter that writes to w, when the run is over, what a
// Nagios plugin says: one line, with PerfData its numbers behind it, and when
// Verbose a line for each result that did not pass.
func NewNagios(w io.Writer, o Options) Reporter {
	return textDocument(w, "Nagios", func(s Summary) string {
		list := findings(s)
		var b strings.Builder
		b.WriteString(nagiosText("ICEPAK "+nagiosState(s)+" - "+nagiosNews(s, list), 2*lineLimit))
		if o.PerfData {
			c := count(list)
			fmt.Fprintf(&b, "|total=%d failed=%d errors=%d skipped=%d duration=%.3fs",
				c.Total, c.Failed, c.Errors, c.Skipped, max(0, s.Duration).Seconds())
		}
		b.WriteByte('\n')
		if o.Verbose {
			b.WriteString(nagiosFaults(list))
		}
		return b.String()
	})
}

// nagiosState is a verdict in Nagios's words. It is CRITICAL or UNKNOWN where the
// exit code is 1 or 3.
func nagiosState(s Summary) string {
	switch known(s.Verdict) {
	case checks.Pass:
		return "OK"
	case checks.Fail:
		return "CRITICAL"
	case checks.Skip:
		if !slices.ContainsFunc(s.Images, untested) {
			return "OK" // there was nothing to do
		}
	}
	return "UNKNOWN"
}

// nagiosNews is the numbers, and the first fault, for people see little more than
// this line.
func nagiosNews(s Summary, list []finding) string {
	news := numbers(s)
	i := slices.IndexFunc(list, func(f finding) bool { return faulty(f.Verdict) })
	if i < 0 {
		return news
	}
	return news + " - " + nagiosFault(list[i])
}

func nagiosFault(f finding) string {
	text := f.where() + ": " + f.String()
	if m := oneLine(f.Message, lineLimit); m != "" {
		return text + ": " + m
	}
	e := explain(f.Result, lineLimit, 1)
	if len(e.Expected) == 1 && len(e.Actual) == 1 {
		text += ": expected " + e.Expected[0] + ", actual " + e.Actual[0]
	}
	return text
}

// nagiosFaults lists what did not pass.
func nagiosFaults(list []finding) string {
	var b strings.Builder
	n := 0
	for _, f := range list {
		if !faulty(f.Verdict) {
			continue
		}
		if n++; n > verboseLimit {
			b.WriteString("… and more\n")
			break
		}
		word := "Fail"
		if known(f.Verdict) == checks.Error {
			word = "Error"
		}
		b.WriteString(nagiosText(fmt.Sprintf("%s %d - %s", word, n, nagiosFault(f)), 2*lineLimit) + "\n")
	}
	return b.String()
}

// nagiosText is one line without the sign that performance data follows.
func nagiosText(s string, limit int) string {
	return strings.ReplaceAll(oneLine(s, limit), "|", "¦")
}
