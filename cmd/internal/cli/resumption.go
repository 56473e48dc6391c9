package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/upmaru/icepak/cmd/internal/journal"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// A resumption is a run that is no more, and whose journal is ours now.
type resumption struct {
	journal *journal.Journal
	opts    testOptions // of the run

	posted, promoted, deleted int
	cleaned                   []string // remotes
	unclean                   error    // what kept something from being deleted
}

// resume takes the run's journal over. The error is journal.ErrLive where the run is
// not over.
func resume(ctx context.Context, env *Env, path string, warn func(string, ...any)) (*resumption, error) {
	j, err := journal.Open(path, func(err error) { warn("the run's journal cannot be written: %v", err) })
	if err != nil {
		return nil, err
	}
	r := &resumption{journal: j}
	if r.opts, err = optionsOf(ctx, env, j.State().Run.Args); err != nil {
		_ = j.Close()
		return nil, fmt.Errorf("%s: what the run was asked for: %w", path, err)
	}
	return r, nil
}

// optionsOf is what the command line of icepak test or validate asks for.
func optionsOf(ctx context.Context, env *Env, line []string) (opts testOptions, err error) {
	take := func(_ context.Context, o testOptions) error { opts = o; return nil }
	root := &cobra.Command{SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(newTestCommand(env, take), newValidateCommand(env, take))
	root.SetArgs(line)
	if err = root.ExecuteContext(ctx); err == nil {
		opts.complete()
	}
	return opts, err
}

func (r *resumption) state() *journal.State { return r.journal.State() }

// due tells whether there is something to be done for the run without launching
// anything.
func (r *resumption) due() bool {
	if r.unposted() > 0 || r.state().Run.Promote && r.left() == 0 {
		return true
	}
	return slices.ContainsFunc(r.state().Images, func(p *journal.Progress) bool { return len(p.Left) > 0 })
}

// left counts the images that are not decided.
func (r *resumption) left() int {
	n := 0
	for _, p := range r.state().Images {
		if !p.Decided() {
			n++
		}
	}
	return n
}

// settle deletes what the run has left, posts what it had decided, and promotes what
// is complete. It launches nothing. That a remote is gone is in the way of nothing else.
func (r *resumption) settle(ctx context.Context, env *Env, warn func(string, ...any)) error {
	remotes, client, err := r.connect(ctx, env, warn)
	if err != nil {
		return err
	}
	defer remotes.close()
	if client != nil {
		defer client.Close()
	}
	if r.unclean = r.clean(ctx, remotes, warn); r.unclean != nil {
		warn("what run %s left is not all deleted: %v; icepak clean tries again", r.state().Run.ID, r.unclean)
	}
	return r.post(ctx, client, warn)
}

// connect readies the remotes that the run used, and a client of Polar where Polar was
// told of the run.
func (r *resumption) connect(ctx context.Context, env *Env, warn func(string, ...any)) (*remotes, *polar.Client, error) {
	client, err := r.client(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	remotes, err := newRemotes(env, r.opts.remote, warn)
	if err == nil && client != nil {
		err = remotes.useClusters(ctx, client)
	}
	return remotes, client, err
}

// client is one of Polar, where the run told Polar of its verdicts.
func (r *resumption) client(ctx context.Context, env *Env) (*polar.Client, error) {
	told := r.state().Run.Endpoint
	if told == "" {
		return nil, nil
	}
	src := r.opts.source
	if src.password == "" || src.testing == "" {
		return nil, usageError{err: errors.New("the run's verdicts are for Polar"), hint: "set POLAR_AUTH_TOKEN and TESTING_IMAGE_SERVER as they were"}
	}
	if strings.TrimRight(src.endpoint, "/") != told {
		return nil, usageError{err: fmt.Errorf("the run's verdicts are for %s, not for %s", told, src.endpoint), hint: "set POLAR_ENDPOINT as it was"}
	}
	return src.client(ctx, env)
}

// clean deletes the instances that the run has left, and images that were brought
// for them only.
func (r *resumption) clean(ctx context.Context, remotes *remotes, warn func(string, ...any)) error {
	var errs []error
	done := map[string]error{}
	for _, p := range r.state().Images {
		for _, name := range slices.Sorted(maps.Keys(p.Left)) {
			err, seen := done[name]
			if !seen {
				err = r.cleanRemote(ctx, remotes, name, warn)
				done[name] = err
				r.cleaned = append(r.cleaned, name)
				errs = append(errs, err)
			}
			if fetched := p.Left[name]; err == nil && fetched != "" {
				err = r.dropImage(ctx, remotes, name, fetched)
				errs = append(errs, err)
			}
			if err == nil {
				image := p.Job.Image
				image.Remote = name
				r.journal.Note(runner.Step{Kind: runner.Cleaned, Image: image})
			}
		}
	}
	return errors.Join(errs...)
}

func (r *resumption) cleanRemote(ctx context.Context, remotes *remotes, name string, warn func(string, ...any)) error {
	on, err := remotes.called(ctx, name)
	if err != nil {
		return err
	}
	found, err := runner.LeftBy(ctx, on.server, r.state().Run.ID)
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range found {
		if l.Kept {
			warn("%s on %s may have been kept on purpose: icepak clean --kept deletes it", l.Name, name)
			continue
		}
		if err := on.server.DeleteInstance(ctx, l.Project, l.Name); err != nil {
			errs = append(errs, fmt.Errorf("delete %s: %w", l.Name, err))
			continue
		}
		r.deleted++
	}
	return errors.Join(errs...)
}

// cleanAgain deletes what appeared since: a server goes on with what it was asked for
// when whoever asked was killed.
func (r *resumption) cleanAgain(ctx context.Context, env *Env, warn func(string, ...any)) error {
	if len(r.cleaned) == 0 || ctx.Err() != nil {
		return nil
	}
	remotes, client, err := r.connect(ctx, env, warn)
	if err != nil {
		return err
	}
	defer remotes.close()
	if client != nil {
		client.Close()
	}
	var errs []error
	for _, name := range r.cleaned {
		errs = append(errs, r.cleanRemote(ctx, remotes, name, func(string, ...any) {}))
	}
	return errors.Join(errs...)
}

func (r *resumption) dropImage(ctx context.Context, remotes *remotes, name, fingerprint string) error {
	on, err := remotes.called(ctx, name)
	if err != nil {
		return err
	}
	return on.server.DeleteImage(ctx, fingerprint)
}

// post posts what was decided, and promotes the versions of which all is.
func (r *resumption) post(ctx context.Context, client *polar.Client, warn func(string, ...any)) error {
	if client == nil {
		return nil
	}
	complete := map[*runner.Version]bool{}
	for _, p := range r.state().Images {
		if v := p.Job.Version; v != nil {
			before, known := complete[v]
			complete[v] = p.Decided() && !p.Promoted && (before || !known)
		}
	}
	var whole, parts []runner.Job
	for _, p := range r.state().Images {
		switch {
		case complete[p.Job.Version] && r.state().Run.Promote:
			whole = append(whole, p.Resumed())
		case len(p.Unposted()) > 0 || p.Result != nil && p.Job.Version != nil && !p.Reported:
			parts = append(parts, p.Resumed())
		}
	}
	told := map[string]bool{}
	tell := func(warning string) {
		if !told[warning] {
			told[warning] = true
			warn("%s", warning)
		}
	}
	run := runner.Runner{Tracker: client, Journal: r.journal, Version: r.state().Run.Version, Emit: func(e report.Event) {
		if e.Kind == report.Warning {
			tell(e.Detail)
		}
	}}
	before := r.unposted()
	sums := []report.Summary{run.Run(ctx, parts)}
	run.Promote = true
	sums = append(sums, run.Run(ctx, whole))
	r.posted += before - r.unposted()
	waiting := 0
	for _, sum := range sums {
		waiting += sum.Waiting
		for _, w := range sum.Warnings {
			tell(w)
		}
	}
	r.promoted += r.versions(whole)
	if waiting > 0 {
		return errors.New("polar does not answer, and lacks something of the run")
	}
	return ctx.Err()
}

// unposted counts the verdicts that are still to be posted.
func (r *resumption) unposted() int {
	n := 0
	for _, p := range r.state().Images {
		n += len(p.Unposted())
	}
	return n
}

// versions counts the versions of the jobs that are promoted now.
func (r *resumption) versions(jobs []runner.Job) int {
	promoted := map[*runner.Version]bool{}
	for _, p := range r.state().Images {
		for _, j := range jobs {
			if p.Promoted && p.Job.Version != nil && j.Version == p.Job.Version {
				promoted[j.Version] = true
			}
		}
	}
	return len(promoted)
}

// said is what settle has done, for people; it is empty where that was nothing.
func (r *resumption) said() string {
	var did []string
	for _, part := range []struct {
		n     int
		thing string
		verb  string
	}{{r.posted, "verdict", "posted"}, {r.promoted, "version", "promoted"}, {r.deleted, "instance", "deleted"}} {
		if part.n > 0 {
			did = append(did, countIs(part.n, part.thing)+" "+part.verb)
		}
	}
	return strings.Join(did, ", ")
}

// staleAfter is how long an unfinished run is kept that has nothing to post.
const staleAfter = 7 * 24 * time.Hour

// stale tells whether nobody will miss the rest of the run.
func (r *resumption) stale(now time.Time) bool {
	return now.Sub(r.state().Run.Started) > staleAfter && r.unposted() == 0
}
