package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polarserver"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// polarServeOptions are the flags of icepak polar serve.
type polarServeOptions struct {
	data   dataOptions
	listen string
	keep   int // 0: as it was
}

func newPolarServeCommand(env *Env) *cobra.Command {
	var opts polarServeOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API and the image feeds",
		Long: `Serve Polar's API and the image feeds over HTTP until interrupted. There is no
TLS: to serve other machines, put a proxy with TLS before it.`,
		Example: "  icepak polar serve --listen 127.0.0.1:8080",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("keep") && opts.keep < 1 {
				return usagef("--keep: want at least 1, got %d", opts.keep)
			}
			return runPolarServe(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	f.StringVar(&opts.listen, "listen", "127.0.0.1:8080", "the `address` to listen on; port 0 picks a free one")
	f.IntVar(&opts.keep, "keep", 0, fmt.Sprintf("how many active versions a product keeps, from now on (at first %d)", polarstore.DefaultKeep))
	return cmd
}

func runPolarServe(ctx context.Context, env *Env, opts polarServeOptions) error {
	host, _, err := net.SplitHostPort(opts.listen)
	if err != nil {
		return usagef("--listen: want host:port, got %q", opts.listen)
	}
	return opts.data.use(ctx, env, func(store *polarstore.Store) error {
		if opts.keep > 0 {
			if err := store.SetKeep(ctx, opts.keep); err != nil {
				return err
			}
		}
		hasPassword, err := store.HasPassword(ctx)
		if err != nil {
			return err
		}
		return polarserver.Serve(ctx, store, polarserver.Options{
			Logger: slog.New(slog.NewTextHandler(env.Err, &slog.HandlerOptions{Level: slog.LevelWarn})),
			Listen: opts.listen,
			Ready: func(url string) {
				fmt.Fprintf(env.Out, "serving Polar on %s\n", url)
				if !hasPassword {
					fmt.Fprintln(env.Err, "no password is set, so nobody can log in: icepak polar password")
				}
				if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
					fmt.Fprintln(env.Err, "warning: other machines send the password and tokens in clear text: there is no TLS")
				}
			},
		})
	})
}
