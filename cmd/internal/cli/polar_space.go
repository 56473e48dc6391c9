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
	space   polarstore.Space
	expires time.Duration // 0: never
	url     string
}

func newPolarSpaceAddCommand(env *Env) *cobra.Command {
	var opts polarSpaceAddOptions
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Give access to the feed of a channel",
		Long: `Give access to the feed of a channel, and print where the feed is. The token in it
is a secret, and is not shown again. Each who reads should have a space of their
own: it can be removed without the others, and may expire by itself.`,
		Example: `  export TESTING_IMAGE_SERVER="$(icepak polar space add --channel testing --type lxd --url http://127.0.0.1:8080)"
  icepak polar space add --channel active --type incus --name visitor --expires 720h`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("expires") && opts.expires <= 0 {
				return usagef("--expires: want a time such as 720h, got %s", opts.expires)
			}
			return runPolarSpaceAdd(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	f.StringVar(&opts.space.Channel, "channel", "testing", "versions in which `state` are listed: testing or active")
	f.StringVar(&opts.space.Type, "type", "lxd", "for which `server`: lxd or incus")
	f.StringVar(&opts.space.Name, "name", "", "who it is for: a `name` for the list")
	f.DurationVar(&opts.expires, "expires", 0, "after which `time` the token opens nothing any more, such as 720h (default: never)")
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
	if opts.expires > 0 {
		opts.space.Expires = time.Now().Add(opts.expires)
	}
	return opts.data.use(ctx, env, func(store *polarstore.Store) error {
		sp, token, err := store.AddSpace(ctx, opts.space)
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
	t := table{{"SPACE", "CHANNEL", "TYPE", "CREATED", "EXPIRES", "NAME"}}
	for _, sp := range all {
		expires := "never"
		if !sp.Expires.IsZero() {
			expires = sp.Expires.Format(time.RFC3339)
		}
		t.add(sp.ID, sp.Channel, sp.Type, sp.Created.Format(time.RFC3339), expires, sp.Name)
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
