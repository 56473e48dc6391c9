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

	"github.com/canonical/lxd/shared/api"
	"github.com/canonical/lxd/shared/tcp"
	"github.com/gorilla/websocket"
)

// execSockets is how many websockets a command has that is not on a terminal.
const execSockets = 4

// lines are connections over TLS for a command's websockets, made before these are
// known: to a server that is far away, one takes two round trips.
type lines struct {
	cancel context.CancelFunc
	made   chan net.Conn // closed once none is made any more
}

// dial begins to make n connections. There are none where a new one takes no time, as to
// a socket, or another one is needed, as through a proxy; that one fails shows when it
// is missing. They are to be closed.
func (s *Server) dial(n int) *lines {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	l := &lines{cancel, make(chan net.Conn, n)}
	base, err := url.Parse(s.addr)
	if s.transport.TLSClientConfig == nil || err != nil {
		close(l.made)
		return l
	}
	if proxy, err := s.transport.Proxy(&http.Request{URL: base}); proxy != nil || err != nil {
		close(l.made)
		return l
	}
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if conn, err := s.dialTLS(ctx, base); err == nil {
				l.made <- conn
			}
		})
	}
	go func() {
		all.Wait()
		close(l.made)
	}()
	return l
}

func (s *Server) dialTLS(ctx context.Context, to *url.URL) (net.Conn, error) {
	port := to.Port()
	if port == "" {
		port = "443"
	}
	plain, err := s.transport.DialContext(ctx, "tcp", net.JoinHostPort(to.Hostname(), port))
	if err != nil {
		return nil, err
	}
	config := s.transport.TLSClientConfig.Clone()
	config.ServerName = to.Hostname()
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, err
	}
	return conn, nil
}

// close closes the connections that were not taken.
func (l *lines) close() {
	l.cancel()
	for conn := range l.made {
		conn.Close()
	}
}

// websocket opens one of an operation's, over a line if there is one. It is closed when
// ctx ends.
func (s *Server) websocket(ctx context.Context, op, secret string, l *lines) (*websocket.Conn, error) {
	select {
	case ready := <-l.made:
		if ready == nil {
			break
		}
		conn, err := s.upgrade(ctx, op, secret, &websocket.Dialer{
			NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) { return ready, nil },
		})
		if err == nil || isRefusal(err) || ctx.Err() != nil {
			return conn, err
		}
		ready.Close() // the server may have given it up
	case <-ctx.Done():
		return nil, ctx.Err()
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
