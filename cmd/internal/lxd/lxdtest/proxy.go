package lxdtest

import (
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// A Proxy stands between a client and a server, and can break the connection or
// make it a bad one.
type Proxy struct {
	Remote lxd.Remote // as it is reached through the proxy; of one before a remote
	URL    string     // likewise, of one before an image server

	dial  func() (net.Conn, error)
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	line  line

	refuse   bool
	swallow  int           // so many answers are still to be swallowed
	requests int           // so many requests come before the one that is cut; 0: none is
	bytes    int           // so many bytes come before the connection is cut; 0: it is not
	hole     chan struct{} // nil, or closed when bytes flow again
}

// NewProxy starts a proxy before the server of a remote that is on this
// machine. It stops when the test ends.
func NewProxy(t testing.TB, r lxd.Remote) *Proxy {
	t.Helper()
	upstream, ok := strings.CutPrefix(r.Addr, "unix://")
	if !ok {
		t.Fatalf("remote %s: want one on this machine, not %s", r.Name, r.Addr)
	}
	dir, err := os.MkdirTemp("", "lxd-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	p := &Proxy{Remote: r, dial: func() (net.Conn, error) { return net.Dial("unix", upstream) }}
	p.Remote.Addr = "unix://" + socket
	p.listen(t, "unix", socket)
	return p
}

// NewFeedProxy starts a proxy before the image server at the URL. It stops when the
// test ends.
func NewFeedProxy(t testing.TB, feed string) *Proxy {
	t.Helper()
	u, err := url.Parse(feed)
	if err != nil {
		t.Fatal(err)
	}
	upstream := u.Host
	p := &Proxy{dial: func() (net.Conn, error) { return net.Dial("tcp", upstream) }}
	u.Host = p.listen(t, "tcp", "127.0.0.1:0").String()
	p.URL = u.String()
	return p
}

// listen serves until the test ends.
func (p *Proxy) listen(t testing.TB, network, addr string) net.Addr {
	t.Helper()
	p.conns = map[net.Conn]struct{}{}
	listener, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.Refuse(true)
		p.BlackHole(false)
		p.Cut()
		serving.Wait()
	})
	return listener.Addr()
}

// set changes what the proxy does.
func (p *Proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// Cut closes every connection.
func (p *Proxy) Cut() { p.set(p.cut) }

func (p *Proxy) cut() {
	for conn := range p.conns {
		conn.Close()
	}
}

// Refuse closes new connections as soon as they are made, until it is told not to.
func (p *Proxy) Refuse(on bool) { p.set(func() { p.refuse = on }) }

// Swallow lets the next n requests through and closes the connection instead
// of giving their answers back.
func (p *Proxy) Swallow(n int) { p.set(func() { p.swallow = n }) }

// CutRequest cuts the connection on which the n-th request from now on is made,
// before the server gets it. The first is 1.
func (p *Proxy) CutRequest(n int) { p.set(func() { p.requests = n }) }

// CutAfter cuts every connection once n more bytes, of at least one, have gone
// through, in either direction, and lets no byte after them through.
func (p *Proxy) CutAfter(n int) { p.set(func() { p.bytes = n }) }

// Delay has everything that is sent, in either direction, take so long.
func (p *Proxy) Delay(d time.Duration) { p.set(func() { p.line.delay = d }) }

// Limit has no connection carry more than so many bytes a second, in either
// direction; 0 is no limit.
func (p *Proxy) Limit(perSecond int) { p.set(func() { p.line.perSecond = perSecond }) }

// Lose loses the share of all packets, as the seed has it. Each is sent again after
// a while, and what follows it waits: that is what a connection's users see of it.
func (p *Proxy) Lose(share float64, seed uint64) {
	p.set(func() { p.line.loss, p.line.chance = share, rand.New(rand.NewPCG(seed, 0)) })
}

// Calm ends all trouble.
func (p *Proxy) Calm() {
	p.BlackHole(false)
	p.set(func() { p.line, p.refuse, p.swallow, p.requests, p.bytes = line{}, false, 0, 0, 0 })
}

// BlackHole lets nothing through, and tells nobody, until it is told not to.
func (p *Proxy) BlackHole(on bool) {
	p.set(func() {
		switch {
		case on && p.hole == nil:
			p.hole = make(chan struct{})
		case !on && p.hole != nil:
			close(p.hole)
			p.hole = nil
		}
	})
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := p.dial()
	if err != nil {
		return
	}
	defer server.Close()
	defer p.remove(client, server)
	if !p.add(client, server) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.forward(server, client, false) })
	both.Go(func() { p.forward(client, server, true) })
	both.Wait()
}

func (p *Proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.conns[conn] = struct{}{}
	}
	return !p.refuse
}

func (p *Proxy) remove(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		delete(p.conns, conn)
	}
}
