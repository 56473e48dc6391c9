package polar

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polar/polartest"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

func TestPromoteEndsInAKnownState(t *testing.T) {
	both, one, none := []string{"testing", "active"}, []string{"testing"}, []string(nil)
	crash := polartest.Instead(http.StatusInternalServerError)
	forEver := func(f polartest.Fault) []polartest.Fault { return slices.Repeat([]polartest.Fault{f}, 30) }
	cases := []struct {
		name     string
		before   []string // what another client does with the version
		faults   []polartest.Fault
		channels []string
		want     string // the error; empty: promoted
		polar    string // where it is another one as Polar 0.2 answers
		history  string
	}{
		{"taken", nil, nil, none, "", "", "active: test activate"},
		{"lost once", nil, []polartest.Fault{polartest.Lost}, one, "", "", "active: test activate"},
		{"refused for a moment", nil, []polartest.Fault{crash}, one, "", "", "active: test activate"},
		{"all answers lost", nil, forEver(polartest.AnswerLost), one, "", "", "active: test activate"},
		{"all answers lost, and the feed not known", nil, forEver(polartest.AnswerLost), none, "is not known: the testing channel's feed", "", "active: test activate"},
		{"all requests lost", nil, forEver(polartest.Lost), both, "no answer from", "", "testing: test"},
		{"promoted by another", []string{Activate}, nil, both, "", "", "active: test activate"},
		{"promoted by another, its feed not known", []string{Activate}, nil, one, "", "the active channel's feed is not known", "active: test activate"},
		{"withdrawn by another, the active feed not known", []string{Deactivate}, nil, one, "is inactive: activate is refused", "the active channel's feed is not known", "inactive: test deactivate"},
		{"promoted by another, no feed known", []string{Activate}, nil, none, "", "is not known: the testing channel's feed", "active: test activate"},
		{"withdrawn by another", []string{Deactivate}, nil, both, "is inactive: activate is refused", "it is not in testing any more", "inactive: test deactivate"},
	}
	for _, mode := range modes() {
		w := newWorld(t)
		server := mode.dress(quickSessions(w.server))
		for _, tt := range cases {
			t.Run(tt.name+" "+mode.name, func(t *testing.T) {
				v := w.version(t)
				for _, event := range tt.before {
					if _, err := w.store.FireVersion(t.Context(), v.ID, event, polarstore.By{Actor: "another"}); err != nil {
						t.Fatal(err)
					}
				}
				c := w.client(t, &polartest.Proxy{Server: server, Fault: onEvents(tt.faults...)}, time.Minute, tt.channels...)
				if err := c.Authenticate(t.Context(), worldPassword); err != nil {
					t.Fatal(err)
				}
				want := tt.want
				if mode.blind && tt.polar != "" {
					want = tt.polar
				}
				err := c.Promote(t.Context(), strings.ToUpper(worldProduct), Version{v.ID, v.Serial}, "")
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
				if got := w.history(t, v); got != tt.history {
					t.Errorf("history %s, want %s", got, tt.history)
				}
			})
		}
	}
}

func TestPromoteTellsNoTokenOfAFeed(t *testing.T) {
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusInternalServerError
		if strings.HasPrefix(r.URL.Path, "/spaces/") {
			status = http.StatusNotFound
		}
		say(status, r.URL.Path)(w, r)
	}))
	c.opts.TestingFeed = Secret(c.endpoint + "/spaces/s3cret")
	err := c.Promote(t.Context(), worldProduct, Version{1, "20260102"}, "")
	if err == nil || !strings.Contains(err.Error(), "/spaces/***/") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

func TestWhoAndWhyAreToldWhereTheServerKeepsThem(t *testing.T) {
	for _, tt := range []struct {
		mode           mode
		actor, comment string
	}{
		{modes()[0], "tester", "all passed"},
		{modes()[1], "publisher", ""},
	} {
		t.Run(tt.mode.name, func(t *testing.T) {
			w := newWorld(t)
			v := w.version(t)
			c := w.client(t, tt.mode.dress(w.server), time.Minute)
			if err := w.journey(t.Context(), c, v.Serial); err != nil {
				t.Fatal(err)
			}
			events, err := w.store.VersionEvents(t.Context(), v.ID)
			if err != nil {
				t.Fatal(err)
			}
			if last := events[len(events)-1]; last.Actor != tt.actor || last.Comment != tt.comment {
				t.Errorf("activated by %q: %q", last.Actor, last.Comment)
			}
			a := w.assessment(t, v, 0, Container, "")
			events, err = w.store.AssessmentEvents(t.Context(), a.ID)
			if err != nil || len(events) == 0 || events[0].Actor != tt.actor {
				t.Errorf("events %+v, %v", events, err)
			}
		})
	}
}
