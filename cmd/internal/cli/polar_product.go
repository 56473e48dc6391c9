package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

func newPolarProductCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "product",
		Short:   "Manage what images are builds of",
		Example: "  icepak polar product add debian:bookworm:amd64:default",
		Args:    noSuchCommand,
		RunE:    showHelp,
	}
	cmd.AddCommand(
		newPolarProductAddCommand(env),
		newListCommand(env, "list", "List products", "  icepak polar product list", cobra.NoArgs, listProducts),
	)
	return cmd
}

// polarProductAddOptions are the flags of icepak polar product add.
type polarProductAddOptions struct {
	data         dataOptions
	key          string
	requirements []string
}

func newPolarProductAddCommand(env *Env) *cobra.Command {
	var opts polarProductAddOptions
	cmd := &cobra.Command{
		Use:   "add KEY",
		Short: "Add a product",
		Long: `Add a product. Its KEY is os:release:arch:variant, where arch is amd64 or arm64.
Requirements are what LXD must do to start its images: icepak test meets
secureboot=false and cdrom_agent=true of virtual machines.`,
		Example: "  icepak polar product add alpine:3.22:amd64:default --requirement secureboot=false",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.key = args[0]
			return runPolarProductAdd(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	f.StringArrayVar(&opts.requirements, "requirement", nil, "`name=value`; may be repeated")
	return cmd
}

func runPolarProductAdd(ctx context.Context, env *Env, opts polarProductAddOptions) error {
	requirements, err := parsePairs("--requirement", opts.requirements)
	if err != nil {
		return err
	}
	return opts.data.use(ctx, env, func(store *polarstore.Store) error {
		p, err := store.AddProduct(ctx, opts.key, requirements)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(env.Out, "added product %s\n", p.Key)
		return err
	})
}

// parsePairs reads a flag's values of the form name=value.
func parsePairs(flag string, pairs []string) (map[string]string, error) {
	all := map[string]string{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usagef("%s: want name=value, got %q", flag, pair)
		}
		all[name] = value
	}
	return all, nil
}

func listProducts(ctx context.Context, store *polarstore.Store, _ []string) (any, table, error) {
	all, err := store.Products(ctx)
	t := table{{"PRODUCT", "REQUIREMENTS"}}
	for _, p := range all {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(p.Requirements)) {
			pairs = append(pairs, name+"="+p.Requirements[name])
		}
		t.add(p.Key, strings.Join(pairs, " "))
	}
	return all, t, err
}
