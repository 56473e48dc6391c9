package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/trace"
)

// outputOptions say what is reported where.
type outputOptions struct {
	formats []string
	options []string
	quiet   bool
	verbose bool
	// artifacts is the folder that evidence is written to.
	artifacts string
}

func (o *outputOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.formats, "format", []string{"text"},
		"how to report, as `FORMAT[=FILE]`, see above; may be repeated")
	f.StringSliceVarP(&o.options, "format-options", "o", nil, "`options` of the formats, see above")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print only what did not pass")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print every result")
	f.StringVar(&o.artifacts, "artifacts", "", "write what was found of every image that fails into a folder of its own in `DIR`")
}

// formatsHelp lists the formats and their options for people.
func formatsHelp() string {
	var b strings.Builder
	b.WriteString("Formats:\n")
	for _, f := range report.Formats() {
		fmt.Fprintf(&b, "  %-14s %s\n", f.Name, f.For)
	}
	b.WriteString("\nFormat options:\n")
	for _, o := range report.FormatOptions() {
		fmt.Fprintf(&b, "  %-14s %s: %s\n", o.Name, strings.Join(o.Formats, ", "), o.For)
	}
	return b.String()
}

// formatNamed splits what --format was given: the format, and the file it is written to,
// which is empty for standard output.
func formatNamed(arg string) (format report.Format, file string, err error) {
	name, file, hasFile := strings.Cut(arg, "=")
	var names []string
	for _, f := range report.Formats() {
		if f.Name == name {
			if hasFile && file == "" {
				return f, "", usagef("--format %s: the file has no name", arg)
			}
			return f, file, nil
		}
		names = append(names, f.Name)
	}
	return format, "", unknownName("--format", name, names)
}

// unknownName is the mistake of naming what there is not.
func unknownName(flag, name string, names []string) error {
	err := usageError{err: fmt.Errorf("%s: want %s, got %q", flag, strings.Join(names, ", "), name)}
	if near := checks.Suggest(name, names); near != "" {
		err.hint = fmt.Sprintf("did you mean %q?", near)
	}
	return err
}

func (o *outputOptions) validate() error {
	var formats, toStdout, files []string
	for _, arg := range o.formats {
		f, file, err := formatNamed(arg)
		switch {
		case err != nil:
			return err
		case file == "" && f.Name != "silent":
			toStdout = append(toStdout, f.Name)
		case file != "" && slices.Contains(files, file):
			return usagef("--format %s: the file is named twice", arg)
		case file != "":
			files = append(files, file)
		}
		formats = append(formats, f.Name)
	}
	slices.Sort(toStdout)
	// GitHub looks for its commands among whatever a step prints.
	if len(toStdout) > 1 && !slices.Equal(toStdout, []string{"github", "text"}) {
		return usagef("--format: only one format fits on standard output; give the others a file, as in junit=report.xml")
	}
	if o.artifacts != "" {
		if fi, err := os.Stat(o.artifacts); err == nil && !fi.IsDir() {
			return usagef("--artifacts %s: it is not a folder", o.artifacts)
		}
	}
	if o.quiet && o.verbose {
		return usagef("--quiet and --verbose exclude each other")
	}
	return o.validateOptions(formats)
}

// validateOptions refuses an option that is unknown, or that none of the formats has.
func (o *outputOptions) validateOptions(formats []string) error {
	for _, name := range o.options {
		var names []string
		known := report.FormatOptions()
		i := slices.IndexFunc(known, func(k report.FormatOption) bool {
			names = append(names, k.Name)
			return k.Name == name
		})
		if i < 0 {
			return unknownName("--format-options", name, names)
		}
		if !slices.ContainsFunc(known[i].Formats, func(f string) bool { return slices.Contains(formats, f) }) {
			return usagef("--format-options %s: it is an option of %s", name, strings.Join(known[i].Formats, ", "))
		}
	}
	return nil
}

// outliveReaders has a write fail where nobody reads any more, as of icepak test | head,
// which else ends the program on the spot, and leaves its instances behind.
func outliveReaders() (stop func()) {
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE) // not Ignore, which commands that are run would inherit
	return func() { signal.Stop(broken) }
}

