package cli

import (
	"context"

	"github.com/upmaru/icepak/cmd/internal/journal"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// plan returns the jobs of the run: of a new one, or of one that is resumed.
func (p *planner) plan(ctx context.Context) ([]runner.Job, error) {
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
	images := p.opts.resumes.state().Images
	p.own()
	fresh, err := p.undecidedJobs(ctx, images)
	if err == nil && p.polar == nil {
		p.polar, err = p.opts.resumes.client(ctx, p.env)
	}
	if err != nil {
		return nil, err
	}
	var jobs []runner.Job
	for _, img := range images {
		job := img.Resumed()
		again := found(fresh, img.Job.Image)
		switch {
		case img.Decided() && img.Promoted && job.Decided != nil:
			job.Version, job.Decided.Promotion = nil, report.Promoted
		case img.Decided() && again != nil:
			job.Version = again.Version // as Polar knows it now
		case img.Decided():
		case again == nil:
			job.Nothing, job.Decided = "it is not there any more; nothing is launched", nil
		default:
			if again.Spec != img.Job.Spec {
				p.warn("%s has changed since the run began: %s is tested with it as it is now", again.Image.Spec, again.Image.Product)
			}
			job = *again
			p.opts.resumes.journal.Plan(job)
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

func found(jobs []runner.Job, img report.Image) *runner.Job {
	for i := range jobs {
		if jobs[i].Image.Is(img) {
			return &jobs[i]
		}
	}
	return nil
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
	type version struct{ product, serial string }
	planned := map[version]bool{}
	var jobs []runner.Job
	for _, img := range images {
		v := version{img.Job.Image.Product, img.Job.Image.Serial}
		if img.Decided() || planned[v] {
			continue
		}
		planned[v] = true
		if !p.feed.Has(v.product, v.serial) {
			p.warn("%s %s is not in the channel any more", v.product, v.serial)
			continue
		}
		p.opts.source.serial = v.serial
		more, err := p.product(ctx, v.product)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, more...)
	}
	return jobs, nil
}
