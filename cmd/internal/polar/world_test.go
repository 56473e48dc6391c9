package polar

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar/polartest"
	"github.com/upmaru/icepak/cmd/internal/polarserver"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

const (
	worldPassword = "bot-password-0123456789"
	worldProduct  = "debian:bookworm:amd64:default"
)

// A world is an embedded Polar with a product, checks and a cluster, and what stands
// between it and its clients.
type world struct {
	store   *polarstore.Store
	server  http.Handler
	product polarstore.Product
	checks  []polarstore.Check
	cluster polarstore.Cluster
	feeds   map[string]string // paths of the feeds, by channel

	later    func(time.Duration) // lets time pass for the server
	versions int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w := &world{feeds: map[string]string{}}
	var mu sync.Mutex
	var offset time.Duration
	w.later = func(d time.Duration) { mu.Lock(); defer mu.Unlock(); offset += d }
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(offset) }

	var err error
	w.store, err = polarstore.Open(ctx, filepath.Join(t.TempDir(), "polar"), polarstore.Options{Now: now})
	must(err)
	t.Cleanup(func() { must(w.store.Close()) })
	w.server = polarserver.New(w.store, polarserver.Options{})
	must(w.store.SetPassword(ctx, worldPassword))
	w.product, err = w.store.AddProduct(ctx, worldProduct, nil)
	must(err)
	w.checks, err = w.store.AddChecks(ctx, "ipv4", "ipv6", "package-install")
	must(err)
	cert, key, err := lxd.NewIdentity("tester")
	must(err)
	w.cluster, err = w.store.AddCluster(ctx, polarstore.Cluster{Name: "one", Type: "lxd", Arch: "amd64",
		Endpoint: "https://one.example.com:8443", Certificate: string(cert), PrivateKey: polarstore.Secret(key)})
	must(err)
	for _, channel := range []string{"testing", "active"} {
		_, token, err := w.store.AddSpace(ctx, polarstore.Space{Channel: channel, Type: "lxd"})
		must(err)
		w.feeds[channel] = "/spaces/" + token
	}
	return w
}

