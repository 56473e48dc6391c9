package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/journal"
)

// resumeOptions are the flags of icepak resume.
type resumeOptions struct {
	run    string // its id, or the beginning of it; empty: all that are no more
	list   bool
	forget bool
	feed   string
}

func newResumeCommand(env *Env) *cobra.Command {
	var opts resumeOptions
	cmd := &cobra.Command{
		Use:   "resume [RUN]",
		Short: "Finish runs that were killed, or that Polar did not answer",
		Long: `Finish a run of icepak test or validate that was killed, interrupted, or could not post
all: what it left on its remotes is deleted, what was decided is posted and never
twice, what is complete is promoted, and images that were not decided are tested with
the run's own options. Then the whole run is reported, as it would have been.

A RUN is the id that --list tells, of which the beginning is enough; without one, all
runs of this user are finished that are no more. One that goes on is left alone. A spec
that has changed since is used as it is now, which is told.

What the run read from the environment, it reads again: the passwords and the URLs
of feeds are in no journal. So a run with --feed is resumed with --feed.

A journal is a file in runs in the state folder, see ICEPAK_STATE in icepak test --help.
It is removed when its run is finished, and after a week where there is nothing
left to post. docs/resume.md has the rest.`,
		Example: `  icepak resume --list
  icepak resume
  icepak resume k3w7`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				opts.run = args[0]
			}
			return runResume(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&opts.list, "list", "l", false, "only list the runs that are not finished")
	f.BoolVar(&opts.forget, "forget", false, "only remove the journal of RUN: nothing of it is posted or deleted any more")
	f.StringVar(&opts.feed, "feed", "", "the `URL` of the feed, for a run that had one")
	return cmd
}

func runResume(ctx context.Context, env *Env, opts resumeOptions) error {
	dir := journals(env)
	if dir == "" {
		return errNoState
	}
	all, err := journal.List(dir)
	switch {
	case err != nil:
		return err
	case opts.list:
		return listRuns(env, all)
	case opts.forget && opts.run == "":
		return usagef("--forget: which run?")
	}
	chosen, err := unfinished(all, opts.run)
	if err != nil {
		return err
	}
	if len(chosen) == 0 {
		fmt.Fprintln(env.Out, "no run is left to be finished")
	}
	var worst error
	for _, e := range chosen {
		if opts.forget {
			return forget(env, e)
		}
		err := resumeRun(ctx, env, e, opts)
		switch {
		case errors.Is(err, journal.ErrLive) && opts.run == "", errors.Is(err, fs.ErrNotExist):
			continue // another process was faster
		case len(chosen) > 1 && ctx.Err() == nil:
			printError(env.Err, err)
		}
		worst = worse(ctx, worst, err)
	}
	return worst
}

// worse returns the error that an exit code is to tell of two runs: a fail outweighs
// what could not be found out.
func worse(ctx context.Context, a, b error) error {
	if a == nil || b != nil && exitCode(ctx, b) == exitFailed {
		return b
	}
	return a
}

// unfinished returns the journals of the runs that are no more, or that of the one whose id
// begins so.
func unfinished(all []journal.Entry, run string) ([]journal.Entry, error) {
	var chosen []journal.Entry
	for _, e := range all {
		if run == "" && e.Live || !strings.HasPrefix(e.ID(), strings.ToLower(run)) {
			continue
		}
		chosen = append(chosen, e)
	}
	switch {
	case run != "" && len(chosen) == 0:
		return nil, usageError{err: fmt.Errorf("there is no unfinished run %s", run), hint: "icepak resume --list names those there are"}
	case run != "" && len(chosen) > 1:
		return nil, usageError{err: fmt.Errorf("%d unfinished runs begin with %s", len(chosen), run), hint: "icepak resume --list names them"}
	}
	return chosen, nil
}

func forget(env *Env, e journal.Entry) error {
	if e.Live {
		return usagef("run %s is not over", e.ID())
	}
	if err := os.Remove(e.Path); err != nil {
		return err
	}
	fmt.Fprintf(env.Out, "run %s is forgotten\n", e.ID())
	return nil
}

