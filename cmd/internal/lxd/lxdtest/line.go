package lxdtest

import (
	"math/rand/v2"
	"net"
	"regexp"
	"time"
)

// A line is how good the connections through a proxy are.
type line struct {
	delay     time.Duration
	opening   time.Duration // of a connection, before which nothing is there
	perSecond int           // bytes; 0: no limit
	loss      float64
	chance    *rand.Rand
}

const (
	segment = 1400                   // bytes of a packet that can be lost
	resend  = 200 * time.Millisecond // after which, and its way, a packet is sent again
	window  = 512                    // chunks that are on their way
)

// late is how long n bytes are on their way.
func (l line) late(n int) time.Duration {
	late := l.delay
	for ; l.loss > 0 && n > 0; n -= segment {
		if l.chance.Float64() < l.loss {
			late += resend + 2*l.delay
		}
	}
	return late
}

// A chunk is what was said at once, and when it arrives.
type chunk struct {
	data []byte
	due  time.Time
}

// forward carries what one side says to the other, and its end.
func (p *Proxy) forward(to, from net.Conn, answers bool) {
	chunks := make(chan chunk, window)
	go p.read(from, chunks, answers)
	defer func() {
		to.Close()
		from.Close()
		for range chunks { // until its reader has seen the end
		}
	}()
	for c := range chunks {
		time.Sleep(time.Until(c.due))
		data, end := p.let(c.data, answers)
		if len(data) > 0 {
			if _, err := to.Write(data); err != nil {
				return
			}
		}
		if end {
			return
		}
	}
}

// read takes in what a side says. Chunks do not overtake one another.
func (p *Proxy) read(from net.Conn, chunks chan<- chunk, answers bool) {
	defer close(chunks)
	p.mu.Lock()
	last := time.Now().Add(p.line.opening + p.line.delay)
	p.mu.Unlock()
	if answers {
		last = time.Time{}
	}
	for {
		buf := make([]byte, 32<<10)
		n, err := from.Read(buf)
		if n > 0 {
			p.mu.Lock()
			due := time.Now().Add(p.line.late(n))
			if due.Before(last) {
				due = last
			}
			if p.line.perSecond > 0 {
				due = due.Add(time.Duration(n) * time.Second / time.Duration(p.line.perSecond))
			}
			p.mu.Unlock()
			last = due
			chunks <- chunk{buf[:n], due}
		}
		if err != nil {
			return
		}
	}
}

// request is how a request begins. Each has a chunk of its own: the client waits for
// the answer to the one before.
var request = regexp.MustCompile(`^(GET|PUT|POST|PATCH|DELETE|HEAD) /`)

// let holds bytes as the proxy is told to, and returns those that go on, and whether
// the connection ends after them.
func (p *Proxy) let(data []byte, answers bool) (on []byte, end bool) {
	p.mu.Lock()
	hole := p.hole
	p.mu.Unlock()
	if hole != nil {
		<-hole
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if answers && p.swallow > 0 {
		p.swallow--
		return nil, true
	}
	if !answers && p.requests > 0 && request.Match(data) {
		if p.requests--; p.requests == 0 {
			return nil, true
		}
	}
	if p.bytes > 0 {
		if p.bytes <= len(data) {
			n := p.bytes
			p.bytes = 0
			time.AfterFunc(time.Millisecond, p.Cut) // once they are written
			return data[:n], true
		}
		p.bytes -= len(data)
	}
	return data, false
}
