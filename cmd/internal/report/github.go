package report

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// NewGitHub returns a Reporter that writes to w, when the run is over, a GitHub
// workflow command for each result that did not pass, which GitHub shows as an
// annotation, and to summary the run as Markdown, unless summary is nil.
func NewGitHub(w, summary io.Writer) Reporter {
	annotations := &document{w, "GitHub", func(s Summary) ([]byte, error) { return []byte(annotations(s)), nil }}
	if summary == nil {
		return annotations
	}
	return Multi(annotations, NewMarkdown(summary))
}

func annotations(s Summary) string {
	var b strings.Builder
	for _, f := range findings(s) {
		if faulty(f.Verdict) {
			b.WriteString(annotation(f))
		}
	}
	for _, w := range s.Warnings {
		b.WriteString("::warning title=icepak::" + commandText(oneLine(w, lineLimit)) + "\n")
	}
	return b.String()
}

// annotation is the workflow command of a finding.
func annotation(f finding) string {
	var properties string
	if file, line, ok := place(f.Source); ok {
		properties = fmt.Sprintf("file=%s,line=%s,", commandProperty(file), line)
	}
	text := f.String()
	if lines := details(f.Result, 60, valueLimit); len(lines) > 0 {
		text += "\n" + strings.Join(lines, "\n")
	}
	text += strings.TrimRight(whyText(f.causes()), "\n")
	return fmt.Sprintf("::error %stitle=%s::%s\n", properties, commandProperty(f.where()), commandText(text))
}

var sourcePlace = regexp.MustCompile(`^(.+):(\d+):\d+$`)

// place splits file:line:col.
func place(source string) (file, line string, ok bool) {
	m := sourcePlace.FindStringSubmatch(oneLine(source, lineLimit))
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

var (
	commandEscape  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscape = strings.NewReplacer(":", "%3A", ",", "%2C")
)

// commandText is a text as the data of a workflow command: on one line, and
// without anything that the runner would take for more than text.
func commandText(s string) string { return commandEscape.Replace(Clean(s)) }

// commandProperty is a text as the value of a property.
func commandProperty(s string) string { return propertyEscape.Replace(commandText(s)) }
