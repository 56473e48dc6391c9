package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

func newPolarCheckCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Manage the checks that versions must pass",
		Example: "  icepak polar check add boot ipv4 ipv6 dns hygiene gpu package-install service-start",
		Args:    noSuchCommand,
		RunE:    showHelp,
	}
	cmd.AddCommand(
		newPolarCheckAddCommand(env),
		newListCommand(env, "list", "List checks", "  icepak polar check list", cobra.NoArgs, listChecks),
	)
	return cmd
}

func newPolarCheckAddCommand(env *Env) *cobra.Command {
	var data dataOptions
	cmd := &cobra.Command{
		Use:     "add SLUG...",
		Short:   "Add checks, by their names in specs",
		Long:    "Add checks, by their names in specs: all of them, or none where one is wrong.",
		Example: "  icepak polar check add ipv4 ipv6",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return data.use(cmd.Context(), env, func(store *polarstore.Store) error {
				added, err := store.AddChecks(cmd.Context(), args...)
				for _, c := range added {
					fmt.Fprintf(env.Out, "added check %s\n", c.Slug)
				}
				return err
			})
		},
	}
	data.flags(cmd.Flags())
	return cmd
}

func listChecks(ctx context.Context, store *polarstore.Store, _ []string) (any, table, error) {
	all, err := store.Checks(ctx)
	t := table{{"CHECK"}}
	for _, c := range all {
		t.add(c.Slug)
	}
	return all, t, err
}
