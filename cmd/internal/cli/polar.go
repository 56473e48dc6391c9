package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/report"
)

func newPolarCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "polar",
		Short: "Run an image server of your own",
		Long: `Run a small Polar: an image server with testing and active channels, which keeps
all it has in one folder. The other commands manage that folder on the same
machine, whether the server runs or not.

The folder is --data, else $ICEPAK_POLAR_DATA, else icepak/polar in the user's
data folder.`,
		Example: `  icepak polar password --generate
  icepak polar version import build/ --product debian:bookworm:amd64:default \
      --serial 20261122-01 --create-product --test
  icepak polar space add --channel testing --type lxd --url http://127.0.0.1:8080
  icepak polar serve`,
		Args: noSuchCommand,
		RunE: showHelp,
	}
	cmd.AddCommand(
		newPolarServeCommand(env),
		newPolarPasswordCommand(env),
		newPolarProductCommand(env),
		newPolarVersionCommand(env),
		newPolarSpaceCommand(env),
		newPolarCheckCommand(env),
		newPolarClusterCommand(env),
		newPolarPruneCommand(env),
		newPolarGCCommand(env),
	)
	return cmd
}

// dataOptions say where Polar's data folder is.
type dataOptions struct {
	dir string
}

func (o *dataOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.dir, "data", "", "Polar's data `folder` (default: see icepak polar --help)")
}

func (o dataOptions) folder(env *Env) (string, error) {
	if o.dir != "" {
		return o.dir, nil
	}
	if dir := env.Getenv("ICEPAK_POLAR_DATA"); dir != "" {
		return dir, nil
	}
	if dir := env.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "icepak", "polar"), nil
	}
	if home := env.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "share", "icepak", "polar"), nil
	}
	return "", usageError{err: errors.New("no data folder: neither HOME nor XDG_DATA_HOME is set"), hint: "name one with --data"}
}

// use opens the store for f, and closes it.
func (o dataOptions) use(ctx context.Context, env *Env, f func(*polarstore.Store) error) (err error) {
	dir, err := o.folder(env)
	if err != nil {
		return err
	}
	store, err := polarstore.Open(ctx, dir, polarstore.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return polarMistake(f(store))
}

// polarMistake makes a usage error of what the store refuses because of what it
// was asked for.
func polarMistake(err error) error {
	var missing *polarstore.NotFoundError
	var refused *polarstore.RefusedError
	var invalid polarstore.InvalidError
	switch {
	case errors.As(err, &missing):
		return usageError{err: err, hint: fmt.Sprintf("icepak polar %s list shows what there is", missing.What)}
	case errors.As(err, &refused), errors.As(err, &invalid):
		return usageError{err: err}
	}
	return err
}

// listOptions say how a list is printed.
type listOptions struct {
	data   dataOptions
	format string
}

func (o *listOptions) flags(f *pflag.FlagSet) {
	o.data.flags(f)
	f.StringVar(&o.format, "format", "text", "how to print: text or json")
}

func (o listOptions) validate() error {
	if o.format != "text" && o.format != "json" {
		return usagef("--format: want text or json, got %q", o.format)
	}
	return nil
}

// A printer prints itself for people.
type printer interface{ print(io.Writer) error }

// show prints what find found, as JSON or for people.
func (o listOptions) show(ctx context.Context, env *Env, find func(*polarstore.Store) (any, printer, error)) error {
	if err := o.validate(); err != nil {
		return err
	}
	return o.data.use(ctx, env, func(store *polarstore.Store) error {
		found, text, err := find(store)
		if err != nil {
			return err
		}
		if o.format == "json" {
			return printJSON(env.Out, found)
		}
		return text.print(env.Out)
	})
}

// newListCommand returns the command that prints what there is of a thing.
func newListCommand(env *Env, use, short, example string, rule cobra.PositionalArgs,
	list func(ctx context.Context, store *polarstore.Store, args []string) (any, table, error)) *cobra.Command {
	var opts listOptions
	cmd := &cobra.Command{
		Use:     use,
		Short:   short,
		Example: example,
		Args:    usage(rule),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir := opts.data.dir; dir != "" { // there is nothing to list in one that would be made
				if _, err := os.Stat(dir); err != nil {
					return usageError{err: fmt.Errorf("--data: %w", err)}
				}
			}
			return opts.show(cmd.Context(), env, func(store *polarstore.Store) (any, printer, error) {
				return list(cmd.Context(), store, args)
			})
		},
	}
	opts.flags(cmd.Flags())
	return cmd
}

// A table is rows of cells, the first of which are the columns' names.
type table [][]any

func (t *table) add(cells ...any) { *t = append(*t, cells) }

func (t table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range t {
		var cells []string
		for _, cell := range row {
			// Comments and what publishers named may have lines and escapes.
			cells = append(cells, strings.Join(strings.Fields(report.Clean(fmt.Sprint(cell))), " "))
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// warnTo prints warnings of commands that have no report.
func warnTo(env *Env) func(string, ...any) {
	return func(format string, args ...any) {
		fmt.Fprintln(env.Err, "warning: "+report.Clean(fmt.Sprintf(format, args...)))
	}
}
