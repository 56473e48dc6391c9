// Package manual writes the manual pages of a command line out of the help of its
// commands. Their texts are laid out for a terminal: a paragraph may be filled anew,
// an indented block is a table or an example and stays as it is.
package manual

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A Release is what pages say of the program at their foot.
type Release struct {
	Version string
	Date    time.Time
}

// Pages returns the page of the command and of each below it that help shows, by the
// name of its file: icepak-polar-serve.1.
func Pages(cmd *cobra.Command, release Release) map[string][]byte {
	pages := map[string][]byte{name(cmd) + ".1": page(cmd, release)}
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		for file, text := range Pages(c, release) {
			pages[file] = text
		}
	}
	return pages
}

func name(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

func page(cmd *cobra.Command, release Release) []byte {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %s 1 %s \"%s %s\" \"User Commands\"\n", escape(strings.ToUpper(name(cmd))),
		release.Date.UTC().Format(time.DateOnly), cmd.Root().Name(), escape(release.Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", escape(name(cmd)), escape(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.nf\n%s\n.fi\n", escape(cmd.UseLine()))
	b.WriteString(".SH DESCRIPTION\n")
	text(&b, describe(cmd))
	commands(&b, cmd)
	options(&b, cmd)
	if cmd.Example != "" {
		b.WriteString(".SH EXAMPLES\n")
		text(&b, cmd.Example)
	}
	seeAlso(&b, cmd)
	return b.Bytes()
}

func describe(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

func commands(b *bytes.Buffer, cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	b.WriteString(".SH COMMANDS\n")
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(b, ".TP\n\\fB%s\\fR(1)\n%s\n", escape(name(c)), escape(c.Short))
		}
	}
}

func options(b *bytes.Buffer, cmd *cobra.Command) {
	b.WriteString(".SH OPTIONS\n")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(b, "\\fB%s\\fR, ", escape("-"+f.Shorthand))
		}
		value, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(b, "\\fB%s\\fR", escape("--"+f.Name))
		if value != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", escape(value))
		}
		fmt.Fprintf(b, "\n%s%s\n", escape(usage), escape(byDefault(f)))
	})
}

// byDefault tells a flag's default, if it has one that says something.
func byDefault(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
		return ""
	}
	return " (default " + f.DefValue + ")"
}

func seeAlso(b *bytes.Buffer, cmd *cobra.Command) {
	var pages []string
	if cmd.HasParent() {
		pages = append(pages, name(cmd.Parent()))
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			pages = append(pages, name(c))
		}
	}
	if len(pages) == 0 {
		return
	}
	b.WriteString(".SH SEE ALSO\n")
	for i, p := range pages {
		pages[i] = fmt.Sprintf(".BR %s (1)", escape(p))
	}
	b.WriteString(strings.Join(pages, " ,\n") + "\n")
}
