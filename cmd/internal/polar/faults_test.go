package polar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// answers gives the n-th request the n-th handler, and all later ones the last.
type answers struct {
	handlers []http.HandlerFunc
	asked    atomic.Int64
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the request is taken before anything goes wrong
	n := int(a.asked.Add(1))
	a.handlers[min(n, len(a.handlers))-1](w, r)
}

func say(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cut closes the connection without an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// reset throws the connection away, so that the client sees an error and no end.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// half breaks off in the middle of the body.
func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, `{"data":[{"id":1,"sl`)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

const activated = `{"data":{"id":7,"name":"activate"}}`

const oneCheck = `{"data":[{"id":1,"slug":"ipv4"}]}`

func TestReadsAreRepeatedWhereTheNetworkFails(t *testing.T) {
	again := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	tests := []struct {
		name  string
		first http.HandlerFunc
	}{
		{"connection cut", cut},
		{"body broken off", half},
		{"bad gateway", say(502, "<html>bad gateway</html>")},
		{"no upstream", say(503, "")},
		{"upstream too slow", say(504, "")},
		{"too many requests", again},
		{"server error, or a create race", say(500, `{"errors":{"detail":"Internal Server Error"}}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := &answers{handlers: []http.HandlerFunc{tt.first, tt.first, say(200, oneCheck)}}
			checks, err := newClient(t, srv).Checks(t.Context())
			if err != nil || len(checks) != 1 || checks[0] != (Check{1, "ipv4"}) {
				t.Errorf("got %v, %v", checks, err)
			}
			if n := srv.asked.Load(); n != 3 {
				t.Errorf("asked %d times, want 3", n)
			}
		})
	}
}

func TestReadsFailWithWhatWentWrong(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		want   string
		asked  int64
	}{
		{"server error", say(500, `{"errors":{"detail":"Internal Server Error"}}`), "500 internal server error", crashAttempts},
		{"proxy that stays down", say(502, "<html>"), "502 bad gateway", 5},
		{"web page", say(200, "\n<!DOCTYPE html><html>"), "not what Polar's API gives but a web page", 1},
		{"nothing", say(200, ""), "not what Polar's API gives", 1},
		{"no data", say(200, `{"status":"ok"}`), "not what Polar's API gives", 1},
		{"no list", say(200, `{"data":null}`), "not what Polar's API gives", 1},
		{"a list of something else", say(200, `{"data":[{"id":"one"}]}`), "data.id has the wrong type", 1},
		{"the beginning of an answer", say(200, `{"data":[{"id":1,"sl`), "unexpected EOF", 5},
		{"more than it can be", say(200, `{"data":"`+strings.Repeat("x", 1<<20)+`"}`), "larger than 1024 KiB", 1},
		{"cut for ever", cut, "no answer from http://127.0.0.1", 5},
		{"broken off for ever", half, "unexpected EOF", 5},
		{"no session", say(401, `{"status":"unauthorized"}`), "401 unauthorized", 1},
		{"elsewhere", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://polar.example.org/login?next=x")
			w.WriteHeader(http.StatusMovedPermanently)
		}, "301 moved permanently: the server sends on to https://polar.example.org", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := &answers{handlers: []http.HandlerFunc{tt.answer}}
			checks, err := newClient(t, srv).Checks(t.Context())
			if err == nil || !strings.Contains(err.Error(), "polar: list tracked checks: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v, want an error with %q", checks, err, tt.want)
			}
			if n := srv.asked.Load(); n != tt.asked {
				t.Errorf("asked %d times, want %d", n, tt.asked)
			}
		})
	}
}

func TestTheLastAttemptIsTheOneThatIsTold(t *testing.T) {
	srv := &answers{handlers: []http.HandlerFunc{half, say(503, `{"errors":{"detail":"being updated"}}`)}}
	_, err := newClient(t, srv).Checks(t.Context())
	if e, ok := errors.AsType[*StatusError](err); !ok || *e != (StatusError{503, "being updated"}) {
		t.Errorf("got %v", err)
	}
}

func TestAnswersForSomethingElseAreRefused(t *testing.T) {
	activate := func(ctx context.Context, c *Client) error { return c.VersionEvent(ctx, 12, Activate, "") }
	tests := []struct {
		name, body string
		ask        func(context.Context, *Client) error
	}{
		{"another product", `{"data":{"id":2,"key":"alpine:3.22:amd64:default"}}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.Product(ctx, "debian:bookworm:amd64:default")
				return err
			}},
		{"another version", `{"data":{"id":2,"serial":"20261121"}}`,
			func(ctx context.Context, c *Client) error { _, err := c.Version(ctx, 1, "20261122"); return err }},
		{"a version without an id", `{"data":{"serial":"20261122"}}`,
			func(ctx context.Context, c *Client) error { _, err := c.Version(ctx, 1, "20261122"); return err }},
		{"an unknown state", `{"data":{"id":1,"current_state":"done","check":{"slug":"ipv4"}}}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.Assessment(ctx, 1, 1, 1, Container)
				return err
			}},
		{"a login page for an event", "<html>log in first", activate},
		{"nothing for an event", "", activate},
		{"another event", `{"data":{"id":7,"name":"test"}}`, activate},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.ask(t.Context(), newClient(t, say(200, tt.body))); !errors.Is(err, errMalformed) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnEventIsNotSentTwice(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"connection cut", cut},
		{"connection reset", reset},
		{"answer broken off", half},
		{"server error", say(500, "")},
		{"bad gateway", say(502, "")},
		{"no upstream", say(503, "")},
		{"refused", say(409, `{"errors":{"detail":"it is active"}}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := &answers{handlers: []http.HandlerFunc{tt.answer}}
			if err := newClient(t, srv).VersionEvent(t.Context(), 12, Activate, ""); err == nil {
				t.Error("no error")
			}
			if n := srv.asked.Load(); n != 1 {
				t.Errorf("sent %d times", n)
			}
		})
	}
}

func TestAnEventIsSentAgainWhereItWasNotTaken(t *testing.T) {
	t.Run("too many requests", func(t *testing.T) {
		srv := &answers{handlers: []http.HandlerFunc{say(429, ""), say(201, activated)}}
		if err := newClient(t, srv).VersionEvent(t.Context(), 12, Activate, ""); err != nil {
			t.Error(err)
		}
	})
	t.Run("no connection", func(t *testing.T) {
		srv := httptest.NewServer(say(201, activated))
		defer srv.Close()
		var dials atomic.Int64
		c, err := New(srv.URL, Options{RetryWait: time.Millisecond, Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if dials.Add(1) < 3 {
					return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
				}
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.VersionEvent(t.Context(), 12, Activate, ""); err != nil || dials.Load() != 3 {
			t.Errorf("%d connections: %v", dials.Load(), err)
		}
	})
}

// Polar closes the connection after a 500 and does not say so.
func TestAnEventAfterAServerErrorMeetsNoClosedConnection(t *testing.T) {
	var events atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, oneCheck)
			return
		}
		if events.Add(1)%2 == 0 {
			say(http.StatusCreated, activated)(w, r)
			return
		}
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = buf.WriteString("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}")
		_ = buf.Flush()
		_ = conn.Close()
	})
	c := newClient(t, h)
	for range 50 {
		if _, err := c.Checks(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.VersionEvent(t.Context(), 1, Activate, ""); !strings.Contains(fmt.Sprint(err), "500") {
			t.Fatal(err)
		}
		if err := c.VersionEvent(t.Context(), 1, Activate, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestErrorsTellWhatKindTheyAre(t *testing.T) {
	c := newClient(t, say(409, `{"errors":{"detail":"only a version in testing can be activated"}}`))
	err := c.VersionEvent(t.Context(), 12, Activate, "")
	if r, ok := errors.AsType[*RefusedError](err); !ok || r.What != "version 12" || r.Event != Activate ||
		err.Error() != "polar: activate version 12: refused: only a version in testing can be activated" {
		t.Errorf("refused: %v", err)
	}

	srv := httptest.NewServer(nil)
	srv.Close()
	gone, err := New(srv.URL, Options{RetryMax: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = gone.Checks(t.Context())
	if u, ok := errors.AsType[*UnreachableError](err); !ok || u.Endpoint != srv.URL || !strings.Contains(err.Error(), "refused") {
		t.Errorf("unreachable: %v", err)
	}
}

func TestASlowServerIsGivenUp(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-stop:
		}
	}))
	defer srv.Close()
	defer close(stop)
	c, err := New(srv.URL, Options{RetryMax: -1, Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Checks(t.Context()); err == nil {
		t.Error("no error")
	} else if _, ok := errors.AsType[*UnreachableError](err); !ok {
		t.Errorf("got %v, want an *UnreachableError", err)
	}
}

func TestACancelledCallStopsAndSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := &answers{handlers: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
		cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
	}}}
	_, err := newClient(t, srv).Checks(ctx)
	if _, unreachable := errors.AsType[*UnreachableError](err); !errors.Is(err, context.Canceled) || unreachable {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if n := srv.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
