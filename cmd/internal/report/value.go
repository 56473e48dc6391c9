package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/upmaru/icepak/checks"
)

// What is shown of one result is bounded, whatever it holds. The JSON report
// has more.
const (
	lineLimit  = 300 // characters of one line
	valueLimit = 20  // lines of a value, a difference or an output
)

// label names a result: package nginx: installed.
func label(r checks.Result) string {
	s := r.Type
	if r.ID != "" {
		s += " " + r.ID
	}
	if r.Property != "" {
		s += ": " + r.Property
	}
	if r.Title != "" {
		s += " (" + r.Title + ")"
	}
	if when := knownMoment(r.When); when != "" {
		s += ", " + string(when)
	}
	if r.Verdict == checks.Error {
		s += ": could not be found out"
	}
	return oneLine(s, lineLimit)
}

// knownMoment is the moment where it is one: results come from guests.
func knownMoment(m checks.Moment) checks.Moment {
	switch m {
	case checks.BeforeBoot, checks.AfterReboot:
		return m
	}
	return ""
}

func indent(lines []string) []string {
	indented := make([]string, len(lines))
	for i, l := range lines {
		indented[i] = "  " + l
	}
	return indented
}

// firstLines returns at most limit of the lines, the last of which then says
// how many are left out.
func firstLines(lines []string, limit int) []string {
	if len(lines) <= limit {
		return lines
	}
	return append(slices.Clone(lines[:limit-1]), fmt.Sprintf("… %d more lines", len(lines)-limit+1))
}

// lastLines is firstLines from the other end: what a command says last is
// mostly why it failed.
func lastLines(lines []string, limit int) []string {
	if len(lines) <= limit {
		return lines
	}
	left := len(lines) - limit + 1
	return append([]string{fmt.Sprintf("… %d lines before", left)}, lines[left:]...)
}

// outerLines returns at most about limit of the lines, of both ends.
func outerLines(lines []string, limit int) []string {
	if len(lines) <= limit {
		return lines
	}
	return append(firstLines(lines[:len(lines)-limit/2], limit/2), lines[len(lines)-limit/2:]...)
}

// valueLines shows a value as a spec would have it: on one line where it is
// short, and else an item, a key or a text's line on each.
func valueLines(v any, width int) []string {
	v = plain(v)
	if s, ok := v.(string); ok && multiline(s) {
		var lines []string
		for l := range strings.Lines(s) {
			lines = append(lines, shownLine(l))
		}
		return firstLines(lines, valueLimit)
	}
	flow := inline(v)
	if len(flow) <= width {
		return []string{flow}
	}
	var lines []string
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			lines = append(lines, cut("- "+inline(item), lineLimit))
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			lines = append(lines, cut(inline(k)+": "+inline(v[k]), lineLimit))
		}
	default:
		lines = []string{cut(flow, lineLimit)}
	}
	return firstLines(lines, valueLimit)
}

// plain returns v made of nil, bool, json.Number, string, []any and
// map[string]any only.
func plain(v any) any {
	if s, ok := v.(string); ok {
		return s
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var p any
	if err := d.Decode(&p); err != nil {
		return fmt.Sprint(v)
	}
	return p
}

// inline writes a plain value as YAML's flow style does.
func inline(v any) string {
	var b strings.Builder
	writeInline(&b, v)
	return b.String()
}

func writeInline(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case string:
		b.WriteString(scalar(v))
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeInline(b, item)
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(scalar(k) + ": ")
			writeInline(b, v[k])
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, v)
	}
}

// scalar quotes a string that would not be seen for what it is: an empty one, one
// that looks like a number or true, one with spaces at its ends or with
// characters that do not print.
func scalar(s string) string {
	_, err := strconv.ParseFloat(s, 64)
	if err == nil || s == "" || s == "true" || s == "false" || s == "null" || odd(s) {
		return strconv.Quote(s)
	}
	return s
}

// multiline tells whether s has more than one line.
func multiline(s string) bool { return strings.Contains(strings.TrimSuffix(s, "\n"), "\n") }

// odd tells whether s has spaces at its ends or characters that do not print.
func odd(s string) bool {
	return s != strings.TrimSpace(s) || strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) || r == unicode.ReplacementChar
	})
}
