package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polar"
)

func newPromoteCommand(env *Env) *cobra.Command {
	var opts moveOptions
	cmd := &cobra.Command{
		Use:   "promote PRODUCT SERIAL",
		Short: "Move a version from the testing channel to the active one",
		Long: `Move a version from the testing channel to the active one by hand. What icepak test
--promote does after its tests, this does without any.

Where Polar tells it, every check that the version is assessed by must have passed, and
at least one. --force moves it all the same. Polar as of version 0.2 does not tell what
has passed: then nobody checks it. A version that is active already stays so.

Environment:
  POLAR_AUTH_TOKEN       Polar's password
  POLAR_ENDPOINT         default of --endpoint
  TESTING_IMAGE_SERVER, ACTIVE_IMAGE_SERVER
                         the feeds of the channels, which tell where the version is if
                         Polar does not (they hold secrets)

Exit codes: 0 it is active, 1 something has not passed, 2 a mistake on the command line
or not possible, 3 could not find out, 130 interrupted.`,
		Example: `  icepak promote debian:bookworm:amd64:default 20261122-01 --comment "tested by hand on rack2"`,
		Args:    usage(cobra.ExactArgs(2)),
		RunE:    runMove(env, &opts, promote),
	}
	f := cmd.Flags()
	opts.flags(f)
	f.BoolVar(&opts.force, "force", false, "also where something has not passed")
	return cmd
}

func promote(ctx context.Context, m *mover) error {
	before, err := m.look(ctx)
	if err != nil {
		return err
	}
	switch before.state {
	case "active":
		return m.say("active already")
	case "testing", "":
	default:
		return usageError{err: fmt.Errorf("%s is %s", m, before.state), hint: "only a version in the testing channel is promoted"}
	}
	missing := before.notPassed()
	switch {
	case !before.checked:
		fmt.Fprintln(m.env.Err, "nobody has checked what has passed: this Polar does not tell")
	case len(missing) > 0 && !m.opts.force:
		return notPassedError{version: m.String(), missing: missing}
	case len(missing) > 0:
		fmt.Fprintf(m.env.Err, "promoting it all the same: %s\n", strings.Join(missing, ", "))
	}
	now, err := m.change(ctx, polar.Activate, "active")
	switch {
	case err != nil:
		return err
	case now.state == "inactive":
		return usageError{err: fmt.Errorf("%s was active for a moment only", m), hint: "newer versions are active, and a product keeps only so many"}
	}
	return m.say("active")
}
