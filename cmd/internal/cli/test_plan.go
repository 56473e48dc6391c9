package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
	"github.com/upmaru/icepak/spec"
)

var (
	errNoSource = errors.New("nothing to test is named")
	errNoFeed   = errors.New("the testing channel is not known")
)

// A planner turns options into jobs: it asks the feed, Polar and the remote.
type planner struct {
	env     *Env
	opts    testOptions
	specs   *specs
	remotes *remotes
	owner   runner.Owner
	feed    *simplestreams.Feed
	polar   *polar.Client                             // nil where Polar is not asked
	probes  map[string]func() (runner.Program, error) // by architecture; nil: they are not kept
	warn    func(format string, args ...any)
	began   func(run string) // told of the run's id, before anything else
}

func (p *planner) close() {
	if p.remotes != nil {
		p.remotes.close()
	}
}

// own makes this process the owner of the run's instances. A run that is resumed keeps
// its id: by that they are found.
func (p *planner) own() {
	p.owner = runner.NewOwner(time.Now())
	if p.opts.resumes != nil {
		p.owner.Run = p.opts.resumes.state().Run.ID
	}
	p.probes = map[string]func() (runner.Program, error){}
	if !p.opts.source.local { // it is unpacked while it is found out what is tested
		ahead := p.finder(runtime.GOARCH)
		p.probes[runtime.GOARCH] = ahead
		go func() { _, _ = ahead() }()
	}
	p.began(p.owner.Run)
}

// jobs returns the jobs of the run.
func (p *planner) jobs(ctx context.Context) ([]runner.Job, error) {
	if p.opts.source.local {
		return p.localJobs()
	}
	var err error
	if p.remotes, err = newRemotes(p.env, p.opts.remote, p.warn); err != nil {
		return nil, err
	}
	src := p.opts.source
	p.remotes.launch = src.instance == ""
	switch {
	case src.image != "":
		return p.imageJobs(ctx)
	case src.path != "":
		return p.pathJobs(ctx)
	case src.instance != "":
		return p.instanceJobs(ctx)
	}
	return p.productJobs(ctx)
}

// gpusFor looks for GPUs where the spec has a check that depends on one.
func gpusFor(ctx context.Context, s *spec.Spec, server *lxd.Server) ([]lxd.GPU, error) {
	if !runner.NeedsGPU(s) {
		return nil, nil
	}
	return server.GPUs(ctx)
}

// place is where a job's checks are evaluated. where says whose the GPUs are.
func (p *planner) place(arch, typ, where string, gpus []lxd.GPU) runner.Place {
	return runner.Place{Arch: arch, Type: typ, GPUs: gpus, Where: where, RequireGPU: p.opts.requireGPU}
}

// launcher is the host of an image that is launched, with what its checks need.
func (p *planner) launcher(ctx context.Context, on *remote, s *spec.Spec, img report.Image, place runner.Place, all []runner.Check, src lxd.Source) (*runner.Remote, error) {
	probe, err := p.probe(place.Arch)
	if err != nil {
		return nil, err
	}
	p.clean(ctx, on)
	return p.host(on, s, img, place, all, src, probe), nil
}

// host is where an image is launched.
func (p *planner) host(on *remote, s *spec.Spec, img report.Image, place runner.Place, all []runner.Check, src lxd.Source, probe runner.Program) *runner.Remote {
	req := lxd.Request{Type: place.Type, Source: src, Profiles: s.Instance.Profiles, Config: s.Instance.Config, Devices: s.Instance.Devices, Target: on.target}
	runner.AddGPU(&req, on.server.HasExtension, place.GPUs, all)
	owner := p.owner
	owner.Until = time.Now().Add(2*p.opts.timeout + time.Hour) // also where its turn comes late
	return &runner.Remote{
		Server: on.server, Name: runner.InstanceName(img.Product), Request: req,
		Owner: owner, Keep: runner.Keep(p.opts.keep), Probe: probe,
		Agent: runner.AgentWait{Limit: time.Duration(runner.ReadyFor(s.Instance.Ready, place.Type).Timeout)},
	}
}

// localJobs plans this machine.
func (p *planner) localJobs() ([]runner.Job, error) {
	s, err := p.specs.forMachine()
	if err != nil {
		return nil, err
	}
	wanted, err := p.wanted(s)
	if err != nil {
		return nil, err
	}
	job := runner.NewJob(machine(), s, p.place(runtime.GOARCH, "machine", "", runner.LocalGPUs()), wanted, nil, p.opts.timeout)
	job.Host, err = localHost()
	return []runner.Job{job}, err
}

// localHost is this machine, where relative paths start from the working directory.
func localHost() (runner.Local, error) {
	dir, err := os.Getwd()
	system := checks.Local()
	system.Dir = dir
	return runner.Local{System: system}, err
}

// machine names this machine as if it were an image.
func machine() report.Image {
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	return report.Image{Product: name, Type: "machine"}
}

// specFor returns the product's spec, and what the options ask for of it. Of a check
// that the spec does not have, it says whether Polar has it.
func (p *planner) specFor(ctx context.Context, key string) (*spec.Spec, runner.Wanted, error) {
	s, err := p.specs.forProduct(key)
	if err != nil {
		return nil, runner.Wanted{}, err
	}
	wanted, err := p.wanted(s)
	var unknown *spec.UnknownCheckError
	if p.polar == nil || !errors.As(err, &unknown) {
		return s, wanted, err
	}
	tracked, err := p.polar.Checks(ctx)
	if err != nil {
		return nil, wanted, err
	}
	var slugs []string
	for _, c := range tracked {
		if c.Slug == unknown.Name {
			return nil, wanted, usageError{
				err:  fmt.Errorf("polar tracks the check %q, but %s does not have it: it cannot be evaluated", c.Slug, s.Path),
				hint: "name a spec that has it with --spec",
			}
		}
		slugs = append(slugs, c.Slug)
	}
	hint := fmt.Sprintf("%s has %s; Polar tracks %s", s.Path, strings.Join(unknown.Known, ", "), strings.Join(slugs, ", "))
	if unknown.Suggestion != "" {
		hint = fmt.Sprintf("did you mean %q? %s", unknown.Suggestion, hint)
	}
	return nil, wanted, usageError{err: unknown, hint: hint}
}

// wanted is what the options ask for of the spec. The spec itself stays whole: what
// is not wanted now may still stand in the way of a promotion.
func (p *planner) wanted(s *spec.Spec) (runner.Wanted, error) {
	w := runner.Wanted{Types: p.opts.types, Force: p.opts.force}
	if len(p.opts.checks) == 0 {
		return w, nil
	}
	part := *s
	if err := part.Select(p.opts.checks); err != nil {
		return w, err
	}
	for _, c := range part.Checks {
		w.Checks = append(w.Checks, c.Name)
	}
	return w, nil
}

// archOf is the architecture in a product's key.
func archOf(key string) string {
	parts := strings.Split(key, ":")
	if len(parts) != 4 {
		return runtime.GOARCH
	}
	return parts[2]
}

func userAgent(env *Env) string { return "icepak/" + env.Version }

// wantsType tells whether --type lets the type through.
func (p *planner) wantsType(typ string) bool {
	return len(p.opts.types) == 0 || slices.Contains(p.opts.types, typ)
}
