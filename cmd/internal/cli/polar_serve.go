package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polarserver"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// polarServeOptions are the flags of icepak polar serve.
type polarServeOptions struct {
	data       dataOptions
	listen     string
	keep       int // 0: as it was
	pruneAfter time.Duration
	cert, key  string // files
	lockPage   bool
}

func newPolarServeCommand(env *Env) *cobra.Command {
	var opts polarServeOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API, the image feeds and a page",
		Long: `Serve Polar's API, the image feeds and the bucket that icepak push uploads to until
interrupted; what is being downloaded then has ten seconds to end. To serve other
machines, give a certificate: without one, passwords and tokens are sent in clear
text. A certificate that is renewed in its place is taken without a restart.

Its page, at /, shows how versions stand, and why. It has no secrets, but names of
images and what is wrong with them. A server that listens on this machine only
(127.0.0.1, ::1, localhost) shows it to browsers on this machine. Everywhere else,
through a proxy too, the browser asks for a name, which may be any, and Polar's
password. Some proxies do not say that they are one: behind a proxy, --lock-page asks
for the password in any case.`,
		Example: `  icepak polar serve
  icepak polar serve --listen :8443 --tls-cert fullchain.pem --tls-key privkey.pem --keep 3`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case cmd.Flags().Changed("keep") && opts.keep < 1:
				return usagef("--keep: want at least 1, got %d", opts.keep)
			case opts.pruneAfter < 0:
				return usagef("--prune-after: want a time such as 72h, or 0 for never, got %s", opts.pruneAfter)
			}
			return runPolarServe(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	f.StringVar(&opts.listen, "listen", "127.0.0.1:8080", "the `address` to listen on; port 0 picks a free one")
	f.IntVar(&opts.keep, "keep", 0, fmt.Sprintf("how many active versions a product keeps, from its next activation on (at first %d)", polarstore.DefaultKeep))
	f.DurationVar(&opts.pruneAfter, "prune-after", polarserver.DefaultPruneAfter, "after which `time` in testing a version becomes inactive; 0: never")
	f.StringVar(&opts.cert, "tls-cert", "", "serve with TLS, and this certificate with its chain: a PEM `file`")
	f.StringVar(&opts.key, "tls-key", "", "its private key, a PEM `file`")
	f.BoolVar(&opts.lockPage, "lock-page", false, "ask browsers on this machine, too, for the password")
	return cmd
}

func runPolarServe(ctx context.Context, env *Env, opts polarServeOptions) error {
	host, port, err := net.SplitHostPort(opts.listen)
	if err == nil {
		_, err = net.DefaultResolver.LookupPort(ctx, "tcp", port)
	}
	if err != nil {
		return usagef("--listen: want host:port, got %q", opts.listen)
	}
	if err := opts.checkTLS(); err != nil {
		return err
	}
	ip := net.ParseIP(host)
	local := host == "localhost" || ip != nil && ip.IsLoopback()
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
			Listen: opts.listen, TLSCert: opts.cert, TLSKey: opts.key, PruneAfter: opts.pruneAfter,
			OpenPages: local && !opts.lockPage,
			Ready: func(url string) {
				fmt.Fprintf(env.Out, "serving Polar on %s\n", url)
				if !hasPassword {
					fmt.Fprintln(env.Err, "no password is set, so nobody can log in: icepak polar password")
				}
				if opts.cert == "" && !local {
					fmt.Fprintln(env.Err, "warning: other machines send the password and tokens in clear text: give --tls-cert and --tls-key")
				}
			},
		})
	})
}

// checkTLS tells what is wrong with the certificate that was given.
func (o polarServeOptions) checkTLS() error {
	if (o.cert == "") != (o.key == "") {
		return usagef("--tls-cert and --tls-key belong together")
	}
	if o.cert == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(o.cert, o.key); err != nil {
		return usageError{err: fmt.Errorf("--tls-cert, --tls-key: %w", err)}
	}
	return nil
}
