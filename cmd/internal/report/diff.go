package report

import (
	"slices"
	"strconv"
	"strings"
)

const (
	diffContext = 2   // lines around a change
	diffInput   = 400 // differing lines of a side that are compared
)

// textDifference compares what was expected with what the guest has sent of a
// text, and is nil where that is not even a line.
func textDifference(expected, actual string) []string {
	note := cutText.FindString(actual)
	if note == "" {
		return difference(expected, actual)
	}
	kept := actual[:strings.LastIndexByte(actual, '\n')+1] // the last line is only a part
	if kept == "" {
		return nil
	}
	lines := slices.Collect(strings.Lines(expected))
	lines = lines[:min(len(lines), strings.Count(kept, "\n"))]
	rest := "… the rest was not kept " + strings.TrimPrefix(note, "… ")
	return append(difference(strings.Join(lines, ""), kept), rest)
}

// difference compares two texts by line: "- " stands before what only expected
// has, "+ " before what only actual has, and two spaces before what is in both.
func difference(expected, actual string) []string {
	// Lines keep their ends, so that a missing one at the end is a difference.
	a, b := slices.Collect(strings.Lines(expected)), slices.Collect(strings.Lines(actual))
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	before, after := a[:start], a[len(a)-end:]
	a, b = a[start:len(a)-end], b[start:len(b)-end]

	var lines []string
	from := max(0, len(before)-diffContext)
	lines = append(lines, more(from)...)
	lines = append(lines, unchanged(before[from:])...)
	changes := changed(a[:min(len(a), diffInput)], b[:min(len(b), diffInput)])
	lines = append(lines, outerLines(changes, valueLimit)...)
	to := min(len(after), diffContext)
	lines = append(lines, unchanged(after[:to])...)
	return append(lines, more(len(after)-to)...)
}

// shownLine is one line of a text, quoted where it would not be seen for what
// it is, such as one with a space at its end.
func shownLine(l string) string {
	l = cutBytes(strings.TrimSuffix(l, "\n"), 4*lineLimit)
	if odd(strings.TrimLeft(l, " ")) {
		l = strconv.Quote(l)
	}
	return cut(l, lineLimit)
}

// changed lists the lines of a and b by their longest common subsequence.
func changed(a, b []string) []string {
	// longest[i][j] is the length of that of a[i:] and b[j:].
	longest := make([][]int, len(a)+1)
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	var lines []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			lines = append(lines, shown("  ", a[i]))
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && longest[i+1][j] >= longest[i][j+1]:
			lines = append(lines, shown("- ", a[i]))
			i++
		default:
			lines = append(lines, shown("+ ", b[j]))
			j++
		}
	}
	return lines
}

// shown is a line with its prefix. Only of a line that changed it matters
// whether it ends.
func shown(prefix, l string) string {
	if prefix != "  " && !strings.HasSuffix(l, "\n") {
		return prefix + shownLine(l) + " (no newline at the end)"
	}
	return prefix + shownLine(l)
}

func unchanged(lines []string) []string {
	var list []string
	for _, l := range lines {
		list = append(list, shown("  ", l))
	}
	return list
}

// more says that n equal lines are left out.
func more(n int) []string {
	if n == 0 {
		return nil
	}
	return []string{"… " + plural(n, "equal line")}
}
