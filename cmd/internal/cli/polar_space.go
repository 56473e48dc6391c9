package cli

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

func newPolarSpaceCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "space",
		Short:   "Manage who may read an image feed",
		Example: "  icepak polar space add --channel active --type lxd",
		Args:    noSuchCommand,
		RunE:    showHelp,
	}
	cmd.AddCommand(
		newPolarSpaceAddCommand(env),
		newListCommand(env, "list", "List spaces", "  icepak polar space list", cobra.NoArgs, listSpaces),
		newPolarSpaceRemoveCommand(env),
	)
	return cmd
}

// polarSpaceAddOptions are the flags of icepak polar space add.
type polarSpaceAddOptions struct {
	data    dataOptions
	channel string
	typ     string
	url     string
}

func newPolarSpaceAddCommand(env *Env) *cobra.Command {
	var opts polarSpaceAddOptions
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Give access to the feed of a channel",
		Long: `Give access to the feed of a channel, and print where the feed is. The token in it
is a secret, and is not shown again.`,
		Example: `  export TESTING_IMAGE_SERVER="$(icepak polar space add --channel testing --type lxd --url http://127.0.0.1:8080)"`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPolarSpaceAdd(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	f.StringVar(&opts.channel, "channel", "testing", "versions in which `state` are listed: testing or active")
	f.StringVar(&opts.typ, "type", "lxd", "for which `server`: lxd or incus")
	f.StringVar(&opts.url, "url", "", "where this Polar is served: print the feed's whole `URL`, not its path")
	return cmd
}

func runPolarSpaceAdd(ctx context.Context, env *Env, opts polarSpaceAddOptions) error {
	if opts.url != "" {
		u, err := url.Parse(opts.url)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return usagef("--url: want http://host:port, got %q", opts.url)
		}
	}
	return opts.data.use(ctx, env, func(store *polarstore.Store) error {
		sp, token, err := store.AddSpace(ctx, opts.channel, opts.typ)
		if err != nil {
			return err
		}
		fmt.Fprintf(env.Err, "added space %d: the %s channel for %s\n", sp.ID, sp.Channel, sp.Type)
		_, err = fmt.Fprintf(env.Out, "%s/spaces/%s\n", strings.TrimRight(opts.url, "/"), token)
		return err
	})
}

func listSpaces(ctx context.Context, store *polarstore.Store, _ []string) (any, table, error) {
	all, err := store.Spaces(ctx)
	t := table{{"SPACE", "CHANNEL", "TYPE", "CREATED"}}
	for _, sp := range all {
		t.add(sp.ID, sp.Channel, sp.Type, sp.Created.Format(time.RFC3339))
	}
	return all, t, err
}

func newPolarSpaceRemoveCommand(env *Env) *cobra.Command {
	var data dataOptions
	cmd := &cobra.Command{
		Use:     "remove SPACE",
		Short:   "Take access away",
		Long:    "Take access away: the token of the space, given by its number, opens nothing any more.",
		Example: "  icepak polar space remove 2",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usagef("want a space's number, got %q", args[0])
			}
			return data.use(cmd.Context(), env, func(store *polarstore.Store) error {
				if err := store.RemoveSpace(cmd.Context(), id); err != nil {
					return err
				}
				_, err := fmt.Fprintf(env.Out, "removed space %d\n", id)
				return err
			})
		},
	}
	data.flags(cmd.Flags())
	return cmd
}
