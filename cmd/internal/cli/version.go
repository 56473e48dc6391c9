package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersionCommand(env *Env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print icepak's version",
		Args:  usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(env.Out, "icepak %s %s/%s %s\n", env.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
}
