package lxd

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/canonical/lxd/shared/api"
	"github.com/canonical/lxd/shared/tcp"
	"github.com/gorilla/websocket"
)

const (
	// execSockets is how many websockets a command has.
	execSockets = 4
	// execSpares are the connections that a command wants at once: for its websockets,
	// for its end, and for a look at the guest beside it.
	execSpares = execSockets + 2
	// maxSpares bounds the connections that wait for their use, and spareAge how long
	// one may have waited: something on the way may have forgotten it.
	maxSpares = 4 * execSpares
	spareAge  = 30 * time.Second
)

// spares are connections over TLS that are made before they are needed: to a server
// that is far away, one takes two round trips.
type spares struct {
	mu     sync.Mutex
	conns  []spare
	dialed int // with those that are still being made
	closed bool
}

type spare struct {
	net.Conn
	made time.Time
}

// take returns a connection, or nil where none is ready.
func (s *spares) take() net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) > 0 {
		first := s.conns[0]
		s.conns, s.dialed = s.conns[1:], s.dialed-1
		if time.Since(first.made) < spareAge {
			return first.Conn
		}
		first.Close()
	}
	return nil
}

// reserve has room made for one more.
func (s *spares) reserve() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.dialed == maxSpares {
		return false
	}
	s.dialed++
	return true
}

// put adds the connection that room was made for, or nil where it failed.
func (s *spares) put(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn != nil && !s.closed {
		s.conns = append(s.conns, spare{conn, time.Now()})
		return
	}
	s.dialed--
	if conn != nil {
		conn.Close()
	}
}

func (s *spares) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

// prepare makes the connections that a command will need. That one fails shows when
// it is missing. It is not done through a proxy.
func (s *Server) prepare(ctx context.Context) {
	base, err := url.Parse(s.addr)
	if s.transport.TLSClientConfig == nil || err != nil {
		return
	}
	if s.transport.Proxy != nil {
		if proxy, err := s.transport.Proxy(&http.Request{URL: base}); proxy != nil || err != nil {
			return
		}
	}
	for range execSpares {
		if !s.spares.reserve() {
			return
		}
		go func() {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			conn, err := s.dialTLS(ctx, base.Host)
			if err != nil {
				conn = nil
			}
			s.spares.put(conn)
		}()
	}
}

// connection is one for requests: one that waits for its use, or a new one.
func (s *Server) connection(ctx context.Context, _, addr string) (net.Conn, error) {
	if ready := s.spares.take(); ready != nil {
		return ready, nil
	}
	return s.dialTLS(ctx, addr)
}

func (s *Server) dialTLS(ctx context.Context, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host, addr = addr, net.JoinHostPort(strings.Trim(addr, "[]"), "443")
	}
	plain, err := s.transport.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	config := s.transport.TLSClientConfig.Clone()
	config.ServerName = host
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, err
	}
	return conn, nil
}

// websocket opens one of an operation's. It is closed when ctx ends.
func (s *Server) websocket(ctx context.Context, op, secret string) (*websocket.Conn, error) {
	if ready := s.spares.take(); ready != nil {
		conn, err := s.upgrade(ctx, op, secret, &websocket.Dialer{
			NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) { return ready, nil },
		})
		if err == nil || isRefusal(err) || ctx.Err() != nil {
			return conn, err
		}
		ready.Close() // the server may have given it up
	}
	return s.upgrade(ctx, op, secret, &websocket.Dialer{
		NetDialContext: s.transport.DialContext, TLSClientConfig: s.transport.TLSClientConfig, Proxy: s.transport.Proxy,
	})
}

func (s *Server) upgrade(ctx context.Context, op, secret string, dialer *websocket.Dialer) (*websocket.Conn, error) {
	base := "ws://unix.socket"
	if _, ok := socketPath(s.addr); !ok {
		base = "wss" + strings.TrimPrefix(strings.TrimSuffix(s.addr, "/"), "https")
	}
	target := base + "/1.0/operations/" + url.PathEscape(op) + "/websocket?secret=" + url.QueryEscape(secret)
	dialer.HandshakeTimeout = dialTimeout
	conn, resp, err := dialer.DialContext(ctx, target, http.Header{"User-Agent": {s.userAgent}})
	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && resp != nil:
		return nil, refusalOf(resp)
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("the server's answer: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return nil, err
	}
	if plain, _ := tcp.ExtractConn(conn.UnderlyingConn()); plain != nil {
		_ = tcp.SetTimeouts(plain, 0) // a kernel that knows none of them goes without
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	return conn, nil
}

// refusalOf is what the server says instead of another protocol.
func refusalOf(resp *http.Response) error {
	defer resp.Body.Close()
	var said struct{ Error string }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&said); err != nil || said.Error == "" {
		said.Error = "the server answers " + resp.Status
	}
	return api.StatusErrorf(resp.StatusCode, "%s", said.Error)
}
