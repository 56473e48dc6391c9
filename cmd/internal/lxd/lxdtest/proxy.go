package lxdtest

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// A Proxy stands between a client and a server's unix socket, and can break
// the connection.
type Proxy struct {
	Remote   lxd.Remote // as it is reached through the proxy
	upstream string

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	refuse  bool
	swallow int // so many answers are still to be swallowed
	delay   time.Duration
	hole    chan struct{} // nil, or closed when bytes flow again
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
	p := &Proxy{Remote: r, upstream: upstream, conns: map[net.Conn]struct{}{}}
	socket := filepath.Join(dir, "s")
	p.Remote.Addr = "unix://" + socket
	listener, err := net.Listen("unix", socket)
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
		os.RemoveAll(dir)
	})
	return p
}

// Cut closes every connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		conn.Close()
	}
}

// Refuse closes new connections as soon as they are made, until it is told not to.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Swallow lets the next n requests through and closes the connection instead
// of giving their answers back.
func (p *Proxy) Swallow(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.swallow = n
}

// Delay holds everything that is sent, in either direction, for so long.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// BlackHole lets nothing through, and tells nobody, until it is told not to.
func (p *Proxy) BlackHole(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case on && p.hole == nil:
		p.hole = make(chan struct{})
	case !on && p.hole != nil:
		close(p.hole)
		p.hole = nil
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", p.upstream)
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

// forward copies what one side says to the other, and its end.
func (p *Proxy) forward(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if p.hold(answers && n > 0) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold waits as the proxy is told to, and tells whether an answer is swallowed.
func (p *Proxy) hold(answer bool) bool {
	p.mu.Lock()
	delay, hole, swallow := p.delay, p.hole, answer && p.swallow > 0
	if swallow {
		p.swallow--
	}
	p.mu.Unlock()
	time.Sleep(delay)
	if hole != nil {
		<-hole
	}
	return swallow
}
