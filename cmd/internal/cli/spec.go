package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/spec"
)

// specOptions say which spec is used and what its templates see.
type specOptions struct {
	file   string
	vars   []string
	inline string
	set    []string
}

func (o *specOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.file, "spec", "", "the spec `file` (default: the product's in ./images, or else the built-in one)")
	o.varFlags(f)
}

func (o *specOptions) varFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.vars, "vars", nil, "a YAML or JSON `file` of variables, over the spec's own; may be repeated, and is merged")
	f.StringVar(&o.inline, "vars-inline", "", "more variables, over those of files, as `YAML`: '{host: www.example.com}'")
	f.StringArrayVar(&o.set, "set", nil, "a variable, `name=value`, over all others; may be repeated")
}

// options reads the variables.
func (o *specOptions) options(env *Env) (spec.Options, error) {
	opts := spec.Options{Vars: map[string]any{}, Env: map[string]string{}}
	for _, file := range o.vars {
		data, err := os.ReadFile(file)
		if err != nil {
			return opts, usageError{err: fmt.Errorf("--vars: %w", err)}
		}
		if err := addVars(&opts, file, data); err != nil {
			return opts, err
		}
	}
	if err := addVars(&opts, "--vars-inline", []byte(o.inline)); err != nil {
		return opts, err
	}
	for _, pair := range o.set {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return opts, usagef("--set: want name=value, got %q", pair)
		}
		opts.Vars[name] = value
	}
	for _, pair := range env.Environ() {
		if name, value, ok := strings.Cut(pair, "="); ok {
			opts.Env[name] = value
		}
	}
	return opts, nil
}

func addVars(opts *spec.Options, name string, data []byte) error {
	vars, err := spec.ParseVars(name, data)
	if err != nil {
		return err
	}
	opts.Vars = spec.MergeVars(opts.Vars, vars)
	return nil
}

func newSpecCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spec",
		Short: "Check and print specs, and their schema",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newSpecValidateCommand(env), newSpecRenderCommand(env), newSpecSchemaCommand(env))
	return cmd
}

func newSpecValidateCommand(env *Env) *cobra.Command {
	var opts specOptions
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Report every mistake in specs",
		Long: `Read the specs as icepak test does and report every mistake in them, one a
line: file:line:col: what. A file with templates is rendered first; positions are
then those of what icepak spec render prints.`,
		Example: "  icepak spec validate images/*.yaml",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, files []string) error {
			return runSpecValidate(env, opts, files)
		},
	}
	opts.varFlags(cmd.Flags())
	return cmd
}

func runSpecValidate(env *Env, opts specOptions, files []string) error {
	vars, err := opts.options(env)
	if err != nil {
		return err
	}
	bad := false
	for _, file := range files {
		s, err := spec.Load(file, vars)
		if err != nil {
			bad = true
			fmt.Fprintln(env.Err, err)
			continue
		}
		resources := 0
		for _, c := range s.Checks {
			resources += len(c.Items)
		}
		fmt.Fprintf(env.Out, "%s: ok, %s, %s\n", file, count(len(s.Checks), "check"), count(resources, "resource"))
	}
	if bad {
		return exitError(exitUsage)
	}
	return nil
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func newSpecRenderCommand(env *Env) *cobra.Command {
	var opts specOptions
	cmd := &cobra.Command{
		Use:     "render FILE",
		Short:   "Print a spec with its templates carried out",
		Example: "  icepak spec render examples/templates.yaml --set host=www.example.org",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			vars, err := opts.options(env)
			if err != nil {
				return err
			}
			text, err := spec.Render(args[0], vars)
			if err != nil {
				return specError(err)
			}
			_, err = env.Out.Write(text)
			return err
		},
	}
	opts.varFlags(cmd.Flags())
	return cmd
}

func newSpecSchemaCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of specs",
		Long: `Print the JSON Schema (draft 2020-12) of specs and goss files. An editor with a YAML
language server completes and checks a spec whose first line names it:

  # yaml-language-server: $schema=icepak.schema.json

It is for typing; icepak spec validate says all that is wrong.`,
		Example: "  icepak spec schema > icepak.schema.json",
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			data, err := spec.Schema()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.Out, "%s\n", data)
			return err
		},
	}
}
