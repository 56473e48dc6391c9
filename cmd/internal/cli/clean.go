package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/runner"
)

// cleanOptions are the flags of icepak clean.
type cleanOptions struct {
	remote remoteOptions
	kept   bool
	dryRun bool
}

func newCleanCommand(env *Env) *cobra.Command {
	var opts cleanOptions
	cmd := &cobra.Command{
		Use:   "clean",
		Short: "Delete instances that runs have left behind",
		Long: `Delete the instances on a remote whose run is no more: it was killed, or its
machine went down. Instances of a run that lives are never touched; of a run on
another machine it is waited until it must have ended. Those that --keep may have
left on purpose stay, unless --kept is given.`,
		Example: "  icepak clean --remote rack1 --kept",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.remote.fromEnv(env)
			return opts.remote.use(cmd.Context(), env, func(on *remote) error { return runClean(cmd.Context(), env, opts, on) })
		},
	}
	f := cmd.Flags()
	opts.remote.flags(f)
	f.BoolVar(&opts.kept, "kept", false, "also those that --keep left")
	f.BoolVarP(&opts.dryRun, "dry-run", "n", false, "only print what would be deleted")
	return cmd
}

func runClean(ctx context.Context, env *Env, opts cleanOptions, on *remote) error {
	found, err := runner.Leftovers(ctx, on.server, time.Now())
	if err != nil {
		return err
	}
	var errs []error
	deleted, kept := 0, 0
	for _, l := range found {
		if l.Kept && !opts.kept {
			kept++
			fmt.Fprintf(env.Out, "%s: kept on purpose\n", l.Name)
			continue
		}
		if !opts.dryRun {
			if err := on.server.DeleteInstance(ctx, l.Project, l.Name); err != nil {
				errs = append(errs, fmt.Errorf("delete %s: %w", l.Name, err))
				continue
			}
		}
		deleted++
		fmt.Fprintf(env.Out, "%s: %s\n", l.Name, map[bool]string{true: "would be deleted", false: "deleted"}[opts.dryRun])
	}
	if deleted+kept == 0 && len(errs) == 0 {
		fmt.Fprintf(env.Out, "nothing is left behind on %s\n", on.name)
	}
	return errors.Join(errs...)
}
