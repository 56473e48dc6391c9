package polar

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A mishap is what befalls an event.
type mishap int

const (
	none     mishap = iota
	lost            // not taken, and the connection is cut
	crash           // not taken, and a 500
	taken           // taken, and the connection is cut
	takenBad        // taken, and a 500
	gateway         // taken, and a proxy's 502
)

// rows is a server with one assessment. Clear, where set, answers a refusal
// with 409 and its reason, as newer servers do.
type rows struct {
	mu      sync.Mutex
	state   string
	clear   bool
	mishaps []mishap       // of the events, in their order
	rival   map[int]string // states that somebody else brings about before the n-th event
	sent    int
	log     []string // events that were taken
}

func (s *rows) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/assessments") {
		_, _ = fmt.Fprintf(w, `{"data":{"id":5,"current_state":%q,"check":{"slug":"ipv4"}}}`, s.state)
		return
	}
	var in struct{ Event struct{ Name string } }
	_ = json.Unmarshal(body, &in)
	if state, ok := s.rival[s.sent]; ok {
		s.state = state
	}
	fate := none
	if s.sent < len(s.mishaps) {
		fate = s.mishaps[s.sent]
	}
	s.sent++
	if fate == none || fate >= taken {
		if !s.take(in.Event.Name) {
			if s.clear {
				say(http.StatusConflict, `{"errors":{"detail":"not in this state"}}`)(w, r)
			} else {
				say(http.StatusInternalServerError, "")(w, r)
			}
			return
		}
	}
	switch fate {
	case none:
		say(http.StatusCreated, fmt.Sprintf(`{"data":{"id":1,"name":%q}}`, in.Event.Name))(w, r)
	case lost, taken:
		cut(w, r)
	case crash, takenBad:
		w.WriteHeader(http.StatusInternalServerError)
	case gateway:
		w.WriteHeader(http.StatusBadGateway)
	}
}

func (s *rows) take(event string) bool {
	switch {
	case event == Run && s.state != Passed, s.state == Running && (event == Pass || event == Fail):
		s.state = stateAfter(event)
		s.log = append(s.log, event)
		return true
	}
	return false
}

func TestSettle(t *testing.T) {
	tests := []struct {
		state, want string
		events      []string
		posted      string
	}{
		{Created, Pass, []string{Run, Pass}, Pass},
		{Created, Fail, []string{Run, Fail}, Fail},
		{Running, Pass, []string{Pass}, Pass},
		{Running, Fail, []string{Fail}, Fail},
		{Failed, Pass, []string{Run, Pass}, Pass},
		{Failed, Fail, []string{Run, Fail}, Fail},
		{Passed, Pass, nil, ""},
		{Passed, Fail, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.state+" to "+tt.want, func(t *testing.T) {
			srv := &rows{state: tt.state}
			posted, err := newClient(t, srv).Settle(t.Context(), 1, 2, 3, Container, tt.want)
			if err != nil || posted != tt.posted || !slices.Equal(srv.log, tt.events) {
				t.Errorf("posted %q with %q, %v, want %q with %q", posted, srv.log, err, tt.posted, tt.events)
			}
		})
	}
}

// Whatever befalls the events on their way, the verdict is taken exactly once.
func TestSettleTakesTheVerdictOnceWhateverIsLost(t *testing.T) {
	fates := []mishap{none, lost, crash, taken, takenBad, gateway}
	for _, state := range []string{Created, Running, Failed} {
		for _, want := range []string{Pass, Fail} {
			for _, first := range fates {
				for _, second := range fates {
					t.Run(fmt.Sprint(state, " ", want, " ", first, second), func(t *testing.T) {
						srv := &rows{state: state, mishaps: []mishap{first, second}}
						posted, err := newClient(t, srv).Settle(t.Context(), 1, 2, 3, Container, want)
						if err != nil || posted != want || srv.state != stateAfter(want) {
							t.Errorf("posted %q, %v, and it is %s", posted, err, srv.state)
						}
						n := 0
						for _, event := range srv.log {
							if event == want {
								n++
							}
						}
						if n != 1 || len(srv.log) > 2 {
							t.Errorf("taken: %q", srv.log)
						}
					})
				}
			}
		}
	}
}

func TestSettleGivesWayToSomebodyElse(t *testing.T) {
	tests := []struct {
		name   string
		srv    *rows
		want   string
		posted string
		state  string
	}{
		{"passed before it is run", &rows{state: Created, rival: map[int]string{0: Passed}}, Fail, "", Passed},
		{"passed before it fails", &rows{state: Created, rival: map[int]string{1: Passed}}, Fail, "", Passed},
		{"passed before it passes, told clearly", &rows{state: Created, clear: true, rival: map[int]string{1: Passed}}, Pass, "", Passed},
		{"failed before it fails, told clearly", &rows{state: Created, clear: true, rival: map[int]string{1: Failed}}, Fail, Fail, Failed},
		{"failed before it passes", &rows{state: Created, rival: map[int]string{1: Failed}}, Pass, Pass, Passed},
		{"passed after the failure was lost", &rows{state: Running, mishaps: []mishap{lost}, rival: map[int]string{0: Passed}}, Fail, "", Passed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			posted, err := newClient(t, tt.srv).Settle(t.Context(), 1, 2, 3, Container, tt.want)
			if err != nil || posted != tt.posted || tt.srv.state != tt.state {
				t.Errorf("posted %q, %v, and it is %s; want %q and %s", posted, err, tt.srv.state, tt.posted, tt.state)
			}
		})
	}
}

func TestSettleGivesUp(t *testing.T) {
	srv := &rows{state: Running, mishaps: slices.Repeat([]mishap{crash}, 20)}
	posted, err := newClient(t, srv).Settle(t.Context(), 1, 2, 3, Container, Pass)
	if err == nil || posted != "" || srv.sent != settleAttempts {
		t.Errorf("posted %q after %d attempts, %v", posted, srv.sent, err)
	}
	if _, err := newClient(t, srv).Settle(t.Context(), 1, 2, 3, Container, "skip"); err == nil || srv.sent != settleAttempts {
		t.Errorf("a verdict that is none: %v", err)
	}
	last := &rows{state: Running, mishaps: append(slices.Repeat([]mishap{crash}, settleAttempts-1), taken)}
	if posted, err := newClient(t, last).Settle(t.Context(), 1, 2, 3, Container, Pass); err != nil || posted != Pass {
		t.Errorf("taken at the last attempt: posted %q, %v", posted, err)
	}
	missing := say(http.StatusNotFound, "")
	if _, err := newClient(t, missing).Settle(t.Context(), 1, 2, 3, Container, Pass); err == nil {
		t.Error("no error for a version that is not there")
	}
}
