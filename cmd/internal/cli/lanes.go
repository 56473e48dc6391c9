package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/runner"
	"github.com/upmaru/icepak/spec"
)

// candidates returns the remotes to launch a version's images on, the best first. Polar's
// clusters are all of them only where there is more than one version: one is not worth
// connecting to more than one.
func (r *remotes) candidates(ctx context.Context, n need, many bool) ([]*remote, error) {
	if r.polars() {
		if !many {
			on, err := r.cluster(ctx, n)
			return []*remote{on}, err
		}
		return r.reachable(ctx, n)
	}
	all, err := r.lanes(ctx)
	if err != nil {
		return nil, err
	}
	fit := slices.DeleteFunc(slices.Clone(all), func(on *remote) bool { return !slices.Contains(on.architectures(), n.arch) })
	if len(fit) == 0 {
		if len(all) == 1 {
			return nil, usagef("%s cannot run %s: it runs %s", all[0].name, n.arch, strings.Join(all[0].architectures(), ", "))
		}
		return nil, usagef("none of %s can run %s", strings.Join(remoteNames(all), ", "), n.arch)
	}
	return fit, nil
}

// polars tells whether Polar's clusters are used: where Polar was asked for them, and no
// remote is named.
func (r *remotes) polars() bool { return r.asked && r.opts.name == "" }

// architectures are what the remote runs, the native one first.
func (r *remote) architectures() []string {
	if r.archs != nil {
		return r.archs
	}
	return r.server.Architectures()
}

func remoteNames(all []*remote) []string {
	var names []string
	for _, on := range all {
		names = append(names, on.name)
	}
	return names
}

// lanes are the remotes that the options name, or the lxc client's default one: each
// where images are launched by themselves, so that a cluster's members that are named
// are one each. Of several, those that do not answer are left out.
func (r *remotes) lanes(ctx context.Context) ([]*remote, error) {
	if r.chosen != nil {
		return r.chosen, nil
	}
	names := r.opts.names
	if len(names) == 0 {
		names = []string{r.opts.name}
	}
	var all []*remote
	var gone []error
	for _, name := range names {
		on, err := r.connectNamed(ctx, name)
		var unreachable *lxd.UnreachableError
		switch {
		case err == nil && !slices.Contains(all, on):
			all = append(all, on)
		case len(names) > 1 && errors.As(err, &unreachable) && ctx.Err() == nil:
			gone = append(gone, err)
		case err != nil:
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, errors.Join(gone...)
	}
	for _, err := range gone {
		r.warn("%v; nothing is launched there", err)
	}
	var err error
	if len(r.opts.targets) > 0 {
		if all, err = r.members(ctx, all); err != nil {
			return nil, err
		}
	}
	r.chosen = all
	return all, nil
}

// members are the cluster's members that --target names.
func (r *remotes) members(ctx context.Context, on []*remote) ([]*remote, error) {
	if len(on) != 1 || len(r.opts.names) > 1 {
		return nil, usagef("--target goes with a single remote")
	}
	cluster := on[0]
	members, err := cluster.server.Members(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(members) == 0:
		return nil, usagef("--target: %s is no cluster", cluster.name)
	}
	var known []string
	for _, m := range members {
		known = append(known, m.Name)
	}
	var all []*remote
	for _, name := range r.opts.targets {
		i := slices.Index(known, name)
		switch {
		case i < 0:
			return nil, unknownName("--target", name, known)
		case !members[i].Online:
			r.warn("%s is not online; nothing is launched there", name)
			continue
		}
		lane := &remote{name: cluster.name + "/" + name, addr: cluster.addr, server: cluster.server, target: name, asked: cluster.asked}
		if arch := members[i].Architecture; arch != "" {
			lane.archs = []string{arch}
		}
		if r.open[lane.name] == nil {
			r.open[lane.name] = lane
			all = append(all, lane)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no member of %s that --target names is online", cluster.name)
	}
	return all, nil
}

// reachable returns those of Polar's clusters that can run the version and can be reached:
// only those that read the feed's metadata, where there is one.
func (r *remotes) reachable(ctx context.Context, n need) ([]*remote, error) {
	var all, reading []*remote
	var errs []error
	for _, c := range r.clusters {
		if c.Arch != n.arch {
			continue
		}
		on, err := r.openOnce(ctx, c)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			errs = append(errs, err)
			continue
		}
		all = append(all, on)
		if reads(c, n.feed) == 1 {
			reading = append(reading, on)
		}
	}
	switch {
	case len(reading) > 0:
		return reading, nil
	case len(all) > 0:
		return all, nil
	case len(errs) > 0:
		return nil, errors.Join(errs...)
	}
	return nil, noClusterError(n.arch)
}

// openOnce connects to the cluster, and does not try again where that has failed.
func (r *remotes) openOnce(ctx context.Context, c polar.Cluster) (*remote, error) {
	if err := r.failed[c.ID]; err != nil {
		return nil, err
	}
	on, err := r.healthy(ctx, c)
	if err != nil && ctx.Err() == nil {
		r.failed[c.ID] = err
		r.warn("%v; nothing is launched there", err)
	}
	return on, err
}

// alive asks the remote of that name whether it works.
func (r *remotes) alive(ctx context.Context, name string) error {
	on := r.open[name]
	if on == nil {
		return nil
	}
	return on.server.Alive(ctx, on.target)
}

// gpusFor returns the remote's GPUs, where the spec has a check that depends on one. They
// were asked for when the version was planned.
func (r *remote) gpusFor(s *spec.Spec) []lxd.GPU {
	if !runner.NeedsGPU(s) {
		return nil
	}
	return r.gpus
}

// allGPUs asks the remote for its GPUs, once.
func (r *remote) allGPUs(ctx context.Context) ([]lxd.GPU, error) {
	if r.gpusKnown {
		return r.gpus, nil
	}
	gpus, err := r.server.GPUs(ctx)
	if err == nil {
		r.gpus, r.gpusKnown = gpus, true
	}
	return gpus, err
}
