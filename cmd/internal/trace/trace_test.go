package trace

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

var (
	began  = time.Date(2026, 11, 24, 2, 10, 0, 0, time.UTC)
	debian = report.Image{Product: "debian:bookworm:amd64:default", Serial: "20261124-01", Type: "container", Remote: "rack1"}
)

func at(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }

// reporter returns a Reporter that sends to c, and what it warns of.
func reporter(t *testing.T, c *collector, environ map[string]string) (*Reporter, *[]string) {
	t.Helper()
	env := map[string]string{endpointVar: c.URL}
	for name, value := range environ {
		env[name] = value
	}
	var warnings []string
	r := New(func(name string) string { return env[name] }, "1.2.3", func(w string) { warnings = append(warnings, w) })
	if r == nil {
		t.Fatal("no traces")
	}
	return r, &warnings
}

// run is the events of a run of one image, one check of which fails.
func run(t *testing.T, r *Reporter, image report.Image) report.Summary {
	t.Helper()
	bad := checks.Result{Type: "package", ID: "nginx", Property: "installed", Verdict: checks.Fail, Message: "exit 100", Source: "a.yaml:3:1"}
	failed := report.CheckResult{Name: "install", Outcome: checks.Outcome{Verdict: checks.Fail, Passed: 1, Total: 2, Duration: time.Second},
		Results: []checks.Result{bad}}
	passed := report.CheckResult{Name: "ipv4", Outcome: checks.Outcome{Verdict: checks.Pass, Passed: 4, Total: 4}}
	left := report.CheckResult{Name: "start", Outcome: checks.Outcome{Verdict: checks.Error, Reason: "connection refused"}}
	done := report.ImageResult{Image: image, Verdict: checks.Fail, Reason: "it stopped", Failed: report.Evaluate,
		Checks: []report.CheckResult{passed, failed, left}, Promotion: "not promoted: install failed"}
	for _, e := range []report.Event{
		{Kind: report.RunStarted, Time: at(0), Run: &report.RunStart{ID: "k3w7abcd"}},
		{Kind: report.Warning, Time: at(5), Detail: "mind this"},
		{Kind: report.ImageStarted, Time: at(10), Image: &image},
		{Kind: report.StageStarted, Time: at(20), Image: &image, Stage: report.Fetch},
		{Kind: report.Progress, Time: at(25), Image: &image, Stage: report.Fetch, Percent: 50},
		{Kind: report.StageStarted, Time: at(1020), Image: &image, Stage: report.Evaluate},
		{Kind: report.CheckStarted, Time: at(1030), Image: &image, Check: "ipv4"},
		{Kind: report.CheckDone, Time: at(1130), Image: &image, Check: "ipv4", Checked: &passed},
		{Kind: report.CheckStarted, Time: at(1130), Image: &image, Check: "install"},
		{Kind: report.ResultFound, Time: at(1500), Image: &image, Check: "install", Result: &bad},
		{Kind: report.StageStarted, Time: at(2020), Image: &image, Stage: report.Delete},
		{Kind: report.ImageDone, Time: at(2520), Image: &image, Done: &done},
	} {
		if err := r.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	return report.Summary{Verdict: checks.Fail, Images: []report.ImageResult{done}}
}

func TestSpansTellOfARun(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_SERVICE_NAME", "nightly")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=ci,team=a%20b")
	r, warnings := reporter(t, c, map[string]string{
		"TRACEPARENT":                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc,x-scope=a",
	})
	if err := r.Close(run(t, r, debian)); err != nil || len(*warnings) > 0 {
		t.Fatal(err, *warnings)
	}

	whole := c.named("icepak test")
	image := c.named("debian:bookworm:amd64:default container")
	fetch, evaluate := c.named("fetch"), c.named("checks")
	tree := []struct {
		span     taken
		parent   string
		from, to int // ms; to is 0 where it is not known
		code     int
	}{
		{whole, "b7ad6b7169203331", 0, 0, 2},
		{image, whole.SpanID, 10, 2520, 2},
		{fetch, image.SpanID, 20, 1020, 0},
		{evaluate, image.SpanID, 1020, 2020, 2},
		{c.named("delete"), image.SpanID, 2020, 2520, 0},
		{c.named("check ipv4"), evaluate.SpanID, 1030, 1130, 1},
		{c.named("check install"), evaluate.SpanID, 1130, 2520, 2},
	}
	for _, want := range tree {
		s := want.span
		if s.TraceID != "0af7651916cd43dd8448eb211c80319c" || s.ParentID != want.parent || s.Kind != 1 || s.Status.Code != want.code {
			t.Errorf("%s: got %+v", s.Name, s.otlpSpan)
		}
		if !s.start.Equal(at(want.from)) || want.to > 0 && !s.end.Equal(at(want.to)) {
			t.Errorf("%s: from %s to %s", s.Name, s.start, s.end)
		}
	}
	if len(c.spans) != len(tree) {
		t.Errorf("%d spans, want %d", len(c.spans), len(tree))
	}
	if whole.Flags != 0x301 || image.Flags != 0x101 {
		t.Errorf("flags %x and %x", whole.Flags, image.Flags)
	}

	for _, want := range []struct {
		of         map[string]string
		key, value string
	}{
		{c.resource, "service.name", "nightly"}, {c.resource, "team", "a b"}, {c.resource, "service.version", "1.2.3"},
		{c.resource, "telemetry.sdk.language", "go"},
		{whole.attrs, "icepak.run", "k3w7abcd"}, {whole.attrs, "icepak.verdict", "fail"},
		{image.attrs, "icepak.product", debian.Product}, {image.attrs, "icepak.serial", debian.Serial},
		{image.attrs, "icepak.type", "container"}, {image.attrs, "icepak.remote", "rack1"},
		{image.attrs, "icepak.verdict", "fail"}, {image.attrs, "icepak.reason", "it stopped"}, {image.attrs, "icepak.failed_stage", "checks"},
		{tree[6].span.attrs, "icepak.check", "install"}, {tree[6].span.attrs, "icepak.passed", "1"}, {tree[6].span.attrs, "icepak.total", "2"},
		{texts(whole.Events[0].Attributes), "icepak.detail", "mind this"},
		{texts(whole.Events[1].Attributes), "icepak.promotion", "not promoted: install failed"},
		{texts(image.Events[0].Attributes), "icepak.check", "start"},
		{texts(tree[6].span.Events[0].Attributes), "icepak.result", "package nginx: installed"},
		{texts(tree[6].span.Events[0].Attributes), "icepak.message", "exit 100"},
	} {
		if want.of[want.key] != want.value {
			t.Errorf("%s: got %q, want %q", want.key, want.of[want.key], want.value)
		}
	}
	req := c.requests[0]
	if req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/json" ||
		req.Header.Get("Authorization") != "Bearer abc" || req.Header.Get("X-Scope") != "a" || req.Header.Get("User-Agent") != "icepak/1.2.3" {
		t.Errorf("%s %v", req.URL, req.Header)
	}
}

