package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// validateOptions are the flags of icepak validate. Those of a product are
// Icepak 1's.
type validateOptions struct {
	test    testOptions
	path    string // for Icepak 1's sake
	version productOptions
	checks  []string
}

func newValidateCommand(env *Env, run runFunc) *cobra.Command {
	var opts validateOptions
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Test a version that was pushed, and have it promoted",
		Long: `Test a version in Polar's testing channel on Polar's clusters, post the verdicts,
and have the version promoted: icepak test --promote for one product and serial,
with the flags and variables that Icepak 1 had.

--checks names what has to pass before the version is promoted, as every instance
type that the version has. Another check stands in the way only where it has failed.
Without --checks, all checks of the spec that Polar tracks have to pass. A check that
the spec does not have is a mistake, and nothing is launched. The spec is found as icepak
test finds it; the built-in ones have the checks that icepak images list names. A check
that needs a GPU is skipped on a cluster that has none; with --require-gpu the version is
then not promoted, and the exit code is 3.

A version that has left the testing channel, or has not got there, is put into it
again. One that is active is a success where ACTIVE_IMAGE_SERVER is set.

Environment:
  POLAR_AUTH_TOKEN             Polar's password
  POLAR_ENDPOINT               Polar's URL (default ` + defaultEndpoint + `)
  TESTING_IMAGE_SERVER         the feed of the testing channel (it holds a secret)
  ACTIVE_IMAGE_SERVER          the feed of the active channel; may be left out
  ICEPAK_SERVER_FINGERPRINTS   default of --server-fingerprint
  ICEPAK_PROBE, ICEPAK_STATE   see icepak test --help

Exit codes: 0 promoted, 1 a check failed, 2 a mistake on the command line or in a
spec, 3 could not find out or not promoted, 130 interrupted.`,
		Example: `  icepak validate --serial 20261122-01 --os debian --arch x86_64 --release bookworm \
      --variant default --checks ipv4,ipv6`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := opts.complete(env); err != nil {
				return err
			}
			opts.test.args = commandLine(cmd, args)
			return run(cmd.Context(), opts.test)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.path, "path", "", "not used: images are fetched from the testing channel")
	opts.version.flags(f)
	f.StringSliceVar(&opts.checks, "checks", nil, "the `checks` that have to pass, such as ipv4,ipv6 (default: all)")
	opts.test.spec.flags(f)
	opts.test.output.flags(f)
	opts.test.remote.serverFlags(f)
	opts.test.timeFlag(f)
	opts.test.postFlag(f)
	opts.test.gpuFlag(f)
	return cmd
}

// complete makes of the flags what icepak test is told.
func (o *validateOptions) complete(env *Env) error {
	product, err := o.version.key()
	if err != nil {
		return err
	}
	t := &o.test
	t.fromEnv(env)
	for _, v := range []struct{ name, value string }{
		{"POLAR_AUTH_TOKEN", t.source.password}, {"TESTING_IMAGE_SERVER", t.source.testing},
	} {
		if v.value == "" {
			return usageError{err: fmt.Errorf("%s is not set", v.name), hint: "see icepak validate --help for what it is"}
		}
	}
	t.source.products, t.source.serial = []string{product}, o.version.serial
	for _, check := range o.checks {
		if check = strings.TrimSpace(check); check != "" {
			t.checks = append(t.checks, check)
		}
	}
	t.keep = "never"
	t.promote, t.readmit, t.must = true, true, true
	t.narrow = len(t.checks) > 0
	return nil
}
