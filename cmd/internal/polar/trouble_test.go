package polar

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polar/polartest"
)

// Whatever befalls one request, and whichever it is, all ends in the same states, and
// no verdict and no activation is taken twice or lost.
func TestNoTroubleLosesAnEventOrTakesItTwice(t *testing.T) {
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			server := mode.dress(quickSessions(w.server))
			for _, trouble := range polartest.Troubles() {
				t.Run(trouble.Name, func(t *testing.T) {
					for n := 1; w.travels(t, server, n, trouble.Fault, time.Minute, mode); n++ {
					}
				})
			}
			t.Run("request too late", func(t *testing.T) {
				for n := 1; w.travels(t, server, n, polartest.TooLate, 250*time.Millisecond, mode); n++ {
				}
			})
		})
	}
}

// travels makes a journey whose n-th request the fault befalls. It returns false where
// the journey has no such request.
func (w *world) travels(t *testing.T, server http.Handler, n int, fault polartest.Fault, timeout time.Duration, mode mode) bool {
	t.Helper()
	v := w.version(t)
	proxy := &polartest.Proxy{Server: server, Fault: polartest.At(n, fault)}
	c := w.client(t, proxy, timeout, "testing", "active")
	if err := w.journey(t.Context(), c, v.Serial); err != nil {
		t.Errorf("request %d: %v", n, err)
	}
	if got := mode.known(w.history(t, v)); got != journeysEnd {
		t.Errorf("request %d:\n%s\nwant\n%s", n, got, journeysEnd)
	}
	return proxy.Seen() >= n
}

// A request that was thought lost, and sent again, may arrive after all.
func TestARequestThatArrivesWhenAllIsOverDoesNothing(t *testing.T) {
	w := newWorld(t)
	server := quickSessions(w.server)
	for n := 1; ; n++ {
		v := w.version(t)
		arrive := func() {}
		proxy := &polartest.Proxy{Server: server, Fault: polartest.At(n, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
			arrive = func() { polartest.Deliver(r, server) }
			polartest.Lost(w, r, server)
		})}
		if err := w.journey(t.Context(), w.client(t, proxy, time.Minute), v.Serial); err != nil {
			t.Errorf("request %d: %v", n, err)
		}
		arrive()
		if got := w.history(t, v); got != journeysEnd {
			t.Errorf("request %d:\n%s\nwant\n%s", n, got, journeysEnd)
		}
		if proxy.Seen() < n {
			return
		}
	}
}

func TestASessionThatExpiresOnTheWayIsRenewedOnce(t *testing.T) {
	w := newWorld(t)
	var opened atomic.Int64
	server := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/publish/sessions" {
			opened.Add(1)
		}
		w.server.ServeHTTP(rw, r)
	})
	expire := func(rw http.ResponseWriter, r *http.Request, server http.Handler) {
		w.later(61 * 24 * time.Hour)
		polartest.Answer(rw, polartest.Deliver(r, server))
	}
	for n := 2; ; n++ { // the first one opens the session
		opened.Store(0)
		if !w.travels(t, server, n, expire, time.Minute, modes()[0]) {
			return
		}
		if opened.Load() != 2 {
			t.Errorf("request %d: %d sessions, want 2", n, opened.Load())
		}
	}
}

// Runners of one version settle and promote it at once, each in a session of its own.
func TestEightRunnersAtOnceMakeOnePassAndOneActivation(t *testing.T) {
	extended, polar := modes()[0], modes()[1]
	for _, tt := range []struct {
		name     string
		mode     mode
		channels []string
		unknown  string // what runners may be told that another one was faster than
	}{
		{"a refusal tells the state", extended, nil, ""},
		{"both feeds tell it", polar, []string{"testing", "active"}, ""},
		{"the testing feed does not", polar, []string{"testing"}, "the active channel's feed is not known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			v := w.version(t)
			server := tt.mode.dress(w.server)
			var runners sync.WaitGroup
			for range 8 {
				c := w.client(t, server, time.Minute, tt.channels...)
				runners.Go(func() {
					err := w.settleAndPromote(t, c, v.ID, v.Serial)
					if err != nil && (tt.unknown == "" || !strings.Contains(err.Error(), tt.unknown)) {
						t.Error(err)
					}
				})
			}
			runners.Wait()
			if got := oneRun(w.history(t, v)); got != strings.Replace(journeysEnd, "run fail run pass", "run pass", 1) {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

func (w *world) settleAndPromote(t *testing.T, c *Client, id int64, serial string) error {
	if err := c.Authenticate(t.Context(), worldPassword); err != nil {
		return err
	}
	for _, check := range w.checks {
		for _, typ := range []string{Container, VM} {
			if _, err := c.Settle(t.Context(), id, check.ID, w.cluster.ID, typ, Pass); err != nil {
				return err
			}
		}
	}
	return c.Promote(t.Context(), worldProduct, Version{id, serial}, "")
}

// Of failures that several post at once, one is enough.
func TestEightRunnersAtOnceAllFail(t *testing.T) {
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			v := w.version(t)
			a := w.assessment(t, v, 0, Container, Created)
			server := mode.dress(quickSessions(w.server))
			var runners sync.WaitGroup
			for range 8 {
				c := w.client(t, server, time.Minute)
				runners.Go(func() {
					if err := c.Authenticate(t.Context(), worldPassword); err != nil {
						t.Error(err)
						return
					}
					if _, err := c.Settle(t.Context(), v.ID, w.checks[0].ID, w.cluster.ID, Container, Fail); err != nil {
						t.Error(err)
					}
				})
			}
			runners.Wait()
			all, err := w.store.Assessments(t.Context(), v.ID)
			if err != nil || len(all) != 1 || all[0].ID != a.ID || all[0].State != Failed {
				t.Errorf("%+v, %v", all, err)
			}
		})
	}
}
