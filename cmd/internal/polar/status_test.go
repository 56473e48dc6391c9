package polar

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// extended is a server whose sessions name extensions, and which answers all else
// with one answer.
type extended struct {
	extensions string
	answer     http.HandlerFunc
	asked      []string
}

func (s *extended) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/publish/sessions" {
		w.Header().Set("Polar-Extensions", s.extensions)
		say(http.StatusCreated, `{"data":{"token":"token"}}`)(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	s.asked = append(s.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Method, r.URL, body)))
	s.answer(w, r)
}

func newExtended(t *testing.T, extensions string, answer http.HandlerFunc) (*Client, *extended) {
	t.Helper()
	srv := &extended{extensions: extensions, answer: answer}
	c := newClient(t, srv)
	if err := c.Authenticate(t.Context(), "a-password"); err != nil {
		t.Fatal(err)
	}
	return c, srv
}

func TestStatusIsAskedForWhereItIsOffered(t *testing.T) {
	const key = "debian:bookworm:amd64:default"
	const answer = `{"data":[{"product":"debian:bookworm:amd64:default","versions":[{"id":7,"serial":"20261122-01","state":"testing",
		"created_at":"2026-11-22T10:00:00Z","assessments":[{"check":"ipv6","instance_type":"vm","state":"failed","updated_at":"2026-11-22T10:05:00Z","why":"no route"}],
		"reports":[{"instance_type":"vm","verdict":"fail","posted_at":"2026-11-22T10:06:00Z"}]}]}]}`
	for _, extensions := range []string{"", "comment", "statuses, report"} {
		c, srv := newExtended(t, extensions, say(200, answer))
		if _, err := c.Status(t.Context(), key); !errors.Is(err, ErrNoStatus) || len(srv.asked) != 0 {
			t.Errorf("with %q: %v, asked %q", extensions, err, srv.asked)
		}
	}
	c, srv := newExtended(t, "idempotency,Status , report", say(200, answer))
	all, err := c.Status(t.Context(), key)
	if err != nil || len(all) != 1 || len(all[0].Versions) != 1 {
		t.Fatalf("got %+v, %v", all, err)
	}
	at := time.Date(2026, 11, 22, 10, 5, 0, 0, time.UTC)
	v := all[0].Versions[0]
	if v.ID != 7 || v.State != "testing" || !slices.Equal(v.Assessments, []AssessmentStatus{{"ipv6", "vm", "failed", at, "no route"}}) {
		t.Errorf("got %+v", v)
	}
	if _, err := c.Status(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if want := []string{"GET /publish/status?product=debian%3Abookworm%3Aamd64%3Adefault", "GET /publish/status"}; !slices.Equal(srv.asked, want) {
		t.Errorf("asked %q", srv.asked)
	}
}

func TestStatusOfManyVersionsIsRead(t *testing.T) {
	version := `{"id":7,"serial":"20261122-01","state":"testing","created_at":"2026-11-22T10:00:00Z"},`
	many := strings.Repeat(version, 3*maxBody/len(version))
	c, _ := newExtended(t, "status", say(200, `{"data":[{"product":"a:b:c:d","versions":[`+strings.TrimSuffix(many, ",")+`]}]}`))
	if all, err := c.Status(t.Context(), ""); err != nil || len(all) != 1 {
		t.Errorf("%d products, %v", len(all), err)
	}
}

func TestAnUnknownProductHasNoStatus(t *testing.T) {
	c, _ := newExtended(t, "status", say(404, `{"errors":{"detail":"Not Found"}}`))
	_, err := c.Status(t.Context(), "debian:sid:amd64:default")
	if missing, ok := errors.AsType[*NotFoundError](err); !ok || *missing != (NotFoundError{"product", "debian:sid:amd64:default"}) {
		t.Errorf("got %v", err)
	}
}

func TestReportsArePutWhereTheyAreKept(t *testing.T) {
	document := []byte("{\n  \"schema_version\": 1\n}")
	c, srv := newExtended(t, "status", say(204, ""))
	if err := c.PutReport(t.Context(), 7, VM, document); err != nil || len(srv.asked) != 0 {
		t.Errorf("%v, asked %q", err, srv.asked)
	}
	c, srv = newExtended(t, "report", say(204, ""))
	if err := c.PutReport(t.Context(), 7, VM, document); err != nil || !slices.Equal(srv.asked, []string{`PUT /publish/versions/7/reports/vm {"schema_version":1}`}) {
		t.Errorf("%v, asked %q", err, srv.asked)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"refused":          say(422, `{"errors":{"report":["is invalid"]}}`),
		"a gateway's page": say(200, "<html>log in</html>"),
		"too large":        say(413, ""),
	} {
		c, _ := newExtended(t, "report", answer)
		if err := c.PutReport(t.Context(), 7, VM, document); err == nil || !strings.Contains(err.Error(), "put report of version 7 as vm") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestANewSessionTellsAnewWhatIsOffered(t *testing.T) {
	c, srv := newExtended(t, "status", say(200, `{"data":[]}`))
	srv.extensions = "" // it was replaced by an older one, which ends sessions
	srv.answer = func(w http.ResponseWriter, r *http.Request) {
		srv.answer = say(200, oneCheck)
		say(401, `{"status":"unauthorized"}`)(w, r)
	}
	if _, err := c.Checks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context(), ""); !errors.Is(err, ErrNoStatus) {
		t.Errorf("got %v", err)
	}
}