func listRuns(env *Env, all []journal.Entry) error {
	if len(all) == 0 {
		fmt.Fprintln(env.Out, "no run is left to be finished")
		return nil
	}
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tSTARTED\tIMAGES\tDECIDED\tTO POST\tSTATE\tCOMMAND")
	for _, e := range all {
		if e.State == nil {
			fmt.Fprintf(w, "%s\t\t\t\t\t%v\t\n", e.ID(), e.Err)
			continue
		}
		decided, left := 0, 0
		for _, p := range e.State.Images {
			if p.Decided() {
				decided++
			}
			left += len(p.Unposted())
		}
		run := e.State.Run
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\ticepak %s\n", e.ID(), run.Started.Local().Format("2006-01-02 15:04"),
			len(e.State.Images), decided, left, map[bool]string{true: "going on", false: "unfinished"}[e.Live], strings.Join(run.Args, " "))
	}
	return w.Flush()
}

// resumeRun finishes one run, and reports it.
func resumeRun(ctx context.Context, env *Env, e journal.Entry, opts resumeOptions) error {
	warn := func(format string, args ...any) { fmt.Fprintf(env.Err, "icepak: "+format+"\n", args...) }
	r, err := resume(ctx, env, e.Path, warn)
	if errors.Is(err, journal.ErrLive) {
		return fmt.Errorf("run %s: %w", e.ID(), err)
	}
	if err != nil {
		return err
	}
	defer r.journal.Close()
	// Its paths are from where it was started.
	if run := r.state().Run; run.Dir != "" {
		if err := os.Chdir(run.Dir); err != nil {
			return usageError{err: fmt.Errorf("run %s was started in a folder that is no more: %w", run.ID, err), hint: "icepak resume --forget gives it up"}
		}
	}
	r.opts.source.feed = opts.feed
	if had := r.state().Run.Feed; had != (opts.feed != "") {
		return feedError(e.ID(), had)
	}
	if err := r.settle(ctx, env, warn); err != nil {
		return err
	}
	if did := r.said(); did != "" {
		warn("run %s: %s", e.ID(), did)
	}
	test := r.opts
	test.resumes = r
	err = runTest(ctx, env, test)
	return errors.Join(err, r.cleanAgain(ctx, env, warn))
}

// feedError is the mistake of a --feed that the run did not have, or of none.
func feedError(run string, had bool) error {
	if !had {
		return usagef("run %s had no --feed", run)
	}
	return usageError{err: fmt.Errorf("run %s had --feed, whose URL is kept nowhere", run), hint: "give it again: icepak resume " + run + " --feed URL"}
}

// settleTime bounds what is done for a run that is no more before another begins.
const settleTime = 2 * time.Minute

// settleDead posts and deletes what runs of this machine have left that are no more. What
// is in its way is told, and in nobody else's.
func settleDead(ctx context.Context, env *Env, warn func(string, ...any)) {
	dir := journals(env)
	if dir == "" {
		return
	}
	all, err := journal.List(dir)
	if err != nil {
		warn("whether runs have left something is not known: %v", err)
	}
	host, _ := os.Hostname()
	for _, e := range all {
		if e.Live || e.State == nil || e.State.Run.Host != host {
			continue
		}
		err := settleRun(ctx, env, e, warn)
		if err != nil && !errors.Is(err, journal.ErrLive) && !errors.Is(err, fs.ErrNotExist) {
			warn("run %s, which was not finished: %v; icepak resume %s tries again", e.ID(), err, e.ID())
		}
	}
}

func settleRun(ctx context.Context, env *Env, e journal.Entry, warn func(string, ...any)) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	r, err := resume(ctx, env, e.Path, warn)
	if err != nil {
		return err
	}
	defer r.journal.Close()
	if r.due() {
		if err := r.settle(ctx, env, warn); err != nil {
			return err
		}
		said := r.said()
		if n := r.left(); n > 0 {
			said += fmt.Sprintf("; %s left: icepak resume %s", countIs(n, "image"), e.ID())
		}
		if said != "" {
			warn("run %s, which was not finished: %s", e.ID(), strings.TrimPrefix(said, "; "))
		}
	}
	if r.left() == 0 && r.unclean == nil || r.stale(time.Now()) {
		return r.journal.Remove()
	}
	return nil
}
