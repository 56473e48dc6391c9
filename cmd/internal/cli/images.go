package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/spec"
)

func newImagesCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "Show which images there are specs for",
		Args:  noSuchCommand,
		RunE:  showHelp,
	}
	cmd.AddCommand(newImagesListCommand(env), newImagesShowCommand(env))
	return cmd
}

func newImagesListCommand(env *Env) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the distributions that there are specs for, with what those check",
		Long: `List the specs that icepak test uses by itself: those in the folder images of the
working directory, which say which images they are for, and the built-in ones. For an
image that both are for, the one in the folder counts. Releases and variants may be
patterns. A release that is not listed needs a spec of yours.`,
		Example: "  icepak images list",
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			return runImagesList(env, format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "how to print: text or json")
	return cmd
}

// listedSpec is one that icepak uses by itself.
type listedSpec struct {
	Distribution []string `json:"distribution"`
	Releases     []string `json:"releases"` // patterns; none means all
	Arch         []string `json:"architectures,omitempty"`
	Variants     []string `json:"variants"`
	Checks       []string `json:"checks"`
	Spec         string   `json:"spec"`
}

func runImagesList(env *Env, format string) error {
	if format != "text" && format != "json" {
		return usagef("--format: want text or json, got %q", format)
	}
	all, err := usedSpecs(spec.Options{})
	if err != nil {
		return err
	}
	t := table{{"DISTRIBUTION", "RELEASES", "VARIANTS", "CHECKS", "SPEC"}}
	listed := []listedSpec{}
	for _, s := range all {
		l := listedSpec{
			Distribution: s.Image.OS, Releases: append([]string{}, s.Image.Release...), Arch: s.Image.Arch,
			Variants: append([]string{}, s.Image.Variant...), Spec: s.Path,
		}
		for _, c := range s.Checks {
			l.Checks = append(l.Checks, c.Name)
		}
		listed = append(listed, l)
		t.add(orAll(l.Distribution), orAll(l.Releases), orAll(l.Variants), strings.Join(l.Checks, " "), l.Spec)
	}
	if format == "json" {
		return printJSON(env.Out, listed)
	}
	return t.print(env.Out)
}

func orAll(globs []string) string {
	if len(globs) == 0 {
		return "all"
	}
	return strings.Join(globs, " ")
}

// usedSpecs are those that icepak uses by itself, those that count first.
func usedSpecs(opts spec.Options) ([]*spec.Spec, error) {
	own, err := ownSpecs(opts)
	if err != nil {
		return nil, specError(err)
	}
	builtin, err := builtinSpecs(opts)
	return append(own, builtin...), err
}

// imagesShowOptions are the flags of icepak images show.
type imagesShowOptions struct {
	spec   specOptions
	render bool
}

func newImagesShowCommand(env *Env) *cobra.Command {
	var opts imagesShowOptions
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Print the spec that an image is tested with",
		Long: `Print the spec of a distribution or of a product, os:release:arch:variant, with the
files that it includes. Each file begins with a line that names it. With --render its
templates are carried out, for a product with what they make of that.

To test with another spec, write what differs into a file in the folder images, or name
one with --spec.`,
		Example: `  icepak images show debian
  icepak images show debian:bookworm:amd64:cloud --render --set patience=1m`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			return runImagesShow(env, opts, args[0])
		},
	}
	f := cmd.Flags()
	opts.spec.varFlags(f)
	f.BoolVar(&opts.render, "render", false, "carry out the templates")
	return cmd
}

func runImagesShow(env *Env, opts imagesShowOptions, name string) error {
	s, err := opts.find(env, name)
	if err != nil {
		return err
	}
	shown := make(map[string]bool)
	for _, f := range s.Files {
		if shown[f.Name] {
			continue // it is included twice
		}
		text := f.Text
		if opts.render {
			text = f.Rendered
		}
		if len(shown) > 0 {
			fmt.Fprintln(env.Out)
		}
		shown[f.Name] = true
		if _, err := fmt.Fprintf(env.Out, "# %s\n%s\n", f.Name, strings.TrimRight(text, "\n")); err != nil {
			return err
		}
	}
	return nil
}

// find returns the spec of a distribution or a product.
func (o *imagesShowOptions) find(env *Env, name string) (*spec.Spec, error) {
	if strings.Contains(name, ":") {
		found, err := o.spec.load(env)
		if err != nil {
			return nil, err
		}
		return found.forProduct(name)
	}
	vars, err := o.spec.options(env)
	if err != nil {
		return nil, err
	}
	all, err := usedSpecs(vars)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(s *spec.Spec) bool { return spec.MatchAny(s.Image.OS, name) })
	if i < 0 {
		var known []string
		for _, s := range all {
			known = append(known, s.Image.OS...)
		}
		return nil, unknownName("distribution", name, known)
	}
	return all[i], nil
}
