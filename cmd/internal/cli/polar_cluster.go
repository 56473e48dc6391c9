package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

func newPolarClusterCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cluster",
		Short:   "Manage the servers that versions are tested on",
		Example: "  icepak polar cluster add here --endpoint unix: --arch amd64",
		Args:    noSuchCommand,
		RunE:    showHelp,
	}
	cmd.AddCommand(
		newPolarClusterAddCommand(env),
		newListCommand(env, "list", "List clusters", "  icepak polar cluster list", cobra.NoArgs, listClusters),
		newPolarClusterCheckCommand(env),
		newPolarClusterRemoveCommand(env),
	)
	return cmd
}

// polarClusterAddOptions are the flags of icepak polar cluster add.
type polarClusterAddOptions struct {
	data      dataOptions
	cluster   polarstore.Cluster
	cert, key string // files
	enrol     enrolOptions
}

func newPolarClusterAddCommand(env *Env) *cobra.Command {
	var opts polarClusterAddOptions
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a server to test on",
		Long: `Add an LXD or Incus server. Its endpoint is https://host:port, or for tests on the
server's own machine unix:, which is the usual socket, or unix:/path. Testers show
it the client certificate that is given here, and where none is given, one of
their own.

With --remote, testers get a certificate of their own: it is made, the server is
told to trust it, and a connection with it tells what the server is. The server is
told by whom it trusts already, which is the lxc or incus client of this user; or
with --token by a trust token (lxc config trust add, incus config trust add); or with
--password by the trust password that servers before LXD 6 have. The two are read
from ICEPAK_TRUST_TOKEN and ICEPAK_TRUST_PASSWORD, or else from standard input. If
anything fails, the server is told to forget the certificate.

With --project the certificate is good for that LXD project only, which testers
then have to name with --project as well.`,
		Example: `  icepak polar cluster add rack1 --remote rack1
  icepak polar cluster add rack2 --remote https://rack2.example.com:8443 --token
  icepak polar cluster add rack3 --endpoint https://rack3.example.com:8443 --arch amd64 \
      --client-cert client.crt --client-key client.key`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.cluster.Name = args[0]
			enrolling := opts.enrol.remote.name != ""
			for _, given := range []string{"arch", "type", "client-cert", "client-key"} {
				if enrolling && cmd.Flags().Changed(given) {
					return usagef("--%s does not go with --remote: it is found out or made", given)
				}
			}
			for _, given := range []string{"project", "token", "password", "server-fingerprint"} {
				if !enrolling && cmd.Flags().Changed(given) {
					return usagef("--%s needs --remote", given)
				}
			}
			if !enrolling {
				return runPolarClusterAdd(cmd.Context(), env, opts)
			}
			opts.enrol.remote.fromEnv(env)
			return runPolarClusterEnrol(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	opts.enrol.flags(f)
	f.StringVar(&opts.cluster.Endpoint, "endpoint", "", "where the server is: a `URL` (default: where the remote is)")
	f.StringVar(&opts.cluster.Arch, "arch", "amd64", "its architecture: amd64 or arm64")
	f.StringVar(&opts.cluster.Type, "type", "lxd", "what it is: lxd or incus")
	f.StringVar(&opts.cert, "client-cert", "", "the testers' certificate, a PEM `file`")
	f.StringVar(&opts.key, "client-key", "", "its private key, a PEM `file`")
	return cmd
}

func runPolarClusterAdd(ctx context.Context, env *Env, opts polarClusterAddOptions) error {
	if (opts.cert == "") != (opts.key == "") {
		return usagef("--client-cert and --client-key belong together")
	}
	if opts.cert != "" {
		cert, err := os.ReadFile(opts.cert)
		if err != nil {
			return usageError{err: fmt.Errorf("--client-cert: %w", err)}
		}
		key, err := os.ReadFile(opts.key)
		if err != nil {
			return usageError{err: fmt.Errorf("--client-key: %w", err)}
		}
		opts.cluster.Certificate, opts.cluster.PrivateKey = string(cert), polarstore.Secret(key)
	}
	return opts.data.use(ctx, env, func(store *polarstore.Store) error {
		c, err := store.AddCluster(ctx, opts.cluster)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(env.Out, "added cluster %s\n", c.Name)
		return err
	})
}

// findCluster returns the cluster of that name, if there is one.
func findCluster(ctx context.Context, store *polarstore.Store, name string) (polarstore.Cluster, bool, error) {
	all, err := store.Clusters(ctx)
	i := slices.IndexFunc(all, func(c polarstore.Cluster) bool { return strings.EqualFold(c.Name, name) })
	if err != nil || i < 0 {
		return polarstore.Cluster{}, false, err
	}
	return all[i], true, nil
}

// clusterJSON is what is told of a cluster: not the private key.
type clusterJSON struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Arch     string `json:"arch"`
	State    string `json:"state"`
	Endpoint string `json:"endpoint"`
}

func listClusters(ctx context.Context, store *polarstore.Store, _ []string) (any, table, error) {
	all, err := store.Clusters(ctx)
	told := []clusterJSON{}
	t := table{{"CLUSTER", "TYPE", "ARCH", "STATE", "ENDPOINT"}}
	for _, c := range all {
		told = append(told, clusterJSON{c.Name, c.Type, c.Arch, c.State, c.Endpoint})
		t.add(c.Name, c.Type, c.Arch, c.State, c.Endpoint)
	}
	return told, t, err
}

// polarClusterRemoveOptions are the flags of icepak polar cluster remove.
type polarClusterRemoveOptions struct {
	data   dataOptions
	remote remoteOptions
	revoke bool
}

func newPolarClusterRemoveCommand(env *Env) *cobra.Command {
	var opts polarClusterRemoveOptions
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a server",
		Long: `Remove a server and its credentials. What was found out on it stays. With --revoke
the server is told first to trust the testers' certificate no longer; one that is
good for a project only has to be removed there: lxc config trust remove.`,
		Example: "  icepak polar cluster remove rack1 --revoke",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.remote.fromEnv(env)
			return runPolarClusterRemove(cmd.Context(), env, opts, args[0])
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	opts.remote.trustFlags(f)
	f.BoolVar(&opts.revoke, "revoke", false, "have the server trust the certificate no longer")
	return cmd
}

func runPolarClusterRemove(ctx context.Context, env *Env, opts polarClusterRemoveOptions, name string) error {
	return opts.data.use(ctx, env, func(store *polarstore.Store) error {
		if opts.revoke {
			if err := revokeCluster(ctx, env, opts.remote, store, name); err != nil {
				return err
			}
		}
		if err := store.RemoveCluster(ctx, name); err != nil {
			return err
		}
		_, err := fmt.Fprintf(env.Out, "removed cluster %s\n", name)
		return err
	})
}

// revokeCluster has the cluster's server forget the testers' certificate, which is
// what tells it to.
func revokeCluster(ctx context.Context, env *Env, opts remoteOptions, store *polarstore.Store, name string) error {
	c, found, err := findCluster(ctx, store, name)
	if err != nil || !found {
		return err
	}
	if c.Certificate == "" {
		return usagef("cluster %s has no certificate to be revoked", c.Name)
	}
	remotes, err := newRemotes(env, opts, warnTo(env))
	if err != nil {
		return err
	}
	defer remotes.close()
	on, err := remotes.openCluster(ctx, c.Name, addressOf(c.Type, c.Endpoint), c.Certificate, string(c.PrivateKey))
	if err != nil {
		return err
	}
	return on.server.Distrust(ctx, []byte(c.Certificate))
}
