package soak

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
	"github.com/upmaru/icepak/cmd/internal/polar/polartest"
)

// typical is how long a run takes that nothing befalls.
const typical = 4 * time.Second

// A fault befalls the way to the server, or the server or the run while that goes on.
type fault struct {
	name  string
	does  func(*round)
	later bool // after a while, at random
}

// faults are all that may befall a run.
func faults() []fault {
	chance := func(f func(r *round, p *lxdtest.Proxy, c *rand.Rand)) func(*round) {
		return func(r *round) { f(r, r.proxy, r.chance) }
	}
	return []fault{
		{"nothing", func(*round) {}, false},
		{"the n-th request is cut", chance(func(_ *round, p *lxdtest.Proxy, c *rand.Rand) { p.CutRequest(1 + c.IntN(60)) }), false},
		{"it is cut at a byte", chance(func(_ *round, p *lxdtest.Proxy, c *rand.Rand) { p.CutAfter(1 + c.IntN(7<<20)) }), false},
		{"slow and lossy", chance(func(_ *round, p *lxdtest.Proxy, c *rand.Rand) {
			p.Delay(time.Duration(c.IntN(100)) * time.Millisecond)
			p.Lose(0.02*c.Float64(), c.Uint64())
		}), false},
		{"narrow", chance(func(_ *round, p *lxdtest.Proxy, c *rand.Rand) { p.Limit(1<<20 + c.IntN(8<<20)) }), false},
		{"cut", chance(func(_ *round, p *lxdtest.Proxy, _ *rand.Rand) { p.Cut() }), true},
		{"answers are swallowed", chance(func(_ *round, p *lxdtest.Proxy, c *rand.Rand) { p.Swallow(1 + c.IntN(4)) }), true},
		{"refused for a while", chance(func(r *round, p *lxdtest.Proxy, _ *rand.Rand) {
			p.Refuse(true)
			p.Cut()
			r.after(func() { p.Refuse(false) })
		}), true},
		{"silent for a while", chance(func(r *round, p *lxdtest.Proxy, _ *rand.Rand) {
			p.BlackHole(true)
			r.after(func() { p.BlackHole(false) })
		}), true},
		{"the server is killed, and comes back", func(r *round) {
			r.daemon.Kill()
			r.after(r.daemon.Start)
		}, true},
		{"interrupted", func(r *round) { r.signal(syscall.SIGINT) }, true},
		{"ended", func(r *round) { r.signal(syscall.SIGTERM) }, true},
		{"killed", func(r *round) { r.signal(syscall.SIGKILL) }, true},
	}
}

// after waits for up to two seconds, as chance has it.
func (r *round) after(f func()) {
	time.Sleep(time.Duration(r.chance.IntN(2000)) * time.Millisecond)
	f()
}

// signal sends the run a signal, if it still goes on.
func (r *round) signal(sig syscall.Signal) { _ = r.cmd.Process.Signal(sig) }

// troubled draws what befalls a request to Polar or its feed, if anything does.
func (r *round) troubled() http.Handler {
	proxy := &polartest.Proxy{Server: r.polar}
	if r.chance.IntN(2) == 0 {
		return proxy
	}
	all := polartest.Troubles()
	trouble, n := all[r.chance.IntN(len(all))], 1+r.chance.IntN(30)
	r.story = append(r.story, fmt.Sprintf("of request %d to Polar: %s", n, trouble.Name))
	proxy.Fault = polartest.At(n, trouble.Fault)
	return proxy
}

// befall has one of the faults befall the run until ended is closed.
func (r *round) befall(ended <-chan struct{}) {
	if !r.fault.later {
		return
	}
	select {
	case <-ended:
	case <-time.After(r.moment):
		r.fault.does(r)
	}
}

// draw says what will befall the run.
func (r *round) draw() {
	all := faults()
	r.good = r.chance.IntN(2) == 0
	r.fault = all[r.chance.IntN(len(all))]
	r.moment = time.Duration(r.chance.Int64N(int64(typical)))
	r.story = append(r.story, fmt.Sprintf("seed %d, good %v: %s", r.seed, r.good, r.fault.name))
	if r.fault.later {
		r.story = append(r.story, fmt.Sprintf("after %s", r.moment))
	}
}

func (r *round) told() string { return strings.Join(r.story, ", ") }
