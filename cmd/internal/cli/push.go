package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/push"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// pushOptions are the flags of icepak push.
type pushOptions struct {
	path    string
	version productOptions
	access  accessOptions
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
  POLAR_ENDPOINT     default of --endpoint
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
	opts.version.flags(f)
	opts.access.flags(f)
	return cmd
}

func (o *pushOptions) fromEnv(env *Env) {
	o.access.fromEnv(env)
	if o.path == "" {
		o.path = env.Getenv("GITHUB_WORKSPACE")
	}
}

func runPush(ctx context.Context, env *Env, opts pushOptions) error {
	product, err := opts.version.key()
	switch {
	case err != nil:
		return err
	case opts.path == "":
		return usageError{err: errors.New("no folder to push"), hint: "name it with --path; GITHUB_WORKSPACE is not set"}
	case opts.access.password == "":
		return usageError{err: errors.New("no password for Polar"), hint: "set POLAR_AUTH_TOKEN"}
	}
	if info, err := os.Stat(opts.path); err != nil || !info.IsDir() {
		return usageError{err: fmt.Errorf("--path: %w", cmp.Or(err, fmt.Errorf("%s is no folder", opts.path)))}
	}
	client, err := opts.access.client(ctx, env)
	if err != nil {
		return err
	}
	defer client.Close()
	progress := newPushProgress(env)
	began := time.Now()
	done, err := push.Run(ctx, client, push.Options{
		Dir:      opts.path,
		Product:  product,
		Serial:   opts.version.serial,
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
	return fmt.Sprintf("pushed %d files, %s in %.1f s", done.Files, report.Size(done.Sent), took.Seconds())
}

// pushedTo says where the version is then.
func pushedTo(done push.Result) string {
	if done.Refused {
		return "active already, since Polar does not put it into testing"
	}
	return "in testing"
}
