package lxd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	client "github.com/canonical/lxd/client"
)

const (
	dialTimeout     = 15 * time.Second
	responseTimeout = 2 * time.Minute // from a request's end to its answer's header
	maxAnswer       = 32 << 20        // bytes of an answer
)

// newTransport returns how requests get to the remote, over connections that
// are kept: one costs three round trips. Those to a socket are not: the server takes
// no other connection, of anybody, while one that it has taken is silent, and a pool may
// make one that it then has no use for.
func newTransport(r Remote) (*http.Transport, error) {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: responseTimeout,
		ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       time.Minute,
	}
	dialer := &net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
	transport.DialContext = dialer.DialContext
	if socket, ok := socketPath(r.Addr); ok {
		transport.Proxy = nil
		transport.DisableKeepAlives = true
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
		return transport, nil
	}
	var err error
	transport.TLSClientConfig, err = tlsConfig(r, nil)
	return transport, err
}

// call lets f use LXD's client. Its requests end when ctx does, and all that
// they opened is closed when call returns. There are no websockets: the client
// would open one for the events of each operation, and wait does not need it.
func (s *Server) call(parent context.Context, f func(client.InstanceServer) error) error {
	// LXD's library uses the context that a client was made with for every request,
	// and none for files, logs and images: a client of its own is what gives a call a
	// context. All of them share the server's connections.
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	args := &client.ConnectionArgs{
		UserAgent:     s.userAgent,
		SkipGetServer: true,
		TransportWrapper: func(*http.Transport) client.HTTPTransporter {
			return &transporter{ctx, s.transport}
		},
	}
	connect, addr := client.ConnectLXDWithContext, s.addr
	if socket, ok := socketPath(addr); ok {
		connect, addr = client.ConnectLXDUnixWithContext, socket
	}
	c, err := connect(ctx, addr, args)
	if err == nil {
		err = f(c.UseProject(s.project))
	}
	var wrapped *url.Error // with a URL that means nothing to people
	switch {
	case err == nil || isRefusal(err):
		return err
	case parent.Err() != nil:
		return parent.Err()
	case errors.As(err, &wrapped):
		err = wrapped.Err
	}
	if errors.Is(err, io.EOF) { // it is the end of no stream of ours
		return fmt.Errorf("the server's answer: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// A transporter is the shared transport for as long as a context.
type transporter struct {
	ctx    context.Context
	shared *http.Transport
}

// The headers that tell of a file, as LXD has them and as Incus has.
const lxdHeader, incusHeader = "X-Lxd-", "X-Incus-"

// also gives the headers that begin so a second name. What has that name stays.
func also(h http.Header, from, to string) {
	for name, values := range h {
		if rest, ok := strings.CutPrefix(name, from); ok && h[to+rest] == nil {
			h[to+rest] = values
		}
	}
}

// RoundTrip sends a request. Answers are bounded, and all but files are read at
// once, because the library does not close each of them.
func (t *transporter) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(t.ctx)
	also(req.Header, lxdHeader, incusHeader)
	resp, err := t.shared.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	also(resp.Header, incusHeader, lxdHeader)
	body := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode == http.StatusOK && resp.Header.Get("Content-Type") == "application/octet-stream" {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{body, resp.Body}
		return resp, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		// LXD redirects nowhere, and a certificate is trusted for its own host only.
		return nil, fmt.Errorf("the server answers %s", resp.Status)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return resp, nil
}

// Transport returns what the library takes websockets from, of which it gets none.
// It also changes its timeouts, so that this is never the shared one.
func (t *transporter) Transport() *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no websocket is wanted")
	}}
}
