package polarserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestASessionTellsWhatTheServerHasBeyondPolar(t *testing.T) {
	s, _ := newStore(t)
	if err := s.SetPassword(t.Context(), "bot-password"); err != nil {
		t.Fatal(err)
	}
	rec := post(New(s, Options{}), "/publish/sessions", "", `{"user":{"password":"bot-password"}}`)
	for _, name := range []string{"idempotency", "comment"} {
		if got := rec.Header().Get("Polar-Extensions"); !strings.Contains(", "+got+",", ", "+name+",") {
			t.Errorf("no %s in %q", name, got)
		}
	}
}

func TestARequestWithAKeyIsTakenOnce(t *testing.T) {
	s, _ := newStore(t)
	ctx := t.Context()
	v := importBuild(t, s, testSerial, "test")
	checks, err := s.AddChecks(ctx, "ipv4")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := s.AddCluster(ctx, testCluster(t, "one"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Assessment(ctx, v.ID, checks[0].ID, cluster.ID, "vm")
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Product(ctx, testKey)
	if err != nil {
		t.Fatal(err)
	}
	h, session := New(s, Options{}), newSession(t, s)
	send := func(path, body, key string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		for name, value := range map[string]string{"Content-Type": "application/json", "Authorization": session, "Idempotency-Key": key} {
			r.Header.Set(name, value)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	version := fmt.Sprintf(`{"version":{"serial":"20260103","items":[{"name":"a","file_type":"squashfs","hash":%q,
		"size":1,"path":"images/a","is_metadata":false,"combined_hashes":[]}]}}`, sum("a"))
	for i, tt := range []struct{ name, path, body, other string }{
		{"a version's event", fmt.Sprintf("/publish/versions/%d/events", v.ID), `{"event":{"name":"activate"}}`, `{"event":{"name":"deactivate"}}`},
		{"an assessment's event", fmt.Sprintf("/publish/testing/assessments/%d/events", a.ID), `{"event":{"name":"run"}}`, `{"event":{"name":"pass"}}`},
		{"a new version", fmt.Sprintf("/publish/products/%d/versions", p.ID), version, strings.Replace(version, "20260103", "20260104", 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := fmt.Sprint("key", i)
			first, again := send(tt.path, tt.body, key), send(tt.path, tt.body, key)
			if first.Code != http.StatusCreated || again.Code != http.StatusCreated || again.Body.String() != first.Body.String() {
				t.Errorf("first %d %s, again %d %s", first.Code, first.Body, again.Code, again.Body)
			}
			if rec := send(tt.path, tt.other, key); rec.Code != http.StatusUnprocessableEntity || !strings.Contains(rec.Body.String(), "was used for another request") {
				t.Errorf("for another thing: %d %s", rec.Code, rec.Body)
			}
		})
	}
	if events, err := s.AssessmentEvents(ctx, a.ID); err != nil || len(events) != 1 {
		t.Errorf("events %+v, %v", events, err)
	}
}

func TestAnEventMaySayWhoAndWhy(t *testing.T) {
	for _, tt := range []struct {
		name, fields   string
		code           int
		actor, comment string
	}{
		{"neither", ``, 201, publisher, ""},
		{"both", `,"by":"octocat","comment":"no IPv6\nat boot"`, 201, "octocat", "no IPv6\nat boot"},
		{"null", `,"by":null,"comment":null`, 201, publisher, ""},
		{"empty", `,"by":""`, 201, publisher, ""},
		{"of another type", `,"by":7,"comment":[]`, 422, "", ""},
		{"an escape", `,"comment":"\u001b[31m"`, 422, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := newStore(t)
			v := importBuild(t, s, testSerial)
			rec := post(New(s, Options{}), fmt.Sprintf("/publish/versions/%d/events", v.ID), newSession(t, s), `{"event":{"name":"test"`+tt.fields+`}}`)
			events, err := s.VersionEvents(t.Context(), v.ID)
			if err != nil || rec.Code != tt.code {
				t.Fatalf("%d %s, %v", rec.Code, rec.Body, err)
			}
			if tt.code == http.StatusCreated && (len(events) != 1 || events[0].Actor != tt.actor || events[0].Comment != tt.comment) {
				t.Errorf("events %+v", events)
			}
			if tt.code != http.StatusCreated && len(events) != 0 {
				t.Errorf("refused, but there are events %+v", events)
			}
		})
	}
}

func TestARefusedEventTellsTheState(t *testing.T) {
	s, _ := newStore(t)
	v := importBuild(t, s, testSerial, "test", "activate")
	rec := post(New(s, Options{}), fmt.Sprintf("/publish/versions/%d/events", v.ID), newSession(t, s), `{"event":{"name":"activate"}}`)
	var body struct{ State string }
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil || rec.Code != http.StatusConflict || body.State != "active" {
		t.Errorf("%d %s, %v", rec.Code, rec.Body, err)
	}
}