// output is the reporters of a run and the files that they write.
type output struct {
	to    report.Reporter
	trace *trace.Reporter // nil where there is none
	files []*os.File
}

// open makes the reporters. Files are opened at once, so that a name that cannot be
// written is found before anything is launched.
func (o *outputOptions) open(env *Env) (*output, error) {
	out := &output{}
	var all []report.Reporter
	used := make(map[string]bool)
	quiet := o.quiet
	for _, arg := range o.formats {
		f, file, err := formatNamed(arg)
		if err != nil {
			return nil, errors.Join(err, out.closeFiles())
		}
		reporter, err := o.reporter(env, out, f, file, !used[f.Name])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("--format %s: %w", arg, err), out.closeFiles())
		}
		used[f.Name] = true
		quiet = quiet || !f.Progress
		all = append(all, reporter)
	}
	if !used["text"] {
		// People still want to see how far a machine's report has come.
		opts := o.text(env, io.Discard)
		opts.Quiet = quiet
		all = append(all, report.NewText(io.Discard, env.Err, opts))
	}
	// The last one: what it may have to wait for at the end keeps no report waiting.
	out.trace = trace.New(env.Getenv, env.Version, func(warning string) {
		fmt.Fprintln(env.Err, "warning: "+report.Clean(warning))
	})
	if out.trace != nil {
		all = append(all, out.trace)
	}
	out.to = report.Serialize(report.Multi(all...))
	return out, nil
}

// reporter makes the reporter of a format. Only the first of a format also writes
// where all of them would: progress, and the job's summary.
func (o *outputOptions) reporter(env *Env, out *output, f report.Format, file string, first bool) (report.Reporter, error) {
	w := env.Out
	if file != "" {
		created, err := out.file(file, os.O_TRUNC)
		if err != nil {
			return nil, err
		}
		w = created
	}
	opts := report.Options{TextOptions: o.text(env, w), Progress: io.Discard}
	for _, option := range report.FormatOptions() {
		if slices.Contains(o.options, option.Name) {
			option.Set(&opts)
		}
	}
	if !first {
		return f.New(w, opts), nil
	}
	opts.Progress = env.Err
	if path := env.Getenv("GITHUB_STEP_SUMMARY"); f.Name == "github" && path != "" {
		summary, err := out.file(path, os.O_APPEND)
		if err != nil {
			return nil, fmt.Errorf("GITHUB_STEP_SUMMARY: %w", err)
		}
		opts.StepSummary = summary
	}
	return f.New(w, opts), nil
}

// file opens a file, to be closed when the run is over.
func (o *output) file(name string, flag int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|flag, 0o666)
	if err == nil {
		o.files = append(o.files, f)
	}
	return f, err
}

// text is how the text report looks: coloured and live only on a terminal.
func (o *outputOptions) text(env *Env, w io.Writer) report.TextOptions {
	opts := report.TextOptions{
		Color:    isTerminal(w) && env.Getenv("NO_COLOR") == "" && env.Getenv("TERM") != "dumb",
		Terminal: isTerminal(env.Err) && env.Getenv("TERM") != "dumb",
		ASCII:    !utf8Locale(env),
		Quiet:    o.quiet,
		Verbose:  o.verbose,
	}
	if f, ok := env.Err.(*os.File); ok && opts.Terminal {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil {
			opts.Width, opts.Height = width, height
		}
	}
	return opts
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// utf8Locale follows the C library's order: the first variable that is set decides.
func utf8Locale(env *Env) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env.Getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// emit tells the reporters of an event. One that fails says so when it is closed.
func (o *output) emit(e report.Event) { _ = o.to.Event(e) }

// close ends the reports.
func (o *output) close(sum report.Summary) error {
	return errors.Join(o.to.Close(sum), o.closeFiles())
}

// abandon ends what there is of the reports of a run that cannot begin, and returns why.
func (o *output) abandon(why error) error {
	if o.trace != nil {
		o.trace.Abandon(why)
	}
	return errors.Join(why, o.closeFiles())
}

func (o *output) closeFiles() error {
	var errs []error
	for _, f := range o.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
