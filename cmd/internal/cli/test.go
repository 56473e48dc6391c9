package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// testOptions are the flags of icepak test.
type testOptions struct {
	source  sourceOptions
	remote  remoteOptions
	many    manyOptions
	spec    specOptions
	output  outputOptions
	checks  []string
	types   []string
	force   bool
	promote bool
	keep    string
	timeout time.Duration
	probe   string

	requireGPU bool // what needs a GPU that there is not is no skip

	// Of icepak validate only.
	readmit bool // have Polar put a version into testing that is not there
	narrow  bool // only checks, and what has failed, stand in the way of promotion
	must    bool // a version that is not promoted is no success

	postWait time.Duration
	args     []string    // the command line, for the run's journal
	resumes  *resumption // the run that is resumed; nil for a new one
}

// A runFunc is what is done with options once they are complete.
type runFunc func(context.Context, testOptions) error

func newTestCommand(env *Env, run runFunc) *cobra.Command {
	var opts testOptions
	cmd := &cobra.Command{
		Use:   "test [PRODUCT...]",
		Short: "Test images on an LXD or Incus remote",
		Long: `Launch each image once on an LXD or Incus remote, evaluate the checks of its spec
inside the running instance, report, and clean up.

A remote is one of the lxc or the incus client's; lxc:NAME and incus:NAME tell apart
what both have. What is said of LXD here holds for Incus as well.

A PRODUCT is os:release:arch:variant, or an alias of the feed such as
debian/bookworm, which the remote's architecture completes. Its newest version in
the testing channel is tested unless --serial names another. It may also be a pattern
of these, as 'debian:*:amd64:*': the newest version of each product that it matches.
--all is every version in the testing channel, or of the products that are named;
--pending those of them that have something left to pass, or with --promote are only
to be promoted.

Several images are tested at once. Each goes to that remote of its architecture which has
the most room: --remote may be repeated, without it all healthy clusters of Polar's are
used. A remote takes two images for each of its CPUs, one for each 512 MiB of its free
memory (1.5 GiB where virtual machines are among them), and 12, whichever is least;
one where it does not tell. --parallel says it instead. A cluster places instances
by itself, or on the members that --target names.

A remote that is full, does not answer or is too slow gets no new images for a while,
and after four failures in a row none any more; an image that it could not decide is
tried once on another. Where none is left, the rest are errors.

The spec is that of --spec; without it, the one in the folder images of the working
directory that names the image, or else the built-in one: see icepak images list.

With POLAR_AUTH_TOKEN set, Polar is asked what has passed before, is told the
verdicts, and with --promote promotes the version once every tracked check of every
instance type has passed. A check that could not be evaluated is never posted.

A check that needs a GPU is skipped on a remote that has none; with --require-gpu it
could not be evaluated instead, which does not blame the image, but the run does not
pass, and the version is not promoted. Where there is a GPU, the instance is given it.

Why a check failed is told from what the guest and LXD know, before the instance is
deleted; --artifacts keeps all of that.

Other sources than the testing channel: --feed, --image, --path, --instance and
--local.

In a virtual machine, lxd-agent or incus-agent has to run: one that does not answer
in time (5m, or the spec's ready.timeout) is a fail. Secure boot is off where the
image requires secureboot=false.

An image that does not start, stops or restarts by itself, or is not ready in time has
failed. So it has where --timeout is over while the guest is starting or a check is
evaluated, if the guest had most of that time and LXD answers for it; where LXD or
the network took the time, nothing was found out.

Where Polar does not answer, the run goes on and verdicts wait for it, after the last
image for at most --post-wait. What is not posted then, and what a run that was
killed has left, is finished by icepak resume; the next icepak test posts and deletes
what it can.

Environment:
  TESTING_IMAGE_SERVER         the feed of the testing channel (it holds a secret)
  ACTIVE_IMAGE_SERVER          the feed of the active one (likewise), to tell a version
                               that is promoted already, or whose promotion Polar did
                               not answer for
  POLAR_AUTH_TOKEN             Polar's password; without it nothing is posted
  POLAR_ENDPOINT               default of --endpoint
  ICEPAK_PROBE                 default of --probe
  ICEPAK_SERVER_FINGERPRINTS   default of --server-fingerprint
  ICEPAK_STATE                 a folder for known_clusters, see below, the journals of
                               runs, how long images took, and the probes that an LXD
                               on this machine shows to its containers (default: icepak
                               in the user's state folder)
  LXD_CONF, LXC_REMOTE         as the lxc client has them
  INCUS_CONF, INCUS_REMOTE, INCUS_PROJECT
                               as the incus client has them
  GITHUB_STEP_SUMMARY          where --format github appends its summary
  OTEL_EXPORTER_OTLP_ENDPOINT  a collector that gets OpenTelemetry traces of the run,
                               as http/json; see docs/tracing.md for more variables

The certificates of Polar's clusters are verified by an authority, or else by
fingerprint: one that was given, or the one that the server showed when it was met
first, which is told in a warning and remembered in known_clusters.

` + formatsHelp() + `
Exit codes: 0 all passed, 1 a check failed, 2 a mistake on the command line or in
a spec, 3 could not find out, or not post, 130 interrupted.`,
		Example: `  icepak test debian:bookworm:amd64:default --remote rack1 --promote
  icepak test --pending --promote --remote rack1 --remote rack2
  icepak test 'debian:*:amd64:*' --shard 2/4 --fail-fast
  icepak test --feed https://images.example.com/feed alpine/3.22
  icepak test --image my-alias --spec spec.yaml --keep failed
  icepak test --path build/ --spec spec.yaml --format junit=report.xml
  icepak test --local --spec examples/host.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("parallel") && opts.many.parallel < 1 {
				return usagef("--parallel: want at least 1, got %d", opts.many.parallel)
			}
			opts.source.products = args
			opts.fromEnv(env)
			opts.args = commandLine(cmd, args)
			return run(cmd.Context(), opts)
		},
	}
	f := cmd.Flags()
	opts.source.flags(f)
	opts.remote.manyFlags(f)
	opts.many.flags(f)
	opts.spec.flags(f)
	opts.output.flags(f)
	f.StringSliceVar(&opts.types, "type", nil, "only instances of this `type`: container, virtual-machine")
	f.StringSliceVar(&opts.checks, "check", nil, "only these `checks`, and what they need")
	f.BoolVar(&opts.force, "force", false, "also run what has passed earlier")
	f.BoolVar(&opts.promote, "promote", false, "have Polar promote a version that has passed everything")
	f.StringVar(&opts.keep, "keep", "never", "which instances are left as they are, for icepak shell: never, failed, always")
	opts.timeFlag(f)
	opts.postFlag(f)
	opts.gpuFlag(f)
	f.StringVar(&opts.probe, "probe", "", "the probe to use, a static linux `file`, instead of the embedded one")
	return cmd
}

func (o *testOptions) timeFlag(f *pflag.FlagSet) {
	f.DurationVar(&o.timeout, "timeout", 15*time.Minute, "how long one image may take in all")
}

func (o *testOptions) postFlag(f *pflag.FlagSet) {
	f.DurationVar(&o.postWait, "post-wait", 10*time.Minute, "how long Polar is waited for at the end, where it does not answer")
}

func (o *testOptions) gpuFlag(f *pflag.FlagSet) {
	f.BoolVar(&o.requireGPU, "require-gpu", false, "what needs a GPU where there is none is not skipped, but could not be found out (exit code 3)")
}

func (o *testOptions) fromEnv(env *Env) {
	o.source.fromEnv(env)
	o.remote.fromEnv(env)
	if o.probe == "" {
		o.probe = env.Getenv("ICEPAK_PROBE")
	}
}

// complete makes of the flags what the rest goes by.
func (o *testOptions) complete() {
	if len(o.remote.names) > 0 {
		o.remote.name = o.remote.names[0]
	}
}

// validate refuses what contradicts itself before anything is asked of anyone.
func (o *testOptions) validate() error {
	switch runner.Keep(o.keep) {
	case runner.KeepNever, runner.KeepFailed, runner.KeepAlways:
	default:
		return usagef("--keep: want never, failed or always, got %q", o.keep)
	}
	for i, typ := range o.types {
		switch typ {
		case "container", "virtual-machine":
		case "vm":
			o.types[i] = "virtual-machine"
		default:
			return usagef("--type: want container or virtual-machine, got %q", typ)
		}
	}
	if o.postWait < 0 {
		return usagef("--post-wait: want a duration, got %s", o.postWait)
	}
	if o.timeout <= 0 {
		return usagef("--timeout: want a positive duration, got %s", o.timeout)
	}
	if err := errors.Join(o.source.validate(), o.many.validate(), o.remote.validate()); err != nil {
		return err
	}
	if !o.source.fromFeed() && (len(o.remote.names) > 1 || len(o.remote.targets) > 0) {
		return usagef("--image, --path, --instance and --local go with a single --remote, and with no --target")
	}
	if !o.source.fromFeed() && o.many.shard != "" {
		return usagef("--shard does not go with --image, --path, --instance or --local")
	}
	if r := o.remote; o.source.local && (len(r.names) > 0 || r.project != "" || r.clientCert != "" || r.clientKey != "") {
		return usagef("--local is this machine: --remote, --project, --client-cert and --client-key do not go with it")
	}
	if o.source.instance != "" || o.source.local {
		if o.keep != string(runner.KeepNever) {
			return usagef("--keep does not go with --instance and --local, which are left alone in any case")
		}
	}
	if o.promote && !o.source.tracked() {
		return usageError{
			err:  fmt.Errorf("--promote needs Polar"),
			hint: "set POLAR_AUTH_TOKEN and TESTING_IMAGE_SERVER, and name a product",
		}
	}
	return o.output.validate()
}

// asked is what a run begins with, for reports.
func (o *testOptions) asked(run, version string) *report.RunStart {
	return &report.RunStart{
		ID: run, Version: version, Products: o.source.products, All: o.source.all, Pending: o.source.pending, Serial: o.source.serial,
		Shard: o.many.shard, Types: o.types, Checks: o.checks, Promote: o.promote, Force: o.force, RequireGPU: o.requireGPU,
		Remotes: o.remote.names, Targets: o.remote.targets, Parallel: o.many.parallel, FailFast: o.many.failFast, Order: o.many.order,
		Keep: o.keep, Timeout: o.timeout,
	}
}

// runTest tests what the options name and ends with the verdict's exit code.
func runTest(ctx context.Context, env *Env, opts testOptions) error {
	opts.complete()
	if err := opts.validate(); err != nil {
		return err
	}
	specs, err := opts.spec.load(env)
	if err != nil {
		return err
	}
	out, err := opts.output.open(env)
	if err != nil {
		return err
	}
	defer outliveReaders()()
	var mu sync.Mutex // that a journal cannot be written is told by whoever finds it out
	var warnings []string
	emit := func(e report.Event) {
		mu.Lock()
		defer mu.Unlock()
		out.emit(e)
	}
	p := &planner{env: env, opts: opts, specs: specs, warn: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		w := fmt.Sprintf(format, args...)
		if slices.Contains(warnings, w) {
			return
		}
		warnings = append(warnings, w)
		out.emit(report.Event{Kind: report.Warning, Time: time.Now(), Detail: w})
	}, began: func(run string) {
		emit(report.Event{Kind: report.RunStarted, Time: time.Now(), Run: opts.asked(run, env.Version)})
	}}
	defer p.close()
	jobs, err := p.plan(ctx)
	if err != nil {
		return out.abandon(err)
	}
	p.expect(jobs)
	run := &runner.Runner{
		Emit: emit, Keep: runner.Keep(opts.keep), Promote: opts.promote,
		Parallel: p.parallel(ctx, jobs), FailFast: opts.many.failFast,
		Artifacts: opts.output.artifacts, Version: env.Version, ID: p.owner.Run,
	}
	if p.polar != nil {
		run.Tracker = p.polar
	}
	if p.remotes != nil {
		run.Alive = p.remotes.alive
	}
	kept := p.journal(jobs)
	run.Journal, run.PostWait = kept.forRunner(), opts.postWait
	sum := run.Run(ctx, jobs)
	p.learn(sum)
	sum.Warnings = append(warnings, sum.Warnings...)
	defer kept.end(ctx, env, sum)
	if err := out.close(sum); err != nil {
		err = fmt.Errorf("write the report: %w", err)
		if sum.Verdict != checks.Fail {
			return err
		}
		printError(env.Err, err) // that an image does not work is the weightier news
	}
	if err := verdictError(ctx, sum); err != nil || !opts.must || promoted(sum) {
		return err
	}
	return exitError(exitUnknown)
}

// promoted tells whether every version whose promotion was asked for was promoted.
func promoted(sum report.Summary) bool {
	return !slices.ContainsFunc(sum.Images, func(i report.ImageResult) bool {
		return i.Promotion != "" && i.Promotion != report.Promoted
	})
}

// verdictError turns a run's verdict into its exit code. That there was nothing to
// test is fine; that nothing could be found out about an image is not.
func verdictError(ctx context.Context, sum report.Summary) error {
	switch {
	case ctx.Err() != nil:
		return exitError(exitInterrupted)
	case sum.Unposted > 0:
		return exitError(exitUnknown)
	case sum.Verdict == checks.Pass:
		return nil
	case sum.Verdict == checks.Fail:
		return exitError(exitFailed)
	case sum.Verdict == checks.Skip && !slices.ContainsFunc(sum.Images, func(i report.ImageResult) bool { return len(i.Checks) > 0 }):
		return nil
	}
	return exitError(exitUnknown)
}