func TestARunThatIsCutShortEndsItsSpans(t *testing.T) {
	c := newCollector(t)
	r, _ := reporter(t, c, nil)
	for _, e := range []report.Event{
		{Kind: report.StageStarted, Image: &debian, Stage: report.Start},
		{Kind: report.CheckStarted, Image: &debian, Check: "a"},
	} {
		_ = r.Event(e)
	}
	_ = r.Close(report.Summary{Verdict: checks.Error})
	for _, name := range []string{"icepak test", "debian:bookworm:amd64:default container", "start", "check a"} {
		if s := c.named(name); s.end.Before(s.start) || (s.Status.Code != 2) != (name == "start") {
			t.Errorf("%s: %+v", name, s.otlpSpan)
		}
	}
}

func TestAnImageThatMovesEndsItsSpan(t *testing.T) {
	c := newCollector(t)
	r, _ := reporter(t, c, nil)
	for _, e := range []report.Event{
		{Kind: report.StageStarted, Time: at(0), Image: &debian, Stage: report.Create},
		{Kind: report.Moved, Time: at(500), Image: &debian, Detail: "rack1 does not answer"},
	} {
		_ = r.Event(e)
	}
	_ = r.Close(report.Summary{Verdict: checks.Pass})
	if s := c.named("debian:bookworm:amd64:default container"); !s.end.Equal(at(500)) || s.Status.Code != 2 {
		t.Errorf("%+v", s.otlpSpan)
	}
}

func TestARunThatCannotBeginSaysWhy(t *testing.T) {
	c := newCollector(t)
	r, _ := reporter(t, c, nil)
	_ = r.Event(report.Event{Kind: report.RunStarted, Run: &report.RunStart{ID: "x"}})
	r.Abandon(errors.New("polar: 503"))
	if s := c.named("icepak test"); s.Status.Code != 2 || s.Status.Message != "polar: 503" || s.ParentID != "" {
		t.Errorf("%+v", s.otlpSpan)
	}
}

func TestAParentThatIsNotSampledIsFollowed(t *testing.T) {
	c := newCollector(t)
	r, warnings := reporter(t, c, map[string]string{"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"})
	_ = r.Close(run(t, r, debian))
	if len(c.requests) > 0 || len(*warnings) > 0 {
		t.Errorf("%d requests; %q", len(c.requests), *warnings)
	}
}

// A collector that answers nothing costs no more than the bound: the test would not
// end otherwise, as the collector answers only after it.
func TestACollectorThatHangsKeepsNothingWaiting(t *testing.T) {
	over := make(chan struct{})
	hung := newCollector(t)
	hung.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	r, warnings := reporter(t, hung, nil)
	r.flush = 100 * time.Millisecond
	var sum report.Summary
	for i := range 1000 { // more than are kept waiting for it
		image := debian
		image.Serial = fmt.Sprint(i)
		sum = run(t, r, image)
	}
	if err := r.Close(sum); err != nil {
		t.Error(err)
	}
	if len(*warnings) != 1 || !strings.Contains((*warnings)[0], "traces: 6001 of 6001 spans were not sent to 127.0.0.1:") {
		t.Errorf("got %q", *warnings)
	}
}

