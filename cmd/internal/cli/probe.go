package cli

import (
	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/probe"
)

// newProbeCommand lets this executable be pushed as the probe where it brings none
// along for the guest's architecture.
func newProbeCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:    "probe",
		Short:  "Carry out a plan from standard input",
		Hidden: true,
		Args:   usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return probe.Serve(cmd.Context(), env.In, env.Out, checks.Local())
		},
	}
}
