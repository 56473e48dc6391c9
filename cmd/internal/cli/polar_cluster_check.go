package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// polarClusterCheckOptions are the flags of icepak polar cluster check.
type polarClusterCheckOptions struct {
	data   dataOptions
	remote remoteOptions
}

func newPolarClusterCheckCommand(env *Env) *cobra.Command {
	var opts polarClusterCheckOptions
	cmd := &cobra.Command{
		Use:   "check [NAME]",
		Short: "Find out which servers are healthy",
		Long: `Connect to every server, or to one, as testers do, and note whether it is healthy:
it answers, trusts the testers' certificate, and runs its architecture. Polar lists
only healthy servers to testers.

Exit code 3 where one is not healthy.`,
		Example: "  icepak polar cluster check",
		Args:    usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.remote.fromEnv(env)
			return runPolarClusterCheck(cmd.Context(), env, opts, args)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	opts.remote.trustFlags(f)
	return cmd
}

func runPolarClusterCheck(ctx context.Context, env *Env, opts polarClusterCheckOptions, names []string) error {
	remotes, err := newRemotes(env, opts.remote, warnTo(env))
	if err != nil {
		return err
	}
	defer remotes.close()
	t := table{{"CLUSTER", "STATE", "WHY"}}
	sick := false
	err = opts.data.use(ctx, env, func(store *polarstore.Store) error {
		all, err := namedClusters(ctx, store, names)
		if err != nil {
			return err
		}
		for _, c := range all {
			state, why := "healthy", ""
			if err := remotes.examine(ctx, c); err != nil {
				state, why, sick = "unhealthy", err.Error(), true
			}
			if ctx.Err() != nil {
				return ctx.Err() // which says nothing of the cluster
			}
			if err := store.SetClusterState(ctx, c.Name, state); err != nil {
				return err
			}
			t.add(c.Name, state, why)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.print(env.Out); err != nil {
		return err
	}
	if sick {
		return exitError(exitUnknown)
	}
	return nil
}

// namedClusters returns the clusters of the names, or all where there are none.
func namedClusters(ctx context.Context, store *polarstore.Store, names []string) ([]polarstore.Cluster, error) {
	if len(names) == 0 {
		return store.Clusters(ctx)
	}
	var all []polarstore.Cluster
	for _, name := range names {
		c, found, err := findCluster(ctx, store, name)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, &polarstore.NotFoundError{What: "cluster", Name: name}
		}
		all = append(all, c)
	}
	return all, nil
}

// examine finds out whether a tester could use the cluster.
func (r *remotes) examine(ctx context.Context, c polarstore.Cluster) error {
	on, err := r.openCluster(ctx, c.Name, addressOf(c.Type, c.Endpoint), c.Certificate, string(c.PrivateKey))
	if err != nil {
		return err
	}
	if archs := on.server.Architectures(); !slices.Contains(archs, c.Arch) {
		return fmt.Errorf("it runs %s, not %s", strings.Join(archs, ", "), c.Arch)
	}
	return nil
}
