// Package polartest makes trouble between a client of Polar and its server, for
// tests: see Proxy and Faults.
package polartest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
)

// A Fault is what befalls a request on its way to the server, or the answer on its
// way back. It may hand the request on with Deliver, never or several times.
type Fault func(w http.ResponseWriter, r *http.Request, server http.Handler)

// A Proxy hands requests on to a server, but for those that a fault befalls.
type Proxy struct {
	Server http.Handler
	// Fault returns what befalls the n-th request, of which the first is 1, or nil. A
	// nil function lets all pass.
	Fault func(n int, r *http.Request) Fault

	seen atomic.Int64
	// alone is held by a fault: what comes next waits for what it does, so that a
	// test goes the same way each time.
	alone sync.RWMutex
}

// At returns a Proxy's Fault that befalls the n-th request.
func At(n int, f Fault) func(int, *http.Request) Fault {
	return func(i int, _ *http.Request) Fault {
		if i == n {
			return f
		}
		return nil
	}
}

// Seen returns how many requests have come.
func (p *Proxy) Seen() int { return int(p.seen.Load()) }

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// With the body read, the server notices when the client goes away.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	n := int(p.seen.Add(1))
	if p.Fault != nil {
		if f := p.Fault(n, r); f != nil {
			p.alone.Lock()
			defer p.alone.Unlock()
			f(w, r, p.Server)
			return
		}
	}
	p.alone.RLock()
	defer p.alone.RUnlock()
	Answer(w, Deliver(r, p.Server))
}

// Deliver hands a request on, whether its client still waits or not, and returns
// the server's answer. A request may be delivered several times.
func Deliver(r *http.Request, server http.Handler) *httptest.ResponseRecorder {
	again := r.Clone(context.WithoutCancel(r.Context()))
	if r.GetBody != nil {
		again.Body, _ = r.GetBody()
	}
	rec := httptest.NewRecorder()
	server.ServeHTTP(rec, again)
	return rec
}

// Answer gives the client an answer. After a 500 the connection is closed without
// a word, as Polar does.
func Answer(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
	if rec.Code == http.StatusInternalServerError {
		raw(w, rec, int64(rec.Body.Len()))
		return
	}
	relay(w, rec)
}

func relay(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// raw writes the answer past net/http, with the length in its header, or with none
// where it is negative, and closes the connection.
func raw(w http.ResponseWriter, rec *httptest.ResponseRecorder, length int64) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	defer conn.Close()
	res := rec.Result()
	defer res.Body.Close()
	res.ContentLength = length
	_ = res.Write(buf)
	_ = buf.Flush()
}

// AsPolar answers as Polar 0.2 does where the server does better: no session tells of
// extensions, and what is refused is a 500.
func AsPolar(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := Deliver(r, server)
		rec.Header().Del("Polar-Extensions")
		if rec.Code == http.StatusConflict {
			rec = says(http.StatusInternalServerError)
		}
		relay(w, rec)
	})
}
