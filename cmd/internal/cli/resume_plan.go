package cli

import (
	"context"
	"slices"

	"github.com/upmaru/icepak/cmd/internal/journal"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// plan returns the jobs of the run: of a new one, or of one that is resumed.
func (p *planner) plan(ctx context.Context) ([]runner.Job, error) {
	p.own()
	if p.opts.resumes != nil {
		return p.resumedJobs(ctx)
	}
	if !p.opts.source.local && p.opts.source.instance == "" {
		settleDead(ctx, p.env, p.warn)
	}
	return p.jobs(ctx)
}

// resumedJobs are the jobs of the run that is resumed, in its order: what was decided as
// it was decided, and the rest as it is planned now.
func (p *planner) resumedJobs(ctx context.Context) ([]runner.Job, error) {
	images := slices.Clone(p.opts.resumes.state().Images)
	fresh, err := p.undecidedJobs(ctx, images)
	if err == nil && p.polar == nil {
		p.polar, err = p.opts.resumes.client(ctx, p.env)
	}
	if err != nil {
		return nil, err
	}
	var jobs []runner.Job
	for _, img := range images {
		again := of(fresh, img.Job.Image)
		switch {
		case img.Decided():
			jobs = append(jobs, decided(img, again))
		case len(again) == 0:
			jobs = append(jobs, runner.Job{Image: img.Job.Image, Nothing: "it is not there any more; nothing is launched"})
		default:
			jobs = append(jobs, p.anew(img, again)...)
		}
	}
	return jobs, nil
}

// of lists the jobs of the image: one, or all of its version where one of both could not
// be planned and its types are not known.
func of(jobs []runner.Job, img report.Image) []runner.Job {
	var found []runner.Job
	for _, job := range jobs {
		whole := job.Image.Type == "" || img.Type == ""
		if job.Image.Is(img) || whole && job.Image.Product == img.Product && job.Image.Serial == img.Serial {
			found = append(found, job)
		}
	}
	return found
}

// decided is the job of an image that was decided, whose version is as Polar knows it now.
func decided(img *journal.Progress, again []runner.Job) runner.Job {
	job := img.Resumed()
	switch {
	case img.Promoted && job.Decided != nil:
		job.Version, job.Decided.Promotion = nil, report.Promoted
	case len(again) > 0 && again[0].Version != nil:
		job.Version = again[0].Version
	}
	return job
}

// anew are the jobs of an image that was not decided.
func (p *planner) anew(img *journal.Progress, again []runner.Job) []runner.Job {
	for i := range again {
		job := &again[i]
		if job.Image.Type == "" { // it cannot be planned, which is an error of its own
			job.Image = img.Job.Image
		}
		if img.Job.Spec != "" && job.Spec != "" && job.Spec != img.Job.Spec {
			p.warn("%s has changed since the run began: %s is tested with it as it is now", job.Image.Spec, job.Image.Product)
		}
		p.opts.resumes.journal.Plan(*job)
	}
	return again
}

// undecidedJobs plans what the images are of that are not decided: whole versions, where
// they come from a feed, as all types of a version count for its promotion.
func (p *planner) undecidedJobs(ctx context.Context, images []*journal.Progress) ([]runner.Job, error) {
	if p.opts.resumes.left() == 0 {
		return nil, nil
	}
	if !p.opts.source.fromFeed() {
		return p.jobs(ctx)
	}
	var err error
	if p.remotes, err = newRemotes(p.env, p.opts.remote, p.warn); err != nil {
		return nil, err
	}
	if err := p.ask(ctx); err != nil {
		return nil, err
	}
	var versions []*version
	planned := map[[2]string]bool{}
	for _, img := range images {
		key, serial := img.Job.Image.Product, img.Job.Image.Serial
		id := [2]string{key, serial}
		if img.Decided() || planned[id] {
			continue
		}
		planned[id] = true
		if !p.feed.Has(key, serial) {
			p.warn("%s %s is not in the channel any more", key, serial)
			continue
		}
		versions = append(versions, &version{key: key, serial: serial})
	}
	p.opts.source.pending = false // what was pending then is told by the journal
	return p.versionJobs(ctx, versions)
}