func TestWhatACollectorDoesNotTakeIsOneWarning(t *testing.T) {
	elsewhere := newCollector(t)
	status := func(code int, body string) func(int, http.ResponseWriter) bool {
		return func(_ int, w http.ResponseWriter) bool {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
			return code > 299
		}
	}
	tests := []struct {
		name   string
		answer func(int, http.ResponseWriter) bool
		want   string // empty: no warning
	}{
		{"it is refused", status(401, "who are you, Bearer secret?"), "7 of 7 spans were not sent to HOST: HTTP status 401"},
		{"some are rejected", status(200, `{"partialSuccess":{"rejectedSpans":"3","errorMessage":"secret"}}`), "3 of 7 spans were not sent to HOST: the collector rejects them"},
		{"nothing is rejected", status(200, `{"partialSuccess":{}}`), ""},
		{"an answer in protobuf", status(202, "\x0a\x00"), ""},
		{"busy at first", func(n int, w http.ResponseWriter) bool { return n == 1 && status(503, "")(n, w) }, ""},
		{"it is elsewhere", func(_ int, w http.ResponseWriter) bool {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return true
		}, "7 of 7 spans were not sent to HOST: HTTP status 307"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCollector(t)
			c.answer = tt.answer
			host := strings.TrimPrefix(c.URL, "http://")
			r, warnings := reporter(t, c, map[string]string{endpointVar: "http://user:secret@" + host, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret"})
			_ = r.Close(run(t, r, debian))
			var want []string
			if tt.want != "" {
				want = []string{"traces: " + strings.Replace(tt.want, "HOST", host, 1)}
			}
			if fmt.Sprint(*warnings) != fmt.Sprint(want) {
				t.Errorf("got %q, want %q", *warnings, want)
			}
		})
	}
	if len(elsewhere.requests) > 0 {
		t.Error("the headers went to another server")
	}
}

func TestACollectorThatIsNotThereIsOneWarningWithoutSecrets(t *testing.T) {
	c := newCollector(t)
	c.Close()
	host := strings.TrimPrefix(c.URL, "http://")
	r, warnings := reporter(t, c, map[string]string{endpointVar: "http://user:secret@" + host + "/token-secret"})
	_ = r.Close(run(t, r, debian))
	if all := strings.Join(*warnings, "\n"); len(*warnings) != 1 || strings.Contains(all, "secret") || !strings.Contains(all, "7 of 7 spans were not sent to "+host) || !strings.Contains(all, "connection refused") {
		t.Errorf("got %q", *warnings)
	}
}

// FuzzSpansAreClean holds that what a hostile guest says is text of a bounded length
// in what a collector gets, and that all spans arrive.
func FuzzSpansAreClean(f *testing.F) {
	f.Add("\x1b]0;owned\x07\x1b[31mred\r\n\xff\xfe\x00\u202e\"},{")
	f.Add(strings.Repeat("é", 10000))
	f.Fuzz(func(t *testing.T, s string) {
		c := newCollector(t)
		r, warnings := reporter(t, c, nil)
		image := report.Image{Product: s, Serial: s, Type: s, Remote: s, Spec: s}
		check := report.CheckResult{Name: s, Outcome: checks.Outcome{Verdict: checks.Fail, Reason: s}}
		bad := checks.Result{Type: s, ID: s, Property: s, Verdict: checks.Verdict(s), Message: s, Output: s, Source: s}
		done := report.ImageResult{Image: image, Verdict: checks.Verdict(s), Reason: s, Failed: report.Stage(s), Promotion: s}
		for _, e := range []report.Event{
			{Kind: report.StageStarted, Image: &image, Stage: report.Stage(s)},
			{Kind: report.CheckStarted, Image: &image, Check: s},
			{Kind: report.ResultFound, Image: &image, Check: s, Result: &bad},
			{Kind: report.CheckDone, Image: &image, Check: s, Checked: &check},
			{Kind: report.Warning, Image: &image, Detail: s},
			{Kind: report.ImageDone, Image: &image, Done: &done},
		} {
			_ = r.Event(e)
		}
		_ = r.Close(report.Summary{Images: []report.ImageResult{done}})
		if len(c.spans) != 4 || len(*warnings) > 0 {
			t.Fatalf("%d spans; %q", len(c.spans), *warnings)
		}
		for _, span := range c.spans {
			all := []string{span.Name, span.Status.Message}
			for _, e := range span.Events {
				for _, v := range texts(e.Attributes) {
					all = append(all, v)
				}
			}
			for _, v := range span.attrs {
				all = append(all, v)
			}
			for _, v := range all {
				if v != report.Line(v) {
					t.Errorf("%s: %q", span.Name, v)
				}
			}
		}
	})
}
