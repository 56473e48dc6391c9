package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/polarserver"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
	"github.com/upmaru/icepak/cmd/internal/report"
)

const (
	password = "correct horse"
	debian   = "debian:bookworm:amd64:default"
	alpine   = "alpine:3.22:arm64:default"
	fedora   = "fedora:43:amd64:cloud"
	plain    = "ubuntu:noble:amd64:default"
)

// hostile is what a guest may print. Escapes are to be gone, and the rest is text.
const hostile = "<script>document.title = 'owned'</script>\x1b[31mred\x1b]0;owned\x07 \"'><img src=/x onerror=alert(1)> \u202egnp.exe\u2069 &amp; \x00end"

// A world is a server with made-up data.
type world struct {
	t       *testing.T
	dir     string // of the store
	url     string
	now     time.Time
	store   *polarstore.Store
	client  *polar.Client
	cluster int64
	checks  map[string]int64
}

// newWorld makes a server with several products, of which every state is there. Its
// pages are open unless they are closed.
func newWorld(t *testing.T, open bool) *world {
	t.Helper()
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "polar"), now: time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC), checks: map[string]int64{}}
	var err error
	w.store, err = polarstore.Open(t.Context(), w.dir, polarstore.Options{Now: func() time.Time { return w.now }})
	w.must(err)
	t.Cleanup(func() { w.store.Close() })
	w.must(w.store.SetPassword(t.Context(), password))
	srv := httptest.NewServer(polarserver.New(w.store, polarserver.Options{OpenPages: open}))
	t.Cleanup(srv.Close)
	w.url = srv.URL
	w.client, err = polar.New(srv.URL, polar.Options{})
	w.must(err)
	t.Cleanup(w.client.Close)
	w.must(w.client.Authenticate(t.Context(), password))

	added, err := w.store.AddChecks(t.Context(), "ipv4", "ipv6", "dns", "package-install", "service-start", "gpu")
	w.must(err)
	for _, c := range added {
		w.checks[c.Slug] = c.ID
	}
	cert, key, err := lxd.NewIdentity("tester")
	w.must(err)
	cluster, err := w.store.AddCluster(t.Context(), polarstore.Cluster{Name: "rack1", Type: "lxd", Arch: "amd64",
		Endpoint: "https://rack1.example.com:8443", Certificate: string(cert), PrivateKey: polarstore.Secret(key)})
	w.must(err)
	w.cluster = cluster.ID
	for _, key := range []string{debian, alpine, fedora, plain} {
		_, err := w.store.AddProduct(t.Context(), key, nil)
		w.must(err)
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) later(d time.Duration) { w.now = w.now.Add(d) }

// version makes a version and fires events on it. Its files are holes.
func (w *world) version(key, serial string, events ...string) polarstore.Version {
	w.t.Helper()
	p, err := w.store.Product(w.t.Context(), key)
	w.must(err)
	var items []polarstore.Item
	folder := "images/" + strings.ReplaceAll(key, ":", "/") + "/" + serial
	w.must(os.MkdirAll(filepath.Join(w.dir, "files", folder), 0o700))
	for i, name := range []string{"incus.tar.xz", "lxd.tar.xz", "rootfs.squashfs", "disk.qcow2"} {
		sum := sha256.Sum256([]byte(key + serial + strings.Replace(name, "lxd", "incus", 1)))
		it := polarstore.Item{
			Name: name, FileType: name, Hash: hex.EncodeToString(sum[:]), Size: 296 + int64(i*i)*37_654_321, IsMetadata: i < 2,
			Path: folder + "/" + name,
		}
		f, err := os.Create(filepath.Join(w.dir, "files", it.Path))
		w.must(err)
		w.must(errors.Join(f.Truncate(it.Size), f.Close()))
		items = append(items, it)
	}
	v, err := w.store.CreateVersion(w.t.Context(), p.ID, serial, items, "")
	w.must(err)
	for _, event := range events {
		w.later(7 * time.Minute)
		w.fire(v, event, "")
	}
	w.later(time.Hour)
	return v
}

