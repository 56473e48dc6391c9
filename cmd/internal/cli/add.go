package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/spec"
)

func newAddCommand(env *Env) *cobra.Command {
	var opts describeOptions
	cmd := &cobra.Command{
		Use:   "add TYPE [ID...]",
		Short: "Write resources into a spec as a machine has them",
		Long: `Look at resources on this machine, in a running instance or in an image that is
launched for it, and write them into a spec as they are now: what is written
passes there. The file's comments, order and formatting stay; without the file it
is made. A spec with several checks needs --check.

What the spec has already is only told. With --force it is described anew, by its
own options (path, server, user, timeout ...), and they stay, with its title.

TYPE is one of ` + strings.Join(typeNames(), ", ") + `.`,
		Example: `  icepak add file /etc/passwd /etc/group
  icepak add package nginx --instance web --spec nginx.yaml --check web
  icepak add service nginx --image debian/bookworm --exclude enabled`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.fromEnv(env)
			return runAdd(cmd.Context(), env, opts, args[0], args[1:])
		},
	}
	opts.flags(cmd.Flags())
	return cmd
}

func typeNames() []string {
	var names []string
	for _, t := range checks.Types() {
		names = append(names, t.Name)
	}
	return names
}

// runAdd describes resources of one type and adds them to the spec.
func runAdd(ctx context.Context, env *Env, opts describeOptions, typ string, ids []string) error {
	t, ok := checks.TypeNamed(typ)
	switch {
	case !ok:
		err := usageError{err: fmt.Errorf("unknown resource type %q", typ), hint: "see icepak add --help"}
		if near := checks.Suggest(typ, typeNames()); near != "" {
			err.hint = fmt.Sprintf("did you mean %q?", near)
		}
		return err
	case t.Single && len(ids) > 0:
		return usagef("there is one %s, which has no name", typ)
	case t.Single:
		ids = []string{""}
	case len(ids) == 0 || slices.Contains(ids, ""):
		return usagef("which %s?", typ)
	}
	if err := opts.validate(checks.Described(typ)); err != nil {
		return err
	}
	return opts.change(env, func(a *adding) error {
		var items []checks.Item
		for _, id := range dedupe(ids) {
			item, err := checks.NewItem(typ, id)
			if err != nil {
				return err
			}
			if there, ok := a.edit.Item(typ, id); ok {
				item = there
				if !opts.force {
					a.there(there)
					continue
				}
			}
			items = append(items, item)
		}
		answers, err := a.ask(ctx, items, nil)
		if err != nil {
			return err
		}
		for i, answer := range answers {
			if answer.Err != nil {
				a.failed = append(a.failed, fmt.Errorf("%s: %w", named(items[i].Type, items[i].ID), answer.Err))
				continue
			}
			for _, d := range answer.Found {
				if err := a.put(d); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func newAutoaddCommand(env *Env) *cobra.Command {
	var opts describeOptions
	cmd := &cobra.Command{
		Use:   "autoadd NAME...",
		Short: "Write into a spec all that a machine has by a name",
		Long: `Look for the names on this machine, in a running instance or in an image that is
launched for it: a path as a file, and any other name as a group, a package, a port,
a process with the ports that it listens on, a service and a user. What is there is
written into a spec, as icepak add does.`,
		Example: `  icepak autoadd nginx /etc/nginx/nginx.conf
  icepak autoadd sshd --instance web --spec web.yaml`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.fromEnv(env)
			return runAutoadd(cmd.Context(), env, opts, args)
		},
	}
	opts.flags(cmd.Flags())
	return cmd
}

// runAutoadd adds to the spec what goes by the names.
func runAutoadd(ctx context.Context, env *Env, opts describeOptions, names []string) error {
	names = dedupe(names)
	if slices.Contains(names, "") {
		return usagef("a name is empty")
	}
	var known []string
	for _, typ := range checks.FoundTypes() {
		known = append(known, checks.Described(typ)...)
	}
	if err := opts.validate(known); err != nil {
		return err
	}
	return opts.change(env, func(a *adding) error {
		answers, err := a.ask(ctx, nil, names)
		if err != nil {
			return err
		}
		for i, answer := range answers {
			switch {
			case answer.Err != nil:
				a.failed = append(a.failed, fmt.Errorf("%s: %w", names[i], answer.Err))
			case len(answer.Found) == 0:
				a.failed = append(a.failed, usagef("nothing by the name %s is there", names[i]))
			}
			for _, d := range answer.Found {
				if there, ok := a.edit.Item(d.Type, d.ID); ok && !opts.force {
					a.there(there)
				} else if err := a.put(d); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func dedupe(list []string) []string {
	var once []string
	for _, s := range list {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}

// named is a resource for people.
func named(typ, id string) string { return strings.TrimSpace(typ + " " + id) }

// editError is the error of a file that a program cannot change.
func editError(file string, err error) error {
	var no *spec.NotEditableError
	if errors.As(err, &no) {
		return usageError{err: fmt.Errorf("%s is left as it is: %w", file, no)}
	}
	return err
}
