package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	polar   *polar.Client // nil where Polar is not asked
	warn    func(format string, args ...any)
}

func (p *planner) close() {
	if p.remotes != nil {
		p.remotes.close()
	}
}

// jobs returns the jobs of the run.
func (p *planner) jobs(ctx context.Context) ([]runner.Job, error) {
	p.owner = runner.NewOwner(time.Now().Add(p.opts.timeout*time.Duration(max(1, 2*len(p.opts.source.products))) + time.Hour))
	if p.opts.source.local {
		return p.localJobs()
	}
	var err error
	if p.remotes, err = newRemotes(p.env, p.opts.remote, p.warn); err != nil {
		return nil, err
	}
	src := p.opts.source
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

// productJobs plans the products of a feed.
func (p *planner) productJobs(ctx context.Context) ([]runner.Job, error) {
	src := p.opts.source
	feedURL := src.feed
	if feedURL == "" {
		feedURL = src.testing
	}
	var err error
	if p.feed, err = simplestreams.Fetch(ctx, http.DefaultClient, feedURL); err != nil {
		return nil, err
	}
	switch {
	case src.tracked():
		p.polar, err = polar.New(src.endpoint, polar.Options{
			UserAgent: userAgent(p.env), Actor: actor(p.env),
			TestingFeed: polar.Secret(src.testing), ActiveFeed: polar.Secret(src.active),
		})
		if err != nil {
			return nil, err
		}
		if err := p.polar.Authenticate(ctx, src.password); err != nil {
			return nil, err
		}
		if err := p.remotes.useClusters(ctx, p.polar); err != nil {
			return nil, err
		}
	case src.feed == "":
		p.warn("POLAR_AUTH_TOKEN is not set: results are not posted")
	}
	var jobs []runner.Job
	for _, name := range src.products {
		if p.opts.readmit {
			job, err := p.readmit(ctx, name)
			if err != nil {
				return nil, err
			}
			if job != nil {
				jobs = append(jobs, *job)
				continue
			}
		}
		more, err := p.product(ctx, name)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, more...)
	}
	return jobs, nil
}

// product plans one product: a job for each type of its version.
func (p *planner) product(ctx context.Context, name string) ([]runner.Job, error) {
	key, err := p.feed.Resolve(name, p.remotes.arch(ctx, name))
	if err != nil {
		return p.absent(ctx, name, err)
	}
	serial, err := p.serial(key)
	if err != nil {
		return nil, err
	}
	if serial == "" {
		return p.absent(ctx, key, nil)
	}
	s, wanted, err := p.specFor(ctx, key)
	if err != nil {
		return nil, err
	}
	types := wanted.ForTypes(p.feed.Types(key, serial), s)
	if len(types) == 0 {
		return nil, usagef("%s %s has no image that is wanted: it has %s", key, serial,
			strings.Join(p.feed.Types(key, serial), ", "))
	}
	remote, err := p.remotes.find(ctx, p.need(key, serial, types))
	if err != nil {
		return nil, err
	}
	record, err := p.record(ctx, key, serial, remote, s, wanted)
	if err != nil {
		return nil, err
	}
	var jobs []runner.Job
	for _, typ := range types {
		if typ == "virtual-machine" && !remote.server.SupportsVM() {
			p.warn("%s %s is not tested as a virtual machine: %s runs none", key, serial, remote.name)
			continue
		}
		job, err := p.feedJob(ctx, key, serial, typ, remote, s, wanted, record)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job)
	}
	if len(jobs) == 0 {
		return nil, fmt.Errorf("%s %s: %s runs no virtual machines, and there is no container image", key, serial, remote.name)
	}
	return jobs, nil
}

// absent deals with a product that the feed does not list. One that Polar knows
// has simply nothing in testing.
func (p *planner) absent(ctx context.Context, name string, unknown error) ([]runner.Job, error) {
	why := "no version is in the testing channel; nothing is launched"
	if p.polar != nil && strings.Count(name, ":") == 3 {
		product, err := p.polar.Product(ctx, simplestreams.Canonical(name))
		var notThere *polar.NotFoundError
		switch {
		case errors.As(err, &notThere) && unknown != nil:
			return nil, unknown // which names what is near
		case err != nil:
			return nil, err
		}
		name, unknown = product.Key, nil
		if serial := p.opts.source.serial; serial != "" {
			job, err := p.promotedAlready(ctx, name, serial)
			if job == nil && err == nil {
				err = usagef("%s %s is not in the testing channel: it is unknown, promoted already, or withdrawn", name, serial)
			}
			if err != nil {
				return nil, err
			}
			return []runner.Job{*job}, nil
		}
	}
	if unknown != nil {
		return nil, unknown
	}
	return []runner.Job{{Image: report.Image{Product: name}, Nothing: why}}, nil
}