func (w *world) fire(v polarstore.Version, event, comment string) {
	w.t.Helper()
	_, err := w.store.FireVersion(w.t.Context(), v.ID, event, polarstore.By{Actor: "ci", Comment: comment})
	w.must(err)
}

// assess fires events on assessments of the version as the instance type.
func (w *world) assess(v polarstore.Version, typ string, events map[string][]string) {
	w.t.Helper()
	for _, check := range []string{"ipv4", "ipv6", "dns", "package-install", "service-start", "gpu"} {
		list, ok := events[check]
		if !ok {
			continue
		}
		a, err := w.store.Assessment(w.t.Context(), v.ID, w.checks[check], w.cluster, typ)
		w.must(err)
		for _, event := range list {
			w.later(9 * time.Second)
			_, err := w.store.FireAssessment(w.t.Context(), a.ID, event, polarstore.By{Actor: "ci"})
			w.must(err)
		}
	}
}

// report posts a report, as icepak test does.
func (w *world) report(v polarstore.Version, typ string, image report.ImageResult) {
	w.t.Helper()
	image.Product, image.Serial, image.Type = v.Product, v.Serial, map[string]string{"container": "container", "vm": "virtual-machine"}[typ]
	doc, err := report.EncodeJSON(report.Summary{Version: "1.2.3", Started: w.now, Verdict: image.Verdict, Images: []report.ImageResult{image}})
	w.must(err)
	w.later(time.Second)
	w.must(w.client.PutReport(w.t.Context(), v.ID, typ, doc))
}

func outcome(v checks.Verdict, passed, total int, d time.Duration) checks.Outcome {
	return checks.Outcome{Verdict: v, Passed: passed, Total: total, Duration: d}
}

// broken is a result as a Debian image without nginx and without IPv6 gives it.
func broken() report.ImageResult {
	return report.ImageResult{
		Image: report.Image{Remote: "rack1", Spec: "images/debian.yaml"}, Verdict: checks.Fail,
		Checks: []report.CheckResult{
			{Name: "ipv4", Outcome: outcome(checks.Pass, 3, 3, 120*time.Millisecond)},
			{Name: "ipv6", Outcome: outcome(checks.Fail, 1, 3, 30*time.Second), Results: []checks.Result{
				{Type: "interface", ID: "eth0", Property: "exists", Verdict: checks.Pass, Expected: true, Actual: true},
				{Type: "interface", ID: "eth0", Property: "addrs", Verdict: checks.Fail, Source: "images/debian.yaml:14:33",
					Expected: map[string]any{"contain-element": map[string]any{"match-regexp": "^fd42:"}}, Actual: []string{"10.77.0.17/24", "fe80::216:3eff:fe11:2233/64"}},
				{Type: "addr", ID: "tcp://[2001:db8::1]:80", Property: "reachable", Verdict: checks.Fail, Expected: true, Actual: false,
					Message: "connect: network is unreachable", Source: "images/debian.yaml:15:40"},
			}},
			{Name: "dns", Outcome: outcome(checks.Error, 0, 1, 5*time.Second), Results: []checks.Result{
				{Type: "dns", ID: "www.example.com", Property: "resolvable", Verdict: checks.Error, Expected: true, Message: "the name server does not answer: i/o timeout"},
			}},
			{Name: "package-install", Outcome: outcome(checks.Fail, 1, 2, 4100*time.Millisecond), Results: []checks.Result{
				{Type: "package", ID: "nginx", Property: "install", Verdict: checks.Pass},
				{Type: "package", ID: "nginx", Property: "installed", Verdict: checks.Fail, Expected: true, Actual: false, Message: "apt-get install nginx: exit 100",
					Output: "Reading package lists...\nBuilding dependency tree...\nE: Unable to locate package nginx\n", Source: "images/debian.yaml:31:9"},
			}},
			{Name: "service-start", Outcome: checks.Outcome{Verdict: checks.Skip, Reason: "needs package-install"}},
			{Name: "gpu", Outcome: checks.Outcome{Verdict: checks.Skip, Reason: "no nvidia GPU here"}},
		},
		Stages: []report.StageTime{{Stage: report.Fetch, Duration: 1900 * time.Millisecond}, {Stage: report.Create, Duration: 500 * time.Millisecond},
			{Stage: report.Start, Duration: 300 * time.Millisecond}, {Stage: report.ReadyFor, Duration: 300 * time.Millisecond},
			{Stage: report.Evaluate, Duration: 7 * time.Second}, {Stage: report.Delete, Duration: 900 * time.Millisecond}},
		Diagnostics: []report.Diagnostic{{Name: "console", Text: "Debian GNU/Linux 12 icepak console\n\n[FAILED] Failed to start networking.service - Raise network interfaces.\n"}},
	}
}

