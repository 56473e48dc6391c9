// Package cli is icepak's command line: one file a command. Commands turn flags
// and environment into an options struct and call a plain function with it;
// what went wrong comes back as an error, and only here becomes an exit code.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/spec"
)

// Env is all that a command has of the world outside.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Environ  func() []string
	Version  string
}

// The exit codes. They are part of the interface: scripts rely on them.
const (
	exitOK          = 0
	exitFailed      = 1   // a check failed: the image is at fault
	exitUsage       = 2   // the command line or a spec is wrong
	exitUnknown     = 3   // could not find out: LXD, the network, Polar
	exitInterrupted = 130 // stopped by a signal
)

// Run runs the command line and returns the exit code.
func Run(ctx context.Context, args []string, env *Env) int {
	root := newRootCommand(env)
	root.SetArgs(args)
	help := &printing{to: env.Out}
	root.SetOut(help)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = help.err
	}
	code := exitCode(ctx, err)
	printError(env.Err, err)
	return code
}

// printing keeps the error of a write that nobody else looks at: cobra prints help.
type printing struct {
	to  io.Writer
	err error
}

func (p *printing) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	p.err = cmp.Or(p.err, err)
	return n, err
}

func newRootCommand(env *Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "icepak",
		Short: "Test operating-system images before they reach users",
		Long: `icepak launches an image from an image server's testing channel on an LXD
remote, evaluates the checks of a spec inside the running instance, reports,
posts the results to Polar, and has the version promoted when all has passed.`,
		Example: `  icepak test debian:bookworm:amd64:default --remote rack1 --promote
  icepak test --image debian/bookworm --remote rack1
  icepak push --path build/ --os debian --release bookworm --arch amd64 --serial 20261122-01
  icepak test --local --spec examples/host.yaml
  icepak spec validate images/*.yaml
  icepak autoadd nginx --instance web --spec nginx.yaml`,
		Version:       env.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          showHelp,
	}
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetVersionTemplate("icepak {{.Version}}\n")
	root.SetFlagErrorFunc(flagMistake)
	test := func(ctx context.Context, opts testOptions) error { return runTest(ctx, env, opts) }
	root.AddCommand(
		newTestCommand(env, test),
		newResumeCommand(env),
		newPushCommand(env),
		newValidateCommand(env, test),
		newStatusCommand(env),
		newPromoteCommand(env),
		newDemoteCommand(env),
		newImagesCommand(env),
		newSpecCommand(env),
		newAddCommand(env),
		newAutoaddCommand(env),
		newShellCommand(env),
		newCleanCommand(env),
		newPolarCommand(env),
		newProbeCommand(env),
		newVersionCommand(env),
	)
	refuseUnknown(root)
	return root
}

// An exitError ends the program with a code, after all has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// printError writes the error, and on a line of its own a hint where there is
// one.
func printError(w io.Writer, err error) {
	var quiet exitError
	if err == nil || errors.As(err, &quiet) {
		return
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "icepak: interrupted")
		return
	}
	var mistakes spec.Errors
	if errors.As(err, &mistakes) {
		fmt.Fprintln(w, mistakes) // a line each, which begins with its place
		return
	}
	fmt.Fprintln(w, "icepak: "+strings.TrimSpace(report.Clean(err.Error())))
	if hint := hintFor(err); hint != "" {
		fmt.Fprintln(w, "  "+hint)
	}
}
