package polar

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// An exchange is a request and what Polar answered to it.
type exchange struct {
	Method, Path string
	Auth         string
	Req          *string
	Status       int
	Body         string
}

// recording answers requests as Polar was seen to do. Of equal requests, each
// gets the next answer, and all that follow the last.
type recording struct {
	t       *testing.T
	mu      sync.Mutex
	answers map[string][]exchange
}

func readRecording(t *testing.T) *recording {
	t.Helper()
	f, err := os.Open("testdata/exchanges.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rec := &recording{t: t, answers: map[string][]exchange{}}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var e exchange
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		var body []byte
		if e.Req != nil {
			body = []byte(*e.Req)
		}
		key := recordingKey(e.Method, e.Path, e.Auth, body)
		rec.answers[key] = append(rec.answers[key], e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rec
}

func recordingKey(method, path, auth string, body []byte) string {
	var v any
	if len(body) > 0 && json.Unmarshal(body, &v) == nil {
		body, _ = json.Marshal(v) // one way to write it
	}
	return fmt.Sprintf("%s %s %s %s", method, path, auth, body)
}

func (rec *recording) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	key := recordingKey(r.Method, r.URL.EscapedPath(), r.Header.Get("Authorization"), body)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	answers := rec.answers[key]
	if len(answers) == 0 {
		rec.t.Errorf("nothing is recorded for %s", key)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	if len(answers) > 1 {
		rec.answers[key] = answers[1:]
	}
	if accept := r.Header.Get("Accept"); accept != "application/json" {
		rec.t.Errorf("%s: Accept is %q", key, accept)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(answers[0].Status)
	_, _ = io.WriteString(w, answers[0].Body)
}

// newClient returns a client of the handler whose repetitions do not wait.
func newClient(t *testing.T, h http.Handler) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	c, err := New(srv.URL, Options{RetryWait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestPolarIsUnderstood(t *testing.T) {
	c := newClient(t, readRecording(t))
	ctx := t.Context()
	if err := c.Authenticate(ctx, "nope"); !errors.Is(err, ErrWrongPassword) {
		t.Fatalf("a wrong password: %v", err)
	}
	if err := c.Authenticate(ctx, "a-password"); err != nil {
		t.Fatal(err)
	}

	const deb = "debian:bookworm:amd64:default"
	type event = func(ctx context.Context, id int64, name string) error
	product := func(key string) (any, error) { return c.Product(ctx, key) }
	version := func(serial string) (any, error) { return c.Version(ctx, 3, serial) }
	assess := func(version, check int64, typ string) (any, error) { return c.Assessment(ctx, version, check, 1, typ) }
	versionEvent := func(ctx context.Context, id int64, name string) error { return c.VersionEvent(ctx, id, name, "") }
	do := func(f event, id int64, name string) (any, error) { return "taken", f(ctx, id, name) }

	// The steps are in the order in which they were recorded: states change.
	for i, step := range []struct {
		result func() (any, error)
		want   string // the result or the error
	}{
		{func() (any, error) { return product(deb) }, "{1 debian:bookworm:amd64:default map[secureboot:false]}"},
		{func() (any, error) { return product("DEBIAN:Bookworm:AMD64:Default") }, "{1 debian:bookworm:amd64:default map[secureboot:false]}"},
		{func() (any, error) { return product("debian:buzz:amd64:default") }, "polar: get product debian:buzz:amd64:default: 404 not found"},
		{func() (any, error) { return product("debian:bookworm:x86_64:default") }, "polar: get product debian:bookworm:x86_64:default: 404 not found"},
		{func() (any, error) { return product("\xff:\xfe:a:b") }, "500 internal server error"},
		{func() (any, error) { return version("1795357939a") }, "{1 1795357939a}"},
		{func() (any, error) { return version("1795357939A") }, "{1 1795357939a}"},
		{func() (any, error) { return version("nope") }, "polar: get version nope: 404 not found"},
		{func() (any, error) { return do(versionEvent, 1, Activate) }, "polar: activate version 1: refused, or the server failed (500)"},
		{func() (any, error) { return do(versionEvent, 1, Test) }, "taken"},
		{func() (any, error) { return do(versionEvent, 1, Activate) }, "taken"},
		{func() (any, error) { return do(versionEvent, 1, Activate) }, "polar: activate version 1: refused, or the server failed (500)"},
		{func() (any, error) { return do(versionEvent, 1, Deactivate) }, "taken"},
		{func() (any, error) { return do(versionEvent, 999999, Test) }, "polar: test version 999999: 404 not found"},
		{func() (any, error) { return c.Checks(ctx) }, "[{1 ipv4} {2 ipv6} {3 package-install} {4 service-start} {5 gpu}]"},
		{func() (any, error) { return c.Clusters(ctx) }, "[{1 lxd amd64 healthy {https://127.0.0.1:8443 <pem certificate> *** ***} [{vm 10000} {container 5000}]}]"},
		{func() (any, error) { return assess(1, 1, Container) }, "{1 created ipv4}"},
		{func() (any, error) { return assess(1, 1, VM) }, "{2 created ipv4}"},
		{func() (any, error) { return assess(1, 1, "virtual-machine") }, "polar: get assessment of version 1, check 1, virtual-machine: 422 unprocessable entity: instance_type is invalid"},
		{func() (any, error) { return assess(1, 999, Container) }, "polar: get assessment of version 1, check 999, container: 500 internal server error"},
		{func() (any, error) { return assess(999999, 1, Container) }, "404 not found"},
		{func() (any, error) { return do(c.AssessmentEvent, 1, Pass) }, "polar: pass assessment 1: refused, or the server failed (500)"},
		{func() (any, error) { return do(c.AssessmentEvent, 1, Run) }, "taken"},
		{func() (any, error) { return do(c.AssessmentEvent, 1, Fail) }, "taken"},
		{func() (any, error) { return do(c.AssessmentEvent, 1, Run) }, "taken"},
		{func() (any, error) { return do(c.AssessmentEvent, 1, Pass) }, "taken"},
		{func() (any, error) { return do(c.AssessmentEvent, 1, Pass) }, "polar: pass assessment 1: refused, or the server failed (500)"},
		{func() (any, error) { return do(c.AssessmentEvent, 999999, Run) }, "polar: run assessment 999999: 404 not found"},
		{func() (any, error) { return assess(1, 1, Container) }, "{1 passed ipv4}"},
	} {
		v, err := step.result()
		got := fmt.Sprint(v)
		if err != nil {
			got = err.Error()
		}
		if got != step.want && (err == nil || !strings.HasSuffix(got, step.want)) {
			t.Errorf("step %d: %s, want %s", i+1, got, step.want)
		}
	}
}

func TestNotFoundNamesWhatIsMissing(t *testing.T) {
	c := newClient(t, http.NotFoundHandler())
	_, err := c.Product(t.Context(), "debian:sid:amd64:default")
	if e, ok := errors.AsType[*NotFoundError](err); !ok || *e != (NotFoundError{"product", "debian:sid:amd64:default"}) {
		t.Errorf("got %#v", err)
	}
	_, err = c.Version(t.Context(), 1, "2026/11 22")
	if e, ok := errors.AsType[*NotFoundError](err); !ok || *e != (NotFoundError{"version", "2026/11 22"}) {
		t.Errorf("got %#v", err)
	}
}
