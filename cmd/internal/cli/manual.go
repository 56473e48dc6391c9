package cli

import "github.com/spf13/cobra"

// Commands is the command line for the program that writes its manual and its
// completions: no command of it can be run.
func Commands() *cobra.Command {
	root := newRootCommand(&Env{})
	root.InitDefaultCompletionCmd()
	return root
}
