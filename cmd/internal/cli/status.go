package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// statusOptions are the flags of icepak status.
type statusOptions struct {
	access  accessOptions
	product string // empty: all
	format  string
}

func newStatusCommand(env *Env) *cobra.Command {
	var opts statusOptions
	cmd := &cobra.Command{
		Use:   "status [PRODUCT]",
		Short: "Show which versions there are, and what they have passed",
		Long: `Show the versions of a product, or of all, the newest first: in which channel each
is, as which types there are images of it, and, where Polar tells that, its state and
that of each of its checks. With a PRODUCT, why checks failed is shown below.

What is shown depends on what is known: the feeds of the channels, Polar, or both.
Polar as of version 0.2 does not tell states; the one that icepak carries does.

Environment:
  TESTING_IMAGE_SERVER   the feed of the testing channel (it holds a secret)
  ACTIVE_IMAGE_SERVER    the feed of the active channel (it holds a secret)
  POLAR_AUTH_TOKEN       Polar's password; without it Polar is not asked
  POLAR_ENDPOINT         default of --endpoint`,
		Example: `  icepak status
  icepak status debian:bookworm:amd64:default --format json`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.product = args[0]
			}
			opts.access.fromEnv(env)
			return runStatus(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.access.flags(f)
	f.StringVar(&opts.format, "format", "text", "how to print: text or json")
	return cmd
}

func runStatus(ctx context.Context, env *Env, opts statusOptions) error {
	if opts.format != "text" && opts.format != "json" {
		return usagef("--format: want text or json, got %q", opts.format)
	}
	if len(opts.access.channels) == 0 && opts.access.password == "" {
		return usageError{
			err:  errors.New("there is nobody to ask"),
			hint: "set TESTING_IMAGE_SERVER, ACTIVE_IMAGE_SERVER or POLAR_AUTH_TOKEN",
		}
	}
	s := &statuses{channels: len(opts.access.channels) > 0}
	if err := s.find(ctx, env, opts); err != nil {
		return err
	}
	if opts.format == "json" {
		return printJSON(env.Out, append([]*productStatus{}, s.products...))
	}
	if err := s.table().print(env.Out); err != nil {
		return err
	}
	if reasons := s.reasons(); opts.product != "" && len(reasons) > 0 {
		fmt.Fprintln(env.Out)
		return reasons.print(env.Out)
	}
	return nil
}

// find asks the feeds and Polar. A product that one of them does not know may be
// known to another.
func (s *statuses) find(ctx context.Context, env *Env, opts statusOptions) error {
	channels, err := opts.access.read(ctx)
	if err != nil {
		return err
	}
	key := opts.product
	if strings.Contains(key, ":") {
		key = simplestreams.Canonical(key)
	}
	var unknown error
	for _, c := range channels {
		found, err := resolve(c.feed, key)
		var missing *simplestreams.UnknownProductError
		switch {
		case errors.As(err, &missing):
			unknown = err
			continue
		case err != nil:
			return err
		case found != "":
			key = found
		}
		s.addFeed(c, found)
	}
	if opts.access.password != "" {
		err := s.askPolar(ctx, env, opts.access, key)
		var missing *polar.NotFoundError
		switch {
		case errors.Is(err, polar.ErrNoStatus) && len(channels) > 0:
			fmt.Fprintf(env.Err, "only the channels are shown: Polar at %s does not tell how versions stand\n", opts.access.endpoint)
		case errors.Is(err, polar.ErrNoStatus):
			return usageError{err: err, hint: "set TESTING_IMAGE_SERVER or ACTIVE_IMAGE_SERVER: the feeds tell which versions there are"}
		case errors.As(err, &missing):
			if unknown == nil {
				unknown = err
			}
		case err != nil:
			return err
		}
	}
	if len(s.products) == 0 {
		return unknown
	}
	return nil
}

// resolve returns the key of the product that name stands for, or nothing for all.
func resolve(feed *simplestreams.Feed, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	return feed.Resolve(name, "")
}

func (s *statuses) askPolar(ctx context.Context, env *Env, access accessOptions, key string) error {
	client, err := access.client(ctx, env)
	if err != nil {
		return err
	}
	defer client.Close()
	products, err := client.Status(ctx, key)
	if err != nil {
		return err
	}
	s.addPolar(products)
	return nil
}
