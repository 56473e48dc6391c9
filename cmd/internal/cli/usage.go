package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/checks"
)

// A usageError is a mistake on the command line.
type usageError struct {
	err  error
	hint string
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usagef makes a usageError without a hint.
func usagef(format string, args ...any) error { return usageError{err: fmt.Errorf(format, args...)} }

// showHelp is what a command that only holds others does.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// noSuchCommand is the Args of a command that only holds others.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := seeHelp(cmd)
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %q?", near[0])
	}
	return usageError{err: fmt.Errorf("unknown command %q of %s", args[0], cmd.CommandPath()), hint: hint}
}

func seeHelp(cmd *cobra.Command) string { return "see " + cmd.CommandPath() + " --help" }

// usage has a positional-argument rule say which arguments the command takes.
func usage(rule cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if rule(cmd, args) == nil {
			return nil
		}
		takes := "no arguments"
		if _, list, ok := strings.Cut(cmd.Use, " "); ok {
			takes = list
		}
		got := "none"
		if len(args) > 0 {
			got = fmt.Sprintf("%q", args)
		}
		return usageError{err: fmt.Errorf("%s takes %s, got %s", strings.TrimPrefix(cmd.CommandPath(), "icepak "), takes, got), hint: seeHelp(cmd)}
	}
}

// flagMistake says what is wrong with a flag in other words than those of the parser,
// which are of numbers' sizes in bits.
func flagMistake(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := checks.Suggest(unknown.GetSpecifiedName(), names); near != "" {
			return usageError{err: err, hint: fmt.Sprintf("did you mean --%s?", near)}
		}
	case errors.As(err, &invalid):
		want := map[string]string{"int": "a whole number", "duration": "a time such as 90s or 15m", "bool": "true or false"}
		if kind, ok := want[invalid.GetFlag().Value.Type()]; ok {
			return usagef("--%s: want %s, got %q", invalid.GetFlag().Name, kind, invalid.GetValue())
		}
	}
	return usageError{err: err, hint: seeHelp(cmd)}
}

// refuseUnknown has the help and completion commands, which are cobra's, refuse names that
// they do not know instead of telling of something else.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			cmd.Args, cmd.RunE = noSuchCommand, showHelp
		case "help":
			cmd.Run, cmd.RunE = nil, func(_ *cobra.Command, args []string) error {
				of, left, err := root.Find(args)
				if err == nil && of.HasSubCommands() {
					err = noSuchCommand(of, left)
				}
				if err != nil {
					return err
				}
				return of.Help()
			}
		}
	}
}
