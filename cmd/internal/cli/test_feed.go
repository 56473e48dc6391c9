package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// productJobs plans the products of a feed.
func (p *planner) productJobs(ctx context.Context) ([]runner.Job, error) {
	if err := p.ask(ctx); err != nil {
		return nil, err
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

// ask reads the feed, and has Polar name its clusters where it is told of the run.
func (p *planner) ask(ctx context.Context) error {
	src := p.opts.source
	feedURL := src.feed
	if feedURL == "" {
		feedURL = src.testing
	}
	var err error
	if p.feed, err = simplestreams.Fetch(ctx, http.DefaultClient, feedURL); err != nil {
		return err
	}
	switch {
	case src.tracked():
		if p.polar, err = src.client(ctx, p.env); err != nil {
			return err
		}
		return p.remotes.useClusters(ctx, p.polar)
	case src.feed == "":
		p.warn("POLAR_AUTH_TOKEN is not set: results are not posted")
	}
	return nil
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
