package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polar"
)

func newDemoteCommand(env *Env) *cobra.Command {
	var opts moveOptions
	cmd := &cobra.Command{
		Use:   "demote PRODUCT SERIAL",
		Short: "Take a version out of its channel",
		Long: `Take a version out of the active channel, or out of the testing one. Nobody gets it
any more, but for servers that have read the feed just before. A version that is in no
channel already stays so.

Environment:
  POLAR_AUTH_TOKEN       Polar's password
  POLAR_ENDPOINT         default of --endpoint
  TESTING_IMAGE_SERVER, ACTIVE_IMAGE_SERVER
                         the feeds of the channels, which tell where the version is if
                         Polar does not (they hold secrets)`,
		Example: `  icepak demote debian:bookworm:amd64:default 20261122-01 --comment "no IPv6 at boot"`,
		Args:    usage(cobra.ExactArgs(2)),
		RunE:    runMove(env, &opts, demote),
	}
	opts.flags(cmd.Flags())
	return cmd
}

func demote(ctx context.Context, m *mover) error {
	before, err := m.look(ctx)
	if err != nil {
		return err
	}
	switch before.state {
	case "inactive":
		return m.say("inactive already")
	case "testing", "active", "":
	default:
		return usageError{err: fmt.Errorf("%s is %s", m, before.state), hint: "only a version in a channel is taken out of it"}
	}
	if _, err := m.change(ctx, polar.Deactivate, "inactive"); err != nil {
		return err
	}
	return m.say("inactive")
}
