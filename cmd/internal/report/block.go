package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/upmaru/icepak/checks"
)

const (
	resultLimit     = 20 // results of a check that are explained
	diagnosticLimit = 10 // lines of a piece of evidence
	verboseLimit    = 1000
	nameLimit       = 60 // characters of a check's name
)

// A block is the text of one image's results.
type block struct {
	strings.Builder
	opts  TextOptions
	style style
}

// imageBlock shows an image's results; it is empty where opts want nothing of
// them shown.
func imageBlock(r ImageResult, opts TextOptions, s style) string {
	good := !faulty(r.Verdict) && !untested(r)
	if opts.Quiet && good && r.Kept == "" {
		return ""
	}
	b := &block{opts: opts, style: s}
	head := b.style.bold.Sprint(oneLine(r.String(), lineLimit))
	if nothingLaunched(r) {
		why := oneLine(r.Reason, lineLimit)
		if why == "" {
			why = "nothing is launched"
		}
		b.line(0, head+": "+why)
		if opts.Verbose {
			b.checks(r)
		}
		return b.String()
	}
	b.line(0, head)
	b.checks(r)
	b.fault(r)
	b.causes(2, r.Causes)
	switch {
	case r.Artifacts != "":
		b.line(2, "evidence in "+oneLine(r.Artifacts, lineLimit))
	case opts.Verbose || !good && !explained(r):
		b.diagnostics(r.Diagnostics)
	}
	if !opts.Quiet {
		b.stages(r.Stages)
	}
	b.kept(r)
	return b.String()
}

// line adds a line whose text is clean.
func (b *block) line(indent int, text string) {
	b.WriteString(strings.TrimRight(strings.Repeat(" ", indent)+text, " ") + "\n")
}

// A row is what is said of a check on its first line: how many of its
// properties hold and how long it took, or why there is nothing to count.
type row struct {
	check       CheckResult
	name        string
	count, time string
	why         string
}

func newRow(c CheckResult, image ImageResult) row {
	r := row{check: c, name: oneLine(c.Name, nameLimit), why: oneLine(c.Reason, lineLimit)}
	if faulty(image.Verdict) && c.Reason == image.Reason {
		r.why = "" // the image's last line says it for all
	}
	switch {
	case c.Earlier:
		r.why = outcomeWord(c.Verdict) + " earlier"
	case c.Verdict == checks.Skip && r.why == "":
		r.why = "skipped"
	case c.Verdict == checks.Skip, c.Total == 0 && r.why != "": // why is all there is to say
	case c.Total == 0 && c.Verdict != checks.Pass:
		r.why = "not evaluated"
	default:
		r.count, r.time = fmt.Sprintf("%d of %d", c.Passed, c.Total), seconds(c.Duration)
	}
	return r
}

// checks adds the checks as aligned columns, with what is to be said of their
// results.
func (b *block) checks(image ImageResult) {
	var rows []row
	var name, count, time int
	for _, c := range image.Checks {
		if b.opts.Quiet && (c.Verdict == checks.Pass || c.Verdict == checks.Skip) {
			continue
		}
		r := newRow(c, image)
		name = max(name, utf8.RuneCountInString(r.name))
		count = max(count, len(r.count))
		time = max(time, len(r.time))
		rows = append(rows, r)
	}
	for _, r := range rows {
		rest := r.why
		if r.count != "" {
			rest = fmt.Sprintf("%*s    %*s", count, r.count, time, r.time)
			if b.opts.Verbose && r.check.Posted != "" {
				rest += "    posted " + oneLine(r.check.Posted, nameLimit)
			}
		}
		b.line(2, fmt.Sprintf("%s %-*s   %s", b.style.mark(r.check.Verdict), name, r.name, rest))
		if r.count != "" && r.why != "" {
			b.line(6, r.why)
		}
		b.causes(6, r.check.Causes)
		b.results(r.check)
	}
}

// causes says what the evidence tells of why something failed.
func (b *block) causes(indent int, list []string) {
	for _, c := range causeLines(list) {
		b.line(indent, "why  "+c)
	}
}

// results explains the results of a check that did not pass, or lists all.
func (b *block) results(c CheckResult) {
	if b.opts.Verbose && c.Title != "" {
		b.line(6, oneLine(c.Title, lineLimit))
	}
	faults := 0
	for _, r := range c.Results {
		if faulty(r.Verdict) {
			faults++
		}
		switch {
		case b.opts.Verbose:
			b.verboseResult(r)
			if text := change(c.Results, r); text != "" {
				b.line(8, text)
			}
		case faulty(r.Verdict) && faults <= resultLimit:
			b.line(6, label(r))
			b.details(r, valueLimit)
		}
	}
	if left := faults - resultLimit; left > 0 && !b.opts.Verbose {
		b.line(6, fmt.Sprintf("… %d more, shown by --verbose", left))
	}
	if faulty(c.Verdict) && faults == 0 && c.Source != "" {
		b.line(6, oneLine(c.Source, lineLimit))
	}
}

