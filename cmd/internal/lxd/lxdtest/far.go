package lxdtest

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// A Far is a server of this machine as one elsewhere is: behind HTTPS, and a round
// trip away, which a new connection takes as well.
type Far struct {
	Remote lxd.Remote // with a client's certificate

	proxy    *Proxy
	mu       sync.Mutex
	requests []string
}

// NewFar starts one, whose round trip takes no time yet. It stops when the test ends.
func NewFar(t testing.TB, r lxd.Remote) *Far {
	t.Helper()
	f := &Far{Remote: r}
	to := Behind(r)
	to.ErrorLog = log.New(io.Discard, "", 0)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.Method+" "+r.URL.Path)
		f.mu.Unlock()
		to.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes for nothing
	server.StartTLS()
	t.Cleanup(server.Close)
	sum := sha256.Sum256(server.Certificate().Raw)
	f.Remote.Fingerprints = []string{hex.EncodeToString(sum[:])}
	var err error
	if f.Remote.ClientCert, f.Remote.ClientKey, err = lxd.NewIdentity("icepak"); err != nil {
		t.Fatal(err)
	}
	f.proxy = NewFeedProxy(t, server.URL)
	f.Remote.Addr = f.proxy.URL
	return f
}

// SetTrip says how long a round trip takes.
func (f *Far) SetTrip(d time.Duration) {
	f.proxy.Delay(d / 2)
	f.proxy.set(func() { f.proxy.line.opening = d })
}

// Cut closes every connection.
func (f *Far) Cut() { f.proxy.Cut() }

// Requests returns those that were made since it was called last, as GET /1.0.
func (f *Far) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(f.requests)
	f.requests = nil
	return all
}
