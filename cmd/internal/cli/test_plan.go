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
	polar   *polar.Client             // nil where Polar is not asked
	probes  map[string]runner.Program // by architecture; nil: they are not kept
	warn    func(format string, args ...any)
	began   func(run string) // told of the run's id
}

func (p *planner) close() {
	if p.remotes != nil {
		p.remotes.close()
	}
}

// jobs returns the jobs of the run.
func (p *planner) jobs(ctx context.Context) ([]runner.Job, error) {
	p.owner = runner.NewOwner(time.Now())
	p.began(p.owner.Run)
	p.probes = map[string]runner.Program{}
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
	chosen, others, err := p.choose(ctx)
	if err != nil {
		return nil, err
	}
	jobs, err := p.versionJobs(ctx, chosen)
	if err == nil && len(jobs)+len(others) == 0 {
		p.warn("nothing is left to be tested")
	}
	return append(others, jobs...), err
}

// nothingInTesting says why nothing is done for a product.
const nothingInTesting = "no version is in the testing channel; nothing is launched"

// absent deals with a product that the feed does not list. One that Polar knows
// has simply nothing in testing.
func (p *planner) absent(ctx context.Context, name string, unknown error) ([]runner.Job, error) {
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
	return []runner.Job{{Image: report.Image{Product: name}, Nothing: nothingInTesting}}, nil
}

// warnHidden warns of versions that LXD does not see.
func (p *planner) warnHidden(key string) {
	for _, hidden := range p.feed.Hidden(key) {
		p.warn("%s %s is left out: LXD sees no version whose serial does not start with a date, as in 20260131", key, hidden)
	}
}

// serial is the version's: the one that was asked for, else the newest. It is
// empty where the product has none.
func (p *planner) serial(key string) (string, error) {
	serials := p.feed.Serials(key)
	p.warnHidden(key)
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

// feedJob plans one image of a feed, which may be launched on any of the remotes that
// see it there.
func (p *planner) feedJob(v *version, typ string, on []*remote) (runner.Job, error) {
	images := map[string]simplestreams.Image{} // LXD and Incus see different ones
	var unseen error
	on = slices.DeleteFunc(slices.Clone(on), func(r *remote) bool {
		img, err := p.feed.ImageFor(metadataOf(r.server), v.key, v.serial, typ)
		if err != nil {
			unseen = p.unread(err, r, v.key, v.serial, typ)
			return true
		}
		images[r.name] = img
		return false
	})
	if len(on) == 0 {
		return runner.Job{}, unseen
	}
	at := func(on *remote) (runner.Job, runner.Place) {
		img := images[on.name]
		image := report.Image{Product: v.key, Serial: v.serial, Type: typ, Remote: on.name, Fingerprint: img.Fingerprint}
		place := p.place(archOf(v.key), typ, "on "+on.name, on.gpusFor(v.spec))
		return runner.NewJob(image, v.spec, place, v.wanted, v.record, p.opts.timeout), place
	}
	job, _ := at(on[0])
	if job.Nothing != "" {
		return job, nil
	}
	job.Remotes = remoteNames(on)
	job.Alone = typ == "virtual-machine" && runner.NeedsGPU(v.spec) // it takes a card from its host
	job.Place = func(name string) (runner.Job, error) {
		on := p.remotes.open[name]
		img, metadata := images[name], metadataOf(on.server)
		placed, place := at(on)
		probe, err := p.probe(place.Arch)
		host := p.host(on, v.spec, placed.Image, place, placed.Checks, lxd.Source{Fingerprint: img.Fingerprint, Server: p.feed.URL}, probe)
		host.Files = map[string]int64{img.Metadata.FileType: img.Metadata.Size, img.Root.FileType: img.Root.Size}
		host.Requirements = p.feed.Requirements(metadata, v.key)
		placed.Host = host
		return placed, err
	}
	return job, nil
}

// ready readies the remotes that images of a feed may be launched on.
func (p *planner) ready(ctx context.Context, jobs []runner.Job) error {
	for _, job := range jobs {
		if job.Place == nil {
			continue
		}
		if _, err := p.probe(archOf(job.Image.Product)); err != nil {
			return err
		}
		for _, name := range job.Remotes {
			p.clean(ctx, p.remotes.open[name])
		}
	}
	return ctx.Err()
}

// clean deletes what earlier runs left on the remote.
func (p *planner) clean(ctx context.Context, on *remote) {
	if err := p.remotes.clean(ctx, on); err != nil {
		p.warn("what earlier runs left on %s is not cleaned up: %v", on.name, err)
	}
}

// metadataOf is the item of image feeds that the server reads.
func metadataOf(server *lxd.Server) string {
	if server.IsIncus() {
		return simplestreams.IncusMetadata
	}
	return simplestreams.LXDMetadata
}

// unread says of an image that is in the feed, but not for the server, that it is a
// mistake to ask for it there.
func (p *planner) unread(err error, on *remote, key, serial, typ string) error {
	other, otherErr := p.feed.Image(key, serial, typ)
	if otherErr != nil {
		return err
	}
	return usageError{
		err:  fmt.Errorf("%s does not see %s %s: the feed has only %s, and that server reads %s", on.name, key, serial, other.Metadata.FileType, metadataOf(on.server)),
		hint: "name the feed for that server, or a remote that is an LXD (lxd.tar.xz) or an Incus (incus.tar.xz)",
	}
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
