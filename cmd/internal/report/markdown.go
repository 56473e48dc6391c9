package report

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/upmaru/icepak/checks"
)

// markdownLimit lets a report be a comment on GitHub, which has at most 65,536
// characters.
const markdownLimit = 60_000

// NewMarkdown returns a Reporter that writes Markdown, as GitHub and GitLab have
// it, to w when the run is over. All text that is not ours stands in code, where
// it is no markup, no link, and calls nobody.
func NewMarkdown(w io.Writer) Reporter { return textDocument(w, "Markdown", markdownReport) }

// A markdown text grows by whole parts, as long as they fit.
type markdown struct {
	strings.Builder
	full bool
}

func (m *markdown) add(part string) {
	if m.full = m.full || m.Len()+len(part) > markdownLimit; !m.full {
		m.WriteString(part)
	}
}

func markdownReport(s Summary) string {
	m := new(markdown)
	m.add(fmt.Sprintf("## %s icepak: %s\n\n%s\n", markdownMark(s.Verdict), runWord(s), numbers(s)))
	for _, p := range promotions(s) {
		if !p.done && !p.told {
			m.add("\nnot promoted: " + code(p.version) + ": " + code(strings.TrimPrefix(p.why, notPromotedPrefix)) + "\n")
		}
	}
	if len(s.Warnings) > 0 {
		m.add("\n")
	}
	for _, w := range s.Warnings {
		m.add("- warning: " + code(w) + "\n")
	}
	if len(s.Images) > 1 {
		m.overview(s.Images)
	}
	for _, image := range s.Images {
		if m.full {
			break
		}
		if len(s.Images) == 1 || faulty(image.Verdict) || untested(image) {
			m.image(image)
		}
	}
	text := m.String()
	if m.full {
		text += "\nThere is more than fits here; the other formats have it all.\n"
	}
	return text
}

// overview is a table of the images.
func (m *markdown) overview(images []ImageResult) {
	m.add("\n| | image | checks | time |\n| --- | --- | --- | --- |\n")
	for _, image := range images {
		var c Count
		for _, check := range image.Checks {
			c.add(check.Verdict, check.Earlier)
		}
		m.add(fmt.Sprintf("| %s | %s | %s | %s |\n", markdownMark(image.Verdict), cell(image.String()),
			strings.Join(c.words(), ", "), seconds(image.duration())))
	}
}

// image is a section about one image: its checks, and what did not pass.
func (m *markdown) image(r ImageResult) {
	m.add("\n### " + markdownMark(r.Verdict) + " " + code(r.String()) + "\n")
	if why := faultLine(r); why != "" {
		m.add("\n" + code(why) + "\n")
	}
	m.causes(r.Causes)
	if len(r.Checks) > 0 {
		m.add("\n| | check | results | time |\n| --- | --- | --- | --- |\n")
	}
	for _, c := range r.Checks {
		row := newRow(c, r)
		results := row.count
		if row.why != "" {
			results = strings.TrimSpace(results + " " + cell(row.why))
		}
		m.add(fmt.Sprintf("| %s | %s | %s | %s |\n", markdownMark(c.Verdict), cell(row.name), results, row.time))
	}
	for _, c := range r.Checks {
		text := failures(c, resultLimit, valueLimit)
		if text == "" && len(c.Causes) == 0 {
			continue
		}
		m.add("\n#### " + markdownMark(c.Verdict) + " " + code(c.Name) + "\n")
		m.causes(c.Causes)
		if text != "" {
			m.add("\n" + fenced(text))
		}
	}
	if r.Artifacts != "" {
		m.add("\nevidence in " + code(r.Artifacts) + "\n")
	} else if !explained(r) {
		m.diagnostics(r.Diagnostics)
	}
	if r.Kept != "" {
		m.add("\nkept: " + code(r.Kept) + "\n")
	}
}

// causes is a list of what the evidence says of why something failed.
func (m *markdown) causes(list []string) {
	for i, c := range causeLines(list) {
		if i == 0 {
			m.add("\n")
		}
		m.add("- why: " + code(c) + "\n")
	}
}

func (m *markdown) diagnostics(list []Diagnostic) {
	for _, d := range list {
		if lines := lastLines(splitLines(d.Text), diagnosticLimit); len(lines) > 0 {
			m.add("\n" + code(d.Name) + "\n\n" + fenced(strings.Join(lines, "\n")))
		}
	}
}

func markdownMark(v checks.Verdict) string {
	switch known(v) {
	case checks.Pass:
		return "✅"
	case checks.Fail:
		return "❌"
	case checks.Skip:
		return "➖"
	}
	return "❗"
}

var backticks = regexp.MustCompile("`+")

// fence is as many backticks, at least n, as are nowhere in a row in s.
func fence(s string, n int) string {
	for _, run := range backticks.FindAllString(s, -1) {
		n = max(n, len(run)+1)
	}
	return strings.Repeat("`", n)
}

// code is a text as a code span.
func code(s string) string {
	s = oneLine(s, lineLimit)
	if s == "" {
		return ""
	}
	f := fence(s, 1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " " // which is not shown
	}
	return f + s + f
}

// cell is a text as a code span in a table, whose cells a bar would end, even one
// in code.
func cell(s string) string { return code(strings.ReplaceAll(s, "|", "¦")) }

// fenced is a text as a code block.
func fenced(s string) string {
	s = strings.Trim(s, "\n")
	f := fence(s, 3)
	return f + "text\n" + s + "\n" + f + "\n"
}
