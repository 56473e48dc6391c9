package cli

import (
	"context"
	"fmt"
	"os"

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
		newPolarClusterRemoveCommand(env),
	)
	return cmd
}

// polarClusterAddOptions are the flags of icepak polar cluster add.
type polarClusterAddOptions struct {
	data      dataOptions
	cluster   polarstore.Cluster
	cert, key string // files
}

func newPolarClusterAddCommand(env *Env) *cobra.Command {
	var opts polarClusterAddOptions
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a server to test on",
		Long: `Add an LXD or Incus server. Its endpoint is https://host:port, or for tests on the
server's own machine unix:, which is the usual socket, or unix:/path. Testers show
it the client certificate that is given here, and where none is given, one of
their own.`,
		Example: `  icepak polar cluster add rack1 --endpoint https://rack1.example.com:8443 --arch amd64 \
      --client-cert client.crt --client-key client.key`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.cluster.Name = args[0]
			return runPolarClusterAdd(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	f.StringVar(&opts.cluster.Endpoint, "endpoint", "", "where the server is: a `URL`")
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

func newPolarClusterRemoveCommand(env *Env) *cobra.Command {
	var data dataOptions
	cmd := &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a server",
		Long:    "Remove a server and its credentials. What was found out on it stays.",
		Example: "  icepak polar cluster remove rack1",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return data.use(cmd.Context(), env, func(store *polarstore.Store) error {
				if err := store.RemoveCluster(cmd.Context(), args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(env.Out, "removed cluster %s\n", args[0])
				return err
			})
		},
	}
	data.flags(cmd.Flags())
	return cmd
}
