package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polarserver"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// polarPruneOptions are the flags of icepak polar prune.
type polarPruneOptions struct {
	data   dataOptions
	after  time.Duration
	dryRun bool
}

func newPolarPruneCommand(env *Env) *cobra.Command {
	var opts polarPruneOptions
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Take out of testing what has been there for too long",
		Long: `Make the versions inactive that have been in testing for longer than --after. The
time begins anew with each test event. A server that runs does this by itself: see
icepak polar serve --prune-after.`,
		Example: "  icepak polar prune --after 48h --dry-run",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.after <= 0 {
				return usagef("--after: want a time such as 72h, got %s", opts.after)
			}
			return runPolarPrune(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	f.DurationVar(&opts.after, "after", polarserver.DefaultPruneAfter, "after which `time` in testing")
	f.BoolVarP(&opts.dryRun, "dry-run", "n", false, "only print what would become inactive")
	return cmd
}

func runPolarPrune(ctx context.Context, env *Env, opts polarPruneOptions) error {
	return opts.data.use(ctx, env, func(store *polarstore.Store) error {
		prune, what := store.Prune, "inactive"
		if opts.dryRun {
			prune, what = store.Overdue, "would become inactive"
		}
		pruned, err := prune(ctx, opts.after)
		if err != nil {
			return err
		}
		for _, v := range pruned {
			fmt.Fprintf(env.Out, "%s %s: %s, in testing since %s\n", v.Product, v.Serial, what, v.Since.Format(time.RFC3339))
		}
		if len(pruned) == 0 {
			fmt.Fprintf(env.Out, "no version has been in testing for longer than %s\n", opts.after)
		}
		return nil
	})
}