func (b *block) verboseResult(r checks.Result) {
	text := label(r)
	if r.Verdict == checks.Skip && r.Message != "" {
		text += ", " + oneLine(r.Message, lineLimit)
	}
	b.line(6, b.style.mark(r.Verdict)+" "+text)
	b.details(r, verboseLimit)
}

func (b *block) details(r checks.Result, outputLines int) {
	if !faulty(r.Verdict) {
		return
	}
	for _, l := range details(r, max(20, b.opts.Width-20), outputLines) {
		b.line(8, l)
	}
}

// fault says why the image did not pass where its checks do not.
func (b *block) fault(r ImageResult) {
	if line := faultLine(r); !faulty(r.Verdict) && line != "" {
		b.line(2, line)
	} else if line != "" {
		b.line(2, b.style.fault(r.Verdict)+strings.TrimPrefix(line, outcomeWord(r.Verdict)))
	}
}

// faultLine says in a line what an image's checks do not say of it.
func faultLine(r ImageResult) string {
	reason := oneLine(r.Reason, lineLimit)
	if !faulty(r.Verdict) || reason == "" && faultyCheck(r.Checks) {
		return reason
	}
	text := outcomeWord(r.Verdict)
	if r.Failed != "" {
		text += " while " + doing(r.Failed)
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// causeLimit bounds the causes that are shown of anything.
const causeLimit = 3

// causeLines are the causes, a line each.
func causeLines(list []string) []string {
	var lines []string
	for _, c := range list[:min(len(list), causeLimit)] {
		if c = oneLine(c, lineLimit); c != "" {
			lines = append(lines, c)
		}
	}
	return lines
}

// explained tells whether nobody has to read the logs of an image that did not pass
// first: its checks tell what is wrong with it, or causes are known.
func explained(r ImageResult) bool {
	return r.Reason == "" || len(r.Causes) > 0 || slices.ContainsFunc(r.Checks, func(c CheckResult) bool { return len(c.Causes) > 0 })
}

func (b *block) diagnostics(list []Diagnostic) {
	limit := diagnosticLimit
	if b.opts.Verbose {
		limit = verboseLimit
	}
	for _, d := range list {
		b.line(2, oneLine(d.Name, lineLimit))
		lines := splitLines(d.Text)
		if len(lines) == 0 {
			lines = []string{"(empty)"}
		}
		for _, l := range lastLines(lines, limit) {
			b.line(4, l)
		}
	}
}

func (b *block) stages(list []StageTime) {
	var parts []string
	for _, s := range list {
		parts = append(parts, oneLine(string(s.Stage), nameLimit)+" "+seconds(s.Duration))
	}
	if len(parts) > 0 {
		b.line(2, strings.Join(parts, ", "))
	}
}

// kept tells how to get at an instance that was left running.
func (b *block) kept(r ImageResult) {
	if r.Kept == "" {
		return
	}
	name := oneLine(r.Kept, lineLimit)
	b.line(2, "kept "+name)
	if r.Run != "" {
		command := "icepak shell " + oneLine(r.Run, nameLimit)
		if r.Remote != "" {
			command += " --remote " + oneLine(r.Remote, nameLimit)
		}
		b.line(4, "shell   "+command)
	}
	client, remote := ClientOf(r.Remote)
	if remote != "" {
		name = oneLine(remote, lineLimit) + ":" + name
	}
	b.line(4, "enter   "+client+" exec "+name+" -- sh")
	b.line(4, "delete  "+client+" delete --force "+name)
}

// ClientOf returns the client that knows a remote, lxc or incus, and its name there.
func ClientOf(remote string) (client, name string) {
	if name, ok := strings.CutPrefix(remote, "incus:"); ok {
		return "incus", name
	}
	return "lxc", strings.TrimPrefix(remote, "lxc:")
}

// faulty tells whether a verdict is one to be explained. One that is not known
// is.
func faulty(v checks.Verdict) bool { return v != checks.Pass && v != checks.Skip }

// untested tells whether nothing was found out about an image that has checks. A
// run with such an image is not good, so that one is told of in any case.
func untested(r ImageResult) bool { return r.Verdict == checks.Skip && len(r.Checks) > 0 }

func faultyCheck(list []CheckResult) bool {
	for _, c := range list {
		if faulty(c.Verdict) {
			return true
		}
	}
	return false
}
