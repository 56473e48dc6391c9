package polar

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polar/polartest"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// onEvents returns a Proxy's Fault by which each fault befalls an event, in their
// order. A nil one lets its event pass.
func onEvents(faults ...polartest.Fault) func(int, *http.Request) polartest.Fault {
	var sent atomic.Int64
	return func(_ int, r *http.Request) polartest.Fault {
		if !strings.HasSuffix(r.URL.Path, "/events") {
			return nil
		}
		if n := int(sent.Add(1)); n <= len(faults) {
			return faults[n-1]
		}
		return nil
	}
}

// settles settles a new assessment that is in the state, while faults befall the
// events, and returns what was posted, and the state and the events that it ends with.
func (w *world) settles(t *testing.T, mode mode, state, verdict string, faults ...polartest.Fault) (posted, history string, err error) {
	t.Helper()
	v := w.version(t)
	w.assessment(t, v, 0, Container, state)
	return w.settle(t, mode, v, verdict, faults...)
}

func (w *world) settle(t *testing.T, mode mode, v polarstore.Version, verdict string, faults ...polartest.Fault) (posted, history string, err error) {
	t.Helper()
	c := w.client(t, &polartest.Proxy{Server: mode.dress(w.server), Fault: onEvents(faults...)}, time.Minute)
	if err := c.Authenticate(t.Context(), worldPassword); err != nil {
		t.Fatal(err)
	}
	posted, err = c.Settle(t.Context(), v.ID, w.checks[0].ID, w.cluster.ID, Container, verdict)
	_, history, _ = strings.Cut(w.history(t, v), "container ")
	return posted, mode.known(history), err
}

func TestSettleTakesAsFewEventsAsItCan(t *testing.T) {
	w := newWorld(t)
	w.server = quickSessions(w.server)
	for _, tt := range []struct{ state, verdict, posted, history string }{
		{Created, Pass, Pass, "passed: run pass"},
		{Created, Fail, Fail, "failed: run fail"},
		{Running, Pass, Pass, "passed: run pass"},
		{Running, Fail, Fail, "failed: run fail"},
		{Failed, Pass, Pass, "passed: run fail run pass"},
		{Failed, Fail, Fail, "failed: run fail run fail"},
		{Passed, Pass, "", "passed: run pass"},
		{Passed, Fail, "", "passed: run pass"},
	} {
		t.Run(tt.state+" to "+tt.verdict, func(t *testing.T) {
			posted, history, err := w.settles(t, modes()[0], tt.state, tt.verdict)
			if err != nil || posted != tt.posted || history != tt.history {
				t.Errorf("posted %q, %v, %s", posted, err, history)
			}
		})
	}
}

// Whatever befalls the events on their way, the verdict is taken exactly once.
func TestSettleTakesTheVerdictOnceWhateverIsLost(t *testing.T) {
	fates := []polartest.Trouble{
		{Name: "none"},
		{Name: "lost", Fault: polartest.Lost},
		{Name: "crash", Fault: polartest.Instead(http.StatusInternalServerError)},
		{Name: "taken", Fault: polartest.AnswerLost},
		{Name: "taken, crash", Fault: polartest.After(http.StatusInternalServerError)},
		{Name: "taken, page", Fault: func(w http.ResponseWriter, r *http.Request, server http.Handler) {
			polartest.Deliver(r, server)
			say(http.StatusOK, "<html>log in first")(w, r)
		}},
	}
	want := map[string]string{ // one event and two: that is all there is
		Running + Pass: "passed: run pass", Running + Fail: "failed: run fail",
		Failed + Pass: "passed: run fail run pass", Failed + Fail: "failed: run fail run fail",
	}
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.server = quickSessions(w.server)
			for _, state := range []string{Running, Failed} {
				for _, verdict := range []string{Pass, Fail} {
					for _, first := range fates {
						for _, second := range fates {
							posted, history, err := w.settles(t, mode, state, verdict, first.Fault, second.Fault)
							if err != nil || posted != verdict || history != want[state+verdict] {
								t.Errorf("%s to %s, %s, then %s: posted %q, %v, %s", state, verdict, first.Name, second.Name, posted, err, history)
							}
						}
					}
				}
			}
		})
	}
}

