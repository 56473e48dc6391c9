package cli

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// manyOptions say how many images are tested at once, which of them, and in which order.
type manyOptions struct {
	parallel int // 0: as the remotes can
	shard    string
	failFast bool
	order    string
}

// The values of --order.
const (
	orderLongest = "longest"
	orderGiven   = "given"
)

func (o *manyOptions) flags(f *pflag.FlagSet) {
	f.IntVar(&o.parallel, "parallel", 0, "test `N` images at once on each remote (default: as its CPUs and memory allow, see above)")
	f.StringVar(&o.shard, "shard", "", "test only the `K/N`th part of the products, as 2/4; all parts together are everything once")
	f.BoolVar(&o.failFast, "fail-fast", false, "begin no other image once one has failed")
	f.StringVar(&o.order, "order", orderLongest, "which images begin first: longest (by earlier runs) or given")
}

func (o *manyOptions) validate() error {
	switch o.order {
	case "", orderLongest, orderGiven:
	default:
		return unknownName("--order", o.order, []string{orderLongest, orderGiven})
	}
	_, err := parseShard(o.shard)
	return err
}

// A shard is one of several parts of all products.
type shard struct{ k, n int }

// parseShard reads K/N, K from 1 to N. Nothing is the whole.
func parseShard(text string) (shard, error) {
	if text == "" {
		return shard{1, 1}, nil
	}
	first, second, _ := strings.Cut(text, "/")
	k, errK := strconv.Atoi(first)
	n, errN := strconv.Atoi(second)
	if errK != nil || errN != nil || k < 1 || n < k {
		return shard{}, usagef("--shard: want K/N with K from 1 to N, such as 2/4, got %q", text)
	}
	return shard{k, n}, nil
}

// has tells whether the product is of this part. It depends on nothing but the name, so
// that parts which begin at different times, while versions come and go, still are
// everything exactly once.
func (s shard) has(product string) bool {
	sum := sha256.Sum256([]byte(product))
	return binary.BigEndian.Uint64(sum[:])%uint64(s.n) == uint64(s.k-1)
}

const (
	// A test is mostly waiting, for the boot, addresses and mirrors: eight containers
	// on two CPUs take hardly longer than the bare LXD calls for them do.
	imagesPerCPU    = 2
	containerMemory = 512 << 20 // a container that boots and installs a package, with its pages
	vmMemory        = 3 << 29   // a virtual machine of LXD's default size, and its qemu
	// maxParallel is for servers that are larger than they are patient: LXD 5.0 has been
	// seen to lose commands where 16 ran at once.
	maxParallel = 12
)

// capacity is how many images a server can test at once; 1 where nothing is known.
func capacity(c lxd.Capacity, vms bool) int {
	memory := int64(containerMemory)
	if vms {
		memory = vmMemory
	}
	return max(1, min(c.CPUs*imagesPerCPU, int(c.Memory/memory), maxParallel))
}

// parallel is how many of the jobs are under way at once on each remote.
func (p *planner) parallel(ctx context.Context, jobs []runner.Job) map[string]int {
	limits, launched, vms := map[string]int{}, 0, false
	for _, job := range jobs {
		if job.Place == nil { // what comes from no feed goes one after another by itself
			limits[job.Image.Remote] = max(1, p.opts.many.parallel)
			continue
		}
		launched++
		vms = vms || job.Image.Type == "virtual-machine"
		for _, name := range job.Remotes {
			limits[name] = max(1, p.opts.many.parallel)
		}
	}
	if launched < 2 || p.opts.many.parallel > 0 {
		return limits
	}
	for name := range limits {
		if p.remotes.open[name] == nil { // nothing is launched there
			continue
		}
		n, err := p.remotes.open[name].capacity(ctx, vms)
		if err != nil {
			p.warn("%s tests one image at a time: %v", name, err)
			continue
		}
		limits[name] = n
	}
	return limits
}

// capacity asks the remote for its own. A cluster that places instances by itself has
// that of all its members.
func (r *remote) capacity(ctx context.Context, vms bool) (int, error) {
	if r.target == "" && r.server.Clustered() {
		members, err := r.server.Members(ctx)
		if err != nil {
			return 0, err
		}
		sum := 0
		for _, m := range members {
			if !m.Online {
				continue
			}
			c, err := r.server.Capacity(ctx, m.Name)
			if err != nil {
				return 0, fmt.Errorf("member %s: %w", m.Name, err)
			}
			sum += capacity(c, vms)
		}
		return max(1, sum), nil
	}
	c, err := r.server.Capacity(ctx, r.target)
	return capacity(c, vms), err
}
