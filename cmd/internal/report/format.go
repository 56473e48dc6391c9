package report

import "io"

// A Format is a way to report a run.
type Format struct {
	Name string
	For  string // what it is for, in a few words
	// Progress tells whether people see on standard error how far the run is.
	Progress bool
	// New returns a Reporter that writes the format to w.
	New func(w io.Writer, o Options) Reporter
}

// Formats returns every format, in the order in which people are told of them.
// A new one is one line here and one file.
func Formats() []Format {
	return []Format{
		{"text", "for people, while the run goes on", true,
			func(w io.Writer, o Options) Reporter { return NewText(w, o.Progress, o.TextOptions) }},
		{"documentation", "for people: every result in a line, then what did not pass", true,
			func(w io.Writer, o Options) Reporter { return NewDocumentation(w, o.TextOptions) }},
		{"rspecish", "for people: a sign a result, then what did not pass", true,
			func(w io.Writer, o Options) Reporter { return NewRspecish(w, o.TextOptions) }},
		{"markdown", "for a comment or a wiki: short enough for a comment", true,
			func(w io.Writer, _ Options) Reporter { return NewMarkdown(w) }},
		{"html", "for people: one page that needs nothing else", true,
			func(w io.Writer, _ Options) Reporter { return NewHTML(w) }},
		{"json", "for programs: all there is to know", true,
			func(w io.Writer, _ Options) Reporter { return NewJSON(w) }},
		{"jsonl", "for programs, while the run goes on: an event a line", true,
			func(w io.Writer, o Options) Reporter { return NewJSONLines(w, o.Now) }},
		{"goss-json", "for programs that read goss's JSON", true,
			func(w io.Writer, o Options) Reporter { return NewGossJSON(w, o.Pretty) }},
		{"junit", "for CI systems: JUnit XML", true,
			func(w io.Writer, _ Options) Reporter { return NewJUnit(w) }},
		{"github", "for GitHub Actions: annotations, and a job summary", true,
			func(w io.Writer, o Options) Reporter { return NewGitHub(w, o.StepSummary) }},
		{"tap", "for test harnesses: TAP 13 with YAML diagnostics", true,
			func(w io.Writer, _ Options) Reporter { return NewTAP(w) }},
		{"nagios", "for monitoring: one line as of a Nagios plugin", true,
			func(w io.Writer, o Options) Reporter { return NewNagios(w, o) }},
		{"prometheus", "for monitoring: metrics in the text format", true,
			func(w io.Writer, o Options) Reporter { return NewPrometheus(w, o.Verbose) }},
		{"silent", "nothing but the exit code; warnings on standard error", false,
			func(io.Writer, Options) Reporter { return NewSilent() }},
	}
}

// Options are what the formats need besides a place to write to.
type Options struct {
	TextOptions
	Progress    io.Writer // where text shows what is being worked on
	StepSummary io.Writer // where github appends its job summary; nil where there is no place for it
	PerfData    bool
	Pretty      bool
}

// A FormatOption is one of goss's options of its formats.
type FormatOption struct {
	Name    string
	For     string
	Formats []string // those that have it
	Set     func(*Options)
}

// FormatOptions returns every option.
func FormatOptions() []FormatOption {
	return []FormatOption{
		{"perfdata", "performance data behind the line", []string{"nagios"}, func(o *Options) { o.PerfData = true }},
		{"pretty", "indented", []string{"goss-json"}, func(o *Options) { o.Pretty = true }},
		{"verbose", "every result, as --verbose", []string{"text", "nagios", "prometheus"}, func(o *Options) { o.Verbose = true }},
	}
}
