package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

func newPolarVersionCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Manage builds of products",
		Example: "  icepak polar version list debian:bookworm:amd64:default",
		Args:    noSuchCommand,
		RunE:    showHelp,
	}
	cmd.AddCommand(
		newPolarVersionImportCommand(env),
		newListCommand(env, "list [PRODUCT]", "List versions, the newest first", "  icepak polar version list debian:bookworm:amd64:default",
			cobra.MaximumNArgs(1), listVersions),
		newPolarVersionShowCommand(env),
		newPolarVersionEventCommand(env),
	)
	return cmd
}

// polarVersionImportOptions are the flags of icepak polar version import.
type polarVersionImportOptions struct {
	data          dataOptions
	dir           string
	product       string
	serial        string
	createProduct bool
	test          bool
}

func newPolarVersionImportCommand(env *Env) *cobra.Command {
	var opts polarVersionImportOptions
	cmd := &cobra.Command{
		Use:   "import DIR",
		Short: "Make a version of a build's files",
		Long: `Make a version of the files in DIR: incus.tar.xz or lxd.tar.xz, with
rootfs.squashfs for containers, disk.qcow2 for virtual machines, or both. The files
are copied. A serial starts with the date as YYYYMMDD, or LXD would not see it.

Importing the same again brings back files that are gone, and else changes nothing.`,
		Example: "  icepak polar version import build/ --product debian:bookworm:amd64:default --serial 20261122-01 --test",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.dir = args[0]
			if opts.product == "" || opts.serial == "" {
				return usagef("--product and --serial are needed")
			}
			return runPolarVersionImport(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	f.StringVar(&opts.product, "product", "", "the product, `os:release:arch:variant`")
	f.StringVar(&opts.serial, "serial", "", "the version's `name`, such as 20261122-01")
	f.BoolVar(&opts.createProduct, "create-product", false, "make the product if there is none")
	f.BoolVar(&opts.test, "test", false, "put a new version into the testing channel")
	return cmd
}

func runPolarVersionImport(ctx context.Context, env *Env, opts polarVersionImportOptions) error {
	return opts.data.use(ctx, env, func(store *polarstore.Store) error {
		if opts.createProduct {
			_, err := store.AddProduct(ctx, opts.product, nil)
			if exists := (*polarstore.RefusedError)(nil); err != nil && !errors.As(err, &exists) {
				return err
			}
		}
		done, err := store.ImportVersion(ctx, opts.product, opts.serial, opts.dir)
		if err != nil {
			return err
		}
		v := done.Version
		if opts.test && v.State == "created" {
			ev, err := store.FireVersion(ctx, v.ID, "test", by(env, ""))
			if err != nil {
				return err
			}
			v.State = ev.To
		}
		what := "imported"
		if done.Known {
			what = "was imported before, with the same files"
		}
		_, err = fmt.Fprintf(env.Out, "%s %s: %s; %s\n", v.Product, v.Serial, what, v.State)
		return err
	})
}

// by says whose events those of the command line are.
func by(env *Env, comment string) polarstore.By {
	return polarstore.By{Actor: actor(env), Comment: comment}
}

func listVersions(ctx context.Context, store *polarstore.Store, args []string) (any, table, error) {
	key := ""
	if len(args) > 0 {
		p, err := store.Product(ctx, args[0])
		if err != nil {
			return nil, nil, err
		}
		key = p.Key
	}
	all, err := store.Versions(ctx, key)
	t := table{{"PRODUCT", "SERIAL", "STATE", "CREATED"}}
	for _, v := range all {
		t.add(v.Product, v.Serial, v.State, v.Created.Format(time.RFC3339))
	}
	return all, t, err
}

// findVersion returns a product's version.
func findVersion(ctx context.Context, store *polarstore.Store, key, serial string) (polarstore.Version, error) {
	p, err := store.Product(ctx, key)
	if err != nil {
		return polarstore.Version{}, err
	}
	return store.Version(ctx, p.ID, serial)
}

func newPolarVersionEventCommand(env *Env) *cobra.Command {
	var data dataOptions
	var comment string
	cmd := &cobra.Command{
		Use:   "event PRODUCT SERIAL EVENT",
		Short: "Move a version between channels",
		Long: `Move a version between channels. EVENT is test (into the testing channel), activate
(from there to the active one) or deactivate (out of both). Nothing is asked about
what the version has passed: that is what icepak test --promote is for.`,
		Example: `  icepak polar version event debian:bookworm:amd64:default 20261122-01 deactivate --comment "no IPv6 at boot"`,
		Args:    usage(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return data.use(cmd.Context(), env, func(store *polarstore.Store) error {
				return fireVersion(cmd.Context(), env, store, args, comment)
			})
		},
	}
	f := cmd.Flags()
	data.flags(f)
	f.StringVar(&comment, "comment", "", "why, for the version's history")
	return cmd
}

func fireVersion(ctx context.Context, env *Env, store *polarstore.Store, args []string, comment string) error {
	key, serial, event := args[0], args[1], args[2]
	switch event {
	case "test", "activate", "deactivate":
	default:
		return usagef("want test, activate or deactivate, got %q", event)
	}
	v, err := findVersion(ctx, store, key, serial)
	if err != nil {
		return err
	}
	ev, err := store.FireVersion(ctx, v.ID, event, by(env, comment))
	if err != nil {
		return err
	}
	now, err := findVersion(ctx, store, key, serial)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Out, "%s %s: %s\n", now.Product, now.Serial, now.State)
	if now.State != ev.To {
		fmt.Fprintf(env.Err, "it was %s for a moment only: newer versions are\n", ev.To)
	}
	return nil
}