// nasty is a result that is all hostile.
func nasty() report.ImageResult {
	long := hostile + strings.Repeat("x", 300)
	return report.ImageResult{
		Image: report.Image{Remote: hostile, Spec: long}, Verdict: checks.Error, Reason: long, Failed: report.Stage(hostile),
		Checks: []report.CheckResult{
			{Name: "ipv4", Outcome: checks.Outcome{Verdict: checks.Fail, Reason: long, Total: 1}},
			{Name: long, Outcome: outcome(checks.Fail, 0, 1, time.Second), Results: []checks.Result{{
				Type: hostile, ID: long, Property: hostile, Title: hostile, Verdict: checks.Fail,
				Expected: map[string]any{hostile: []any{long}}, Actual: long, Message: long, Output: long, Source: hostile,
			}}},
		},
		Stages:      []report.StageTime{{Stage: report.Stage(long)}},
		Diagnostics: []report.Diagnostic{{Name: long, Text: long}},
	}
}

// A story is the versions that tests open the pages of.
type story struct{ fresh, good, evil polarstore.Version }

// tell fills the world.
func (w *world) tell() story {
	w.t.Helper()
	pass, fail := []string{"run", "pass"}, []string{"run", "fail"}
	all := map[string][]string{"ipv4": pass, "ipv6": pass, "dns": pass, "package-install": pass, "service-start": pass}
	var s story
	for day := 1; day <= 12; day++ {
		v := w.version(alpine, fmt.Sprintf("202611%02d-01", day), "test")
		w.assess(v, "container", all)
		w.fire(v, "activate", "")
	}
	for day := 16; day <= 19; day++ {
		v := w.version(debian, fmt.Sprintf("202611%02d-01", day), "test")
		w.assess(v, "container", all)
		w.assess(v, "vm", all)
		if day == 16 {
			w.fire(v, "deactivate", "testing period expired")
			continue
		}
		w.fire(v, "activate", "")
		s.good = v
	}
	s.fresh = w.version(debian, "20261120-01", "test")
	w.assess(s.fresh, "container", map[string][]string{"ipv4": pass, "ipv6": append(fail, fail...), "dns": {"run"}, "package-install": fail, "service-start": {}})
	w.report(s.fresh, "container", broken())
	w.assess(s.fresh, "vm", map[string][]string{"ipv4": {"run"}, "ipv6": {}})
	w.report(s.fresh, "vm", report.ImageResult{Image: report.Image{Remote: "rack1"}, Verdict: checks.Error, Failed: report.Start,
		Reason: "lxd rack1: connect: no route to host", Checks: []report.CheckResult{{Name: "ipv4", Outcome: checks.Outcome{Verdict: checks.Error, Reason: "lxd rack1: connect: no route to host"}}}})
	w.version(debian, "20261121-01")

	w.version(fedora, "20261120-01", "test")

	s.evil = w.version(plain, "20261120-"+strings.Repeat("long", 20), "test")
	w.assess(s.evil, "container", map[string][]string{"ipv4": fail, "gpu": {"run"}})
	w.report(s.evil, "container", nasty())
	w.fire(s.evil, "deactivate", report.Clean(hostile)+strings.Repeat("y", 200))
	return s
}