func TestSettleGivesWayToSomebodyElse(t *testing.T) {
	for _, mode := range modes() {
		t.Run(mode.name, func(t *testing.T) {
			w := newWorld(t)
			w.server = quickSessions(w.server)
			var id int64
			// rival has somebody else send events just before ours.
			rival := func(events ...string) polartest.Fault {
				return func(rw http.ResponseWriter, r *http.Request, server http.Handler) {
					for _, event := range events {
						w.fire(t, id, event)
					}
					polartest.Answer(rw, polartest.Deliver(r, server))
				}
			}
			lost := func(rw http.ResponseWriter, r *http.Request, server http.Handler) {
				w.fire(t, id, Pass)
				polartest.Lost(rw, r, server)
			}
			twice := Fail // is posted where a refusal may be a crash after the event was taken
			if !mode.blind {
				twice = ""
			}
			for _, tt := range []struct {
				name            string
				state, verdict  string
				faults          []polartest.Fault
				posted, history string
			}{
				{"passed before it is run", Created, Fail, []polartest.Fault{rival(Run, Pass)}, "", "passed: run pass"},
				{"passed before it fails", Created, Fail, []polartest.Fault{nil, rival(Pass)}, "", "passed: run pass"},
				{"failed before it fails", Created, Fail, []polartest.Fault{nil, rival(Fail)}, twice, "failed: run fail"},
				{"failed before it passes", Created, Pass, []polartest.Fault{nil, rival(Fail)}, Pass, "passed: run fail run pass"},
				{"passed after the failure was lost", Running, Fail, []polartest.Fault{lost}, "", "passed: run pass"},
			} {
				t.Run(tt.name, func(t *testing.T) {
					v := w.version(t)
					id = w.assessment(t, v, 0, Container, tt.state).ID
					posted, history, err := w.settle(t, mode, v, tt.verdict, tt.faults...)
					if err != nil || posted != tt.posted || history != tt.history {
						t.Errorf("posted %q, %v, %s; want %q, %s", posted, err, history, tt.posted, tt.history)
					}
				})
			}
		})
	}
}

func TestSettleGivesUp(t *testing.T) {
	w := newWorld(t)
	polar := modes()[1]
	crash := polartest.Instead(http.StatusInternalServerError)
	if posted, history, err := w.settles(t, polar, Running, Pass, slices.Repeat([]polartest.Fault{crash}, settleAttempts)...); err == nil || posted != "" || history != "running: run" {
		t.Errorf("posted %q, %v, %s", posted, err, history)
	}
	last := append(slices.Repeat([]polartest.Fault{crash}, settleAttempts-1), polartest.After(http.StatusInternalServerError))
	if posted, history, err := w.settles(t, polar, Running, Pass, last...); err != nil || posted != Pass {
		t.Errorf("taken at the last attempt: posted %q, %v, %s", posted, err, history)
	}
	if _, history, err := w.settles(t, polar, Running, "skip"); err == nil || history != "running: run" {
		t.Errorf("a verdict that is none: %v, %s", err, history)
	}
	missing := say(http.StatusNotFound, "")
	if _, err := newClient(t, missing).Settle(t.Context(), 1, 2, 3, Container, Pass); err == nil {
		t.Error("no error for a version that is not there")
	}
}

// What is known of an earlier attempt, whose process may be no more, keeps a fail from
// being posted twice.
func TestAFailThatWasSentIsNotSentAgainWhereItWasTaken(t *testing.T) {
	w := newWorld(t)
	w.server = quickSessions(w.server)
	for _, mode := range modes() {
		for _, tt := range []struct {
			name, state string
			sent        bool
			posted      string
			sends       int
			history     string
		}{
			{"it was taken", Failed, true, Fail, 0, "failed: run fail"},
			{"it was not taken", Running, true, Fail, 1, "failed: run fail"},
			{"it was not sent", Failed, false, Fail, 1, "failed: run fail run fail"},
			{"another client passed it", Passed, true, "", 0, "passed: run pass"},
		} {
			t.Run(mode.name+", "+tt.name, func(t *testing.T) {
				v := w.version(t)
				w.assessment(t, v, 0, Container, tt.state)
				c := w.client(t, mode.dress(w.server), time.Minute)
				if err := c.Authenticate(t.Context(), worldPassword); err != nil {
					t.Fatal(err)
				}
				sends := 0
				posted, err := c.SettleAgain(t.Context(), v.ID, w.checks[0].ID, w.cluster.ID, Container, Fail,
					Attempts{Sent: tt.sent, Sending: func() { sends++ }})
				_, history, _ := strings.Cut(w.history(t, v), "container ")
				if err != nil || posted != tt.posted || sends != tt.sends || history != tt.history {
					t.Errorf("posted %q after %d sends, %q, %v; want %q, %d, %q", posted, sends, history, err, tt.posted, tt.sends, tt.history)
				}
			})
		}
	}
}
