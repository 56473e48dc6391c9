package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/push"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// pushOptions are the flags of icepak push.
type pushOptions struct {
	path    string
	serial  string
	os      string
	arch    string
	release string
	variant string

	endpoint string // from the environment only, as is
	password string
}

func newPushCommand(env *Env) *cobra.Command {
	var opts pushOptions
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Bring a build to Polar and into testing",
		Long: `Upload a build's files to Polar's storage, make a version of them, and put it into
the testing channel. The build is a folder with incus.tar.xz (or lxd.tar.xz) and
rootfs.squashfs for containers, disk.qcow2 for virtual machines, or both. The product
must be known to Polar. A serial starts with the date as YYYYMMDD, or LXD would not
see the version.

What can be refused is refused before anything is uploaded. A push that was cut short
is continued by the next one of the same build. Pushing the same again uploads
nothing; another build under a serial that Polar has is refused.

Environment:
  POLAR_ENDPOINT     Polar's URL (default ` + defaultEndpoint + `)
  POLAR_AUTH_TOKEN   Polar's password
  GITHUB_WORKSPACE   default of --path

Exit codes: 0 it is there and in testing, or was promoted before; 2 a mistake on the
command line, or it is refused; 3 could not find out, or it did not get through;
130 interrupted.`,
		Example: `  icepak push --path build/ --os debian --release bookworm --arch amd64 \
      --variant default --serial 20261122-01`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.fromEnv(env)
			return runPush(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.path, "path", "", "the `folder` with the build (default $GITHUB_WORKSPACE)")
	f.StringVar(&opts.serial, "serial", "", "the version's `serial`, such as 20261122-01")
	f.StringVar(&opts.os, "os", "", "the product's operating `system`, such as debian")
	f.StringVar(&opts.arch, "arch", "", "the product's `architecture`: amd64 (or x86_64), arm64 (or aarch64)")
	f.StringVar(&opts.release, "release", "", "the product's `release`, such as bookworm")
	f.StringVar(&opts.variant, "variant", "default", "the product's `variant`")
	return cmd
}

func (o *pushOptions) fromEnv(env *Env) {
	o.password = env.Getenv("POLAR_AUTH_TOKEN")
	o.endpoint = env.Getenv("POLAR_ENDPOINT")
	if o.endpoint == "" {
		o.endpoint = defaultEndpoint
	}
	if o.path == "" {
		o.path = env.Getenv("GITHUB_WORKSPACE")
	}
}

func (o *pushOptions) validate() error {
	var missing []string
	for _, f := range []struct{ name, value string }{
		{"--serial", o.serial}, {"--os", o.os}, {"--arch", o.arch}, {"--release", o.release}, {"--variant", o.variant},
	} {
		switch {
		case f.value == "":
			missing = append(missing, f.name)
		case f.name != "--serial" && strings.Contains(f.value, ":"):
			return usagef("%s: %q has a colon, which parts the names of a product", f.name, f.value)
		}
	}
	switch {
	case len(missing) > 0:
		return usagef("missing: %s", strings.Join(missing, ", "))
	case o.path == "":
		return usageError{err: errors.New("no folder to push"), hint: "name it with --path; GITHUB_WORKSPACE is not set"}
	case o.password == "":
		return usageError{err: errors.New("no password for Polar"), hint: "set POLAR_AUTH_TOKEN"}
	}
	return nil
}

func runPush(ctx context.Context, env *Env, opts pushOptions) error {
	if err := opts.validate(); err != nil {
		return err
	}
	client, err := polar.New(opts.endpoint, polar.Options{UserAgent: userAgent(env)})
	if err != nil {
		return usageError{err: err, hint: "see POLAR_ENDPOINT"}
	}
	defer client.Close()
	if err := client.Authenticate(ctx, opts.password); err != nil {
		return err
	}
	progress := newPushProgress(env)
	began := time.Now()
	done, err := push.Run(ctx, client, push.Options{
		Dir:      opts.path,
		Product:  strings.Join([]string{opts.os, opts.release, simplestreams.Arch(opts.arch), opts.variant}, ":"),
		Serial:   opts.serial,
		Progress: progress.update,
	})
	progress.erase()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Out, "%s %s: %s; %s\n", done.Product, done.Version.Serial, pushed(done, time.Since(began)), pushedTo(done))
	return err
}

// pushed says what was done with the files.
func pushed(done push.Result, took time.Duration) string {
	switch {
	case done.Known:
		return "was pushed before, with the same files"
	case done.Sent == 0:
		return fmt.Sprintf("pushed %d files, which were uploaded before", done.Files)
	}
	return fmt.Sprintf("pushed %d files, %.1f MB in %.1f s", done.Files, float64(done.Sent)/1e6, took.Seconds())
}

// pushedTo says where the version is then.
func pushedTo(done push.Result) string {
	if done.Refused {
		return "active already, since Polar does not put it into testing"
	}
	return "in testing"
}
