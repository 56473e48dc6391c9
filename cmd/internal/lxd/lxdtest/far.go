package lxdtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// A Far is a server of this machine as one elsewhere is: behind HTTPS, and a round
// trip away, which a new connection takes as well. What is sent meanwhile is not
// held up by what is on its way.
type Far struct {
	Remote lxd.Remote // with a client's certificate

	trip     atomic.Int64 // a round trip, in ns
	mu       sync.Mutex
	requests []string
	conns    map[net.Conn]struct{}
}

// NewFar starts one, whose round trip takes no time yet. It stops when the test ends.
func NewFar(t testing.TB, r lxd.Remote) *Far {
	t.Helper()
	f := &Far{Remote: r, conns: map[net.Conn]struct{}{}}
	socket := strings.TrimPrefix(strings.TrimPrefix(r.Addr, "unix:"), "//")
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "unix.socket"})
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 16, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.Method+" "+r.URL.Path)
		f.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes for nothing
	server.StartTLS()
	sum := sha256.Sum256(server.Certificate().Raw)
	f.Remote.Fingerprints = []string{hex.EncodeToString(sum[:])}
	var err error
	if f.Remote.ClientCert, f.Remote.ClientKey, err = lxd.NewIdentity("icepak"); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.Remote.Addr = "https://" + listener.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { f.serve(conn, server.Listener.Addr().String()) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		f.mu.Lock()
		for conn := range f.conns {
			conn.Close()
		}
		f.mu.Unlock()
		serving.Wait()
		server.Close()
	})
	return f
}

// SetTrip says how long a round trip takes.
func (f *Far) SetTrip(d time.Duration) { f.trip.Store(int64(d)) }

// Requests returns those that were made since it was called last, as GET /1.0.
func (f *Far) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(f.requests)
	f.requests = nil
	return all
}

func (f *Far) serve(client net.Conn, upstream string) {
	defer client.Close()
	server, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer server.Close()
	f.mu.Lock()
	f.conns[client] = struct{}{}
	f.mu.Unlock()
	trip := time.Duration(f.trip.Load())
	var both sync.WaitGroup
	both.Go(func() { carry(server, client, trip, trip/2) })
	both.Go(func() { carry(client, server, 0, trip/2) })
	both.Wait()
	f.mu.Lock()
	delete(f.conns, client)
	f.mu.Unlock()
}

// carry copies what one side says to the other so much later, and its end. Nothing
// is there before the connection is made.
func carry(to, from net.Conn, made, later time.Duration) {
	type packet struct {
		data []byte
		due  time.Time
	}
	opened := time.Now().Add(made)
	way := make(chan packet, 4096)
	go func() {
		defer close(way)
		for {
			data := make([]byte, 32<<10)
			n, err := from.Read(data)
			sent := time.Now()
			if sent.Before(opened) {
				sent = opened
			}
			way <- packet{data[:n], sent.Add(later)}
			if err != nil {
				return
			}
		}
	}()
	for p := range way {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			from.Close()
		}
	}
	to.Close()
}