// serial is the version's: the one that was asked for, else the newest. It is
// empty where the product has none.
func (p *planner) serial(key string) (string, error) {
	serials := p.feed.Serials(key)
	for _, hidden := range p.feed.Hidden(key) {
		p.warn("%s %s is left out: LXD sees no version whose serial does not start with a date, as in 20260131", key, hidden)
	}
	want := p.opts.source.serial
	switch {
	case want == "" && len(serials) == 0:
		return "", nil
	case want == "":
		return serials[0], nil
	}
	for _, s := range serials {
		if strings.EqualFold(s, want) {
			return s, nil
		}
	}
	return "", usageError{
		err:  fmt.Errorf("%s has no version %s in this channel", key, want),
		hint: "it has " + strings.Join(serials, ", "),
	}
}

// record asks Polar what has passed, where Polar is asked at all.
func (p *planner) record(ctx context.Context, key, serial string, on *remote, s *spec.Spec, w runner.Wanted) (*runner.Record, error) {
	if p.polar == nil {
		return nil, nil
	}
	product, err := p.polar.Product(ctx, key)
	if err != nil {
		return nil, err
	}
	cluster, err := p.remotes.clusterID(on, archOf(key))
	if err != nil {
		return nil, err
	}
	record, err := runner.Look(ctx, p.polar, product, serial, cluster, s, p.feed.Types(key, serial))
	if err != nil {
		return nil, err
	}
	untracked := slices.DeleteFunc(record.Untracked, func(name string) bool { return len(w.Checks) > 0 && !slices.Contains(w.Checks, name) })
	if len(untracked) > 0 {
		p.warn("Polar does not track %s: what comes of it counts here and is not posted", strings.Join(untracked, ", "))
	}
	if p.opts.narrow {
		record.Narrow(w)
	}
	return record, nil
}

// feedJob plans one image of a feed.
func (p *planner) feedJob(ctx context.Context, key, serial, typ string, on *remote, s *spec.Spec, w runner.Wanted, record *runner.Record) (runner.Job, error) {
	img, err := p.feed.Image(key, serial, typ)
	if err != nil {
		return runner.Job{}, err
	}
	gpus, err := gpusFor(ctx, s, on.server)
	if err != nil {
		return runner.Job{}, err
	}
	image := report.Image{Product: key, Serial: serial, Type: typ, Remote: on.name, Fingerprint: img.Fingerprint}
	place := p.place(archOf(key), typ, "on "+on.name, gpus)
	job := runner.NewJob(image, s, place, w, record, p.opts.timeout)
	if job.Nothing != "" {
		return job, nil
	}
	host, err := p.launcher(ctx, on, s, image, place, job.Checks, lxd.Source{Fingerprint: img.Fingerprint, Server: p.feed.URL})
	if err != nil {
		return job, err
	}
	host.Files = map[string]int64{img.Metadata.FileType: img.Metadata.Size, img.Root.FileType: img.Root.Size}
	host.Requirements = p.feed.Requirements(key)
	job.Host = host
	return job, nil
}

// need is what the version asks of the server that it is launched on.
func (p *planner) need(key, serial string, types []string) need {
	n := need{arch: archOf(key), vm: slices.Contains(types, "virtual-machine"), feed: "lxd"}
	if img, err := p.feed.Image(key, serial, types[0]); err == nil && img.Metadata.FileType == simplestreams.IncusMetadata {
		n.feed = "incus"
	}
	return n
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
	if err := p.remotes.clean(ctx, on); err != nil {
		p.warn("what earlier runs left on %s is not cleaned up: %v", on.name, err)
	}
	req := lxd.Request{Type: place.Type, Source: src, Profiles: s.Instance.Profiles, Config: s.Instance.Config, Devices: s.Instance.Devices}
	runner.AddGPU(&req, on.server.HasExtension, place.GPUs, all)
	return &runner.Remote{
		Server: on.server, Name: runner.InstanceName(img.Product), Request: req,
		Owner: p.owner, Keep: runner.Keep(p.opts.keep), Probe: probe,
		Agent: runner.AgentWait{Limit: time.Duration(runner.ReadyFor(s.Instance.Ready, place.Type).Timeout)},
	}, nil
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
