package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
	"github.com/upmaru/icepak/spec"
)

// versionJobs plans versions: a job for each type of each. What is wrong with one that
// nobody has named is an error of its images alone.
func (p *planner) versionJobs(ctx context.Context, chosen []*version) ([]runner.Job, error) {
	many := len(chosen) > 1
	if many && !p.remotes.polars() { // what is wrong with a remote is wrong with no version
		if _, err := p.remotes.lanes(ctx); err != nil {
			return nil, err
		}
	}
	for _, v := range chosen {
		if v.err = p.prepare(ctx, v, many); v.err != nil && (v.named || ctx.Err() != nil) {
			return nil, v.err
		}
	}
	// What is not of a wanted type is not asked for.
	chosen = slices.DeleteFunc(chosen, func(v *version) bool { return v.err == nil && len(v.types) == 0 })
	if err := p.lookAll(ctx, chosen); err != nil {
		return nil, err
	}
	var all []runner.Job
	for _, v := range chosen {
		jobs, err := p.jobsFor(ctx, v)
		if err != nil && v.named {
			return nil, err
		}
		if err != nil {
			jobs = []runner.Job{{Image: report.Image{Product: v.key, Serial: v.serial}, Err: err}}
		}
		if p.opts.source.pending && !p.opts.promote && !slices.ContainsFunc(jobs, runner.Job.Pending) {
			continue
		}
		all = append(all, jobs...)
	}
	return all, p.ready(ctx, all)
}

// prepare finds the version's spec, its types and the remotes that can run it.
func (p *planner) prepare(ctx context.Context, v *version, many bool) (err error) {
	if v.spec, v.wanted, err = p.specFor(ctx, v.key); err != nil {
		return err
	}
	all := p.feed.Types(v.key, v.serial)
	v.types = v.wanted.ForTypes(all, v.spec)
	if len(v.types) == 0 {
		if v.named || len(all) == 0 {
			err = usagef("%s %s has no image that is wanted: it has %s", v.key, v.serial, strings.Join(all, ", "))
		}
		return err
	}
	v.on, err = p.remotes.candidates(ctx, p.need(v.key, v.serial, v.types), many)
	return err
}

// preferGPU returns only those of the remotes that have a GPU, where the spec has a check
// that asks for one and there is such a remote: elsewhere it would be skipped.
func preferGPU(ctx context.Context, s *spec.Spec, on []*remote) ([]*remote, error) {
	if !runner.NeedsGPU(s) {
		return on, nil
	}
	var with []*remote
	for _, r := range on {
		gpus, err := r.allGPUs(ctx)
		if err != nil {
			return nil, err
		}
		if len(gpus) > 0 {
			with = append(with, r)
		}
	}
	if len(with) > 0 {
		return with, nil
	}
	return on, nil
}

// lookers is how many versions Polar is asked about at once.
const lookers = 8

// lookAll asks Polar what has passed of the versions, where Polar is asked at all.
func (p *planner) lookAll(ctx context.Context, chosen []*version) error {
	if p.polar == nil {
		return nil
	}
	slots := make(chan struct{}, lookers)
	errs := make([]error, len(chosen))
	var looks sync.WaitGroup
	for i, v := range chosen {
		if v.err != nil {
			continue
		}
		slots <- struct{}{}
		looks.Go(func() {
			v.record, errs[i] = p.look(ctx, v)
			<-slots
		})
	}
	looks.Wait()
	for i, v := range chosen {
		var unknown *polar.NotFoundError
		switch {
		case errors.As(errs[i], &unknown) && !v.named:
			v.err = errs[i]
		case errs[i] != nil:
			return errs[i]
		}
		if v.record == nil {
			continue
		}
		untracked := slices.DeleteFunc(v.record.Untracked, func(name string) bool {
			return len(v.wanted.Checks) > 0 && !slices.Contains(v.wanted.Checks, name)
		})
		if len(untracked) > 0 {
			p.warn("Polar does not track %s: what comes of it counts here and is not posted", strings.Join(untracked, ", "))
		}
		if p.opts.narrow {
			v.record.Narrow(v.wanted)
		}
	}
	return nil
}

// look asks Polar what has passed of the version.
func (p *planner) look(ctx context.Context, v *version) (*runner.Record, error) {
	product, err := p.polar.Product(ctx, v.key)
	if err != nil {
		return nil, err
	}
	cluster, err := p.remotes.clusterID(v.on[0], archOf(v.key))
	if err != nil {
		return nil, err
	}
	return runner.Look(ctx, p.polar, product, v.serial, cluster, v.spec, p.feed.Types(v.key, v.serial))
}

// jobsFor plans one version: a job for each of its types.
func (p *planner) jobsFor(ctx context.Context, v *version) ([]runner.Job, error) {
	if v.err != nil {
		return nil, v.err
	}
	var jobs []runner.Job
	for _, typ := range v.types {
		on := v.on
		if typ == "virtual-machine" {
			on = slices.DeleteFunc(slices.Clone(on), func(r *remote) bool { return !r.server.SupportsVM() })
		}
		if len(on) == 0 {
			p.warn("%s %s is not tested as a virtual machine: %s", v.key, v.serial, runNo(v.on, "none"))
			continue
		}
		on, err := preferGPU(ctx, v.spec, on)
		if err != nil {
			return nil, err
		}
		job, err := p.feedJob(v, typ, on)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	if len(jobs) == 0 {
		return nil, fmt.Errorf("%s %s: %s, and there is no container image", v.key, v.serial, runNo(v.on, "no virtual machines"))
	}
	return jobs, nil
}

// runNo says of which remotes it is that they run none of something.
func runNo(on []*remote, what string) string {
	if len(on) == 1 {
		return on[0].name + " runs " + what
	}
	return strings.Join(remoteNames(on), ", ") + " run " + what
}