// version makes a version that is in testing.
func (w *world) version(t *testing.T) polarstore.Version {
	t.Helper()
	w.versions++
	serial := fmt.Sprintf("20260102-%04d", w.versions)
	build := t.TempDir()
	for _, name := range []string{"incus.tar.xz", "rootfs.squashfs"} {
		if err := os.WriteFile(filepath.Join(build, name), []byte(name+serial), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done, err := w.store.ImportVersion(t.Context(), worldProduct, serial, build)
	if err != nil {
		t.Fatal(err)
	}
	v := done.Version
	if _, err := w.store.FireVersion(t.Context(), v.ID, Test, polarstore.By{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	return v
}

// client returns a client of the handler, which leads to the world's server. It
// does not wait long before it repeats, and knows the feeds of the channels.
func (w *world) client(t *testing.T, h http.Handler, timeout time.Duration, channels ...string) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	opts := Options{RetryWait: time.Millisecond, Timeout: timeout, Actor: "tester"}
	for _, channel := range channels {
		url := Secret(srv.URL + w.feeds[channel])
		switch channel {
		case "testing":
			opts.TestingFeed = url
		case "active":
			opts.ActiveFeed = url
		}
	}
	c, err := New(srv.URL, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// assessment makes the version's assessment of a check and brings it into a state.
func (w *world) assessment(t *testing.T, v polarstore.Version, check int, typ, state string) polarstore.Assessment {
	t.Helper()
	a, err := w.store.Assessment(t.Context(), v.ID, w.checks[check].ID, w.cluster.ID, typ)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range map[string][]string{Running: {Run}, Passed: {Run, Pass}, Failed: {Run, Fail}}[state] {
		w.fire(t, a.ID, event)
	}
	return a
}

// fire fires an event on an assessment, as another client would.
func (w *world) fire(t *testing.T, id int64, event string) {
	t.Helper()
	if _, err := w.store.FireAssessment(t.Context(), id, event, polarstore.By{Actor: "another"}); err != nil {
		t.Fatal(err)
	}
}

// history returns the states and the events of a version and its assessments, a line
// each.
func (w *world) history(t *testing.T, v polarstore.Version) string {
	t.Helper()
	ctx := t.Context()
	now, err := w.store.Version(ctx, w.product.ID, v.Serial)
	if err != nil {
		t.Fatal(err)
	}
	events, err := w.store.VersionEvents(ctx, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{now.State + ":" + names(events)}
	all, err := w.store.Assessments(ctx, v.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		events, err := w.store.AssessmentEvents(ctx, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s:%s", a.Check, a.InstanceType, a.State, names(events)))
	}
	return strings.Join(lines, "\n")
}

func names(events []polarstore.Event) (s string) {
	for _, ev := range events {
		s += " " + ev.Name
	}
	return s
}

// oneRun makes one of runs that follow each other, which Polar allows.
func oneRun(history string) string {
	var words []string
	for _, word := range strings.SplitAfter(history, " ") {
		if trimmed := strings.TrimSpace(word); trimmed != Run || len(words) == 0 || strings.TrimSpace(words[len(words)-1]) != Run {
			words = append(words, word)
		}
	}
	return strings.Join(words, "")
}

// A mode is how the server answers.
type mode struct {
	name  string
	dress func(http.Handler) http.Handler
	known func(history string) string // as much of it as can be foreseen
	blind bool                        // a refusal does not tell the state
}

func modes() []mode {
	same := func(s string) string { return s }
	return []mode{
		{"with extensions", func(h http.Handler) http.Handler { return h }, same, false},
		{"as Polar 0.2", polartest.AsPolar, oneRun, true},
	}
}

// quickSessions answers a request for a session as it did before: to hash the
// password takes long on purpose.
func quickSessions(h http.Handler) http.Handler {
	var mu sync.Mutex
	var known *httptest.ResponseRecorder
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/publish/sessions" {
			h.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if known == nil {
			known = polartest.Deliver(r, h)
		}
		polartest.Answer(w, known)
	})
}

// journey is all that a run asks of Polar: three checks of two types, of which one
// fails at first and passes in a second run, and the promotion.
func (w *world) journey(ctx context.Context, c *Client, serial string) error {
	if err := c.Authenticate(ctx, worldPassword); err != nil {
		return err
	}
	product, err := c.Product(ctx, worldProduct)
	if err != nil {
		return err
	}
	version, err := c.Version(ctx, product.ID, serial)
	if err != nil {
		return err
	}
	checks, err := c.Checks(ctx)
	if err != nil {
		return err
	}
	clusters, err := c.Clusters(ctx)
	if err != nil {
		return err
	}
	settle := func(check Check, typ, verdict string) error {
		posted, err := c.Settle(ctx, version.ID, check.ID, clusters[0].ID, typ, verdict)
		if err == nil && posted != verdict {
			err = fmt.Errorf("%s %s: posted %q, want %q", check.Slug, typ, posted, verdict)
		}
		return err
	}
	for _, check := range checks {
		for _, typ := range []string{Container, VM} {
			verdict := Pass
			if check == checks[1] && typ == VM {
				verdict = Fail
			}
			if err := settle(check, typ, verdict); err != nil {
				return err
			}
		}
	}
	if err := settle(checks[1], VM, Pass); err != nil {
		return err
	}
	return c.Promote(ctx, product.Key, version, "all passed")
}

// journeysEnd is the history after a journey.
const journeysEnd = `active: test activate
ipv4 container passed: run pass
ipv4 vm passed: run pass
ipv6 container passed: run pass
ipv6 vm passed: run fail run pass
package-install container passed: run pass
package-install vm passed: run pass`
