package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// polarGCOptions are the flags of icepak polar gc.
type polarGCOptions struct {
	data   dataOptions
	delete bool
}

func newPolarGCCommand(env *Env) *cobra.Command {
	var opts polarGCOptions
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Find files that nobody needs, and delete them",
		Long: `Find the files of inactive versions, and those that belong to none because an
import was killed a day ago or earlier. Nothing is deleted without --delete.

What is known of a version stays. Its files are not found any more, not even by an
LXD that read the feed within the last hour, and it cannot go back into testing
until the same files are imported again.`,
		Example: `  icepak polar gc
  icepak polar gc --delete`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPolarGC(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	f.BoolVar(&opts.delete, "delete", false, "delete what is found")
	return cmd
}

func runPolarGC(ctx context.Context, env *Env, opts polarGCOptions) error {
	return opts.data.use(ctx, env, func(store *polarstore.Store) error {
		found, err := store.Garbage(ctx)
		if err != nil {
			return err
		}
		what := "--delete deletes them"
		if opts.delete {
			what = "deleted"
			found, err = collect(ctx, store, found)
		}
		if err != nil && len(found) == 0 {
			return err
		}
		return errors.Join(err, printGarbage(env, found, what))
	})
}

// collect deletes the files, and returns those that it did delete.
func collect(ctx context.Context, store *polarstore.Store, found []polarstore.Garbage) ([]polarstore.Garbage, error) {
	var deleted []polarstore.Garbage
	for _, g := range found {
		done, err := store.Collect(ctx, g)
		if done {
			deleted = append(deleted, g)
		}
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

func printGarbage(env *Env, files []polarstore.Garbage, what string) error {
	if len(files) == 0 {
		_, err := fmt.Fprintln(env.Out, "there is nothing to delete")
		return err
	}
	t := table{{"FILE", "SIZE", "OF"}}
	var sum int64
	for _, g := range files {
		of := g.Of
		if of == "" {
			of = "no version"
		}
		t.add(g.Path, report.Size(g.Size), of)
		sum += g.Size
	}
	if err := t.print(env.Out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(env.Out, "%s, %s: %s\n", count(len(files), "file"), report.Size(sum), what)
	return err
}
