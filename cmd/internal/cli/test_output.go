package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/upmaru/icepak/cmd/internal/report"
)

// outputOptions say what is reported where.
type outputOptions struct {
	formats []string
	quiet   bool
	verbose bool
}

var formatNames = []string{"text", "json", "junit"}

func (o *outputOptions) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.formats, "format", []string{"text"},
		"how to report, as `FORMAT[=FILE]`: text, json, junit; may be repeated")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print only what did not pass")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print every result")
}

func (o *outputOptions) validate() error {
	toStdout := 0
	for _, f := range o.formats {
		name, file, hasFile := strings.Cut(f, "=")
		switch {
		case !slices.Contains(formatNames, name):
			return usagef("--format: want %s, got %q", strings.Join(formatNames, ", "), name)
		case hasFile && file == "":
			return usagef("--format %s: the file has no name", f)
		case !hasFile:
			toStdout++
		}
	}
	if toStdout > 1 {
		return usagef("--format: only one format fits on standard output; give the others a file, as in junit=report.xml")
	}
	if o.quiet && o.verbose {
		return usagef("--quiet and --verbose exclude each other")
	}
	return nil
}

// output is the reporters of a run and the files that they write.
type output struct {
	to    report.Reporter
	files []*os.File
}

// open makes the reporters. Files are made at once, so that a name that cannot be
// written is found before anything is launched.
func (o *outputOptions) open(env *Env) (*output, error) {
	out := &output{}
	var all []report.Reporter
	progress := false
	for _, f := range o.formats {
		name, file, _ := strings.Cut(f, "=")
		w := env.Out
		if file != "" {
			created, err := os.Create(file)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("--format %s: %w", f, err), out.closeFiles())
			}
			out.files = append(out.files, created)
			w = created
		}
		progress = progress || name == "text"
		all = append(all, o.reporter(env, name, w))
	}
	if !progress {
		// People still want to see how far a machine's report has come.
		all = append(all, report.NewText(io.Discard, env.Err, o.text(env, io.Discard)))
	}
	out.to = report.Serialize(report.Multi(all...))
	return out, nil
}

func (o *outputOptions) reporter(env *Env, name string, w io.Writer) report.Reporter {
	switch name {
	case "json":
		return report.NewJSON(w)
	case "junit":
		return report.NewJUnit(w)
	}
	return report.NewText(w, env.Err, o.text(env, w))
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
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			opts.Width = width
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

func (o *output) closeFiles() error {
	var errs []error
	for _, f := range o.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
