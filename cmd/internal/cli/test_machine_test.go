package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func eventsSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile("../../../docs/events.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

const twoChecks = `checks:
  bad: {file: {/: {exists: false}}}
  next: {needs: [bad], file: {/: {exists: true}}}
  good: {file: {/: {exists: true}}}
`

// A real run's events are as the schema has them, and in an order that a reader can
// rely on.
func TestARealRunsEventsFollowTheirSchema(t *testing.T) {
	schema := eventsSchema(t)
	stdout, _, code := runIn(t, map[string]string{"spec.yaml": twoChecks}, "test", "--local", "--spec", "spec.yaml", "--format", "jsonl", "--check", "next,good")
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	var kinds []string
	run := ""
	for line := range strings.Lines(stdout) {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		event := doc.(map[string]any)
		if run == "" {
			run = event["run"].(string)
		}
		if event["run"] != run || run == "" {
			t.Errorf("not of run %q: %s", run, line)
		}
		kinds = append(kinds, event["event"].(string))
	}
	const want = "run image stage stage check result checked check checked check result checked done summary"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The first line tells all that was asked for which decides what is tested, and how.
func TestTheFirstEventTellsWhatWasAskedFor(t *testing.T) {
	schema := eventsSchema(t)
	for _, tt := range []struct {
		args string
		want map[string]any
	}{
		{"--all debian:* alpine/3.22 --shard 2/4 --parallel 3 --fail-fast --order given --remote a --remote lxc:b --target n1", map[string]any{
			"products": []any{"debian:*", "alpine/3.22"}, "all": true, "pending": false, "shard": "2/4", "parallel": json.Number("3"), "fail_fast": true, "order": "given",
			"remotes": []any{"a", "lxc:b"}, "targets": []any{"n1"},
		}},
		{"debian/bookworm", map[string]any{
			"products": []any{"debian/bookworm"}, "all": false, "pending": false, "shard": nil, "parallel": nil, "fail_fast": false, "order": "longest",
			"remotes": []any{}, "targets": []any{},
		}},
	} {
		t.Run(tt.args, func(t *testing.T) {
			args := append(strings.Fields("test --feed http://127.0.0.1:9 --spec spec.yaml --format jsonl"), strings.Fields(tt.args)...)
			stdout, stderr, _ := runIn(t, map[string]string{"spec.yaml": twoChecks}, args...)
			line, _, _ := strings.Cut(stdout, "\n")
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
			if err != nil {
				t.Fatalf("%v: %s%s", err, stdout, stderr)
			}
			if err := schema.Validate(doc); err != nil {
				t.Error(err)
			}
			options := doc.(map[string]any)["options"].(map[string]any)
			for name, want := range tt.want {
				if got := options[name]; !reflect.DeepEqual(got, want) {
					t.Errorf("%s: got %v, want %v", name, got, want)
				}
			}
		})
	}
}

// The example in docs/events.md is of events, but for what it leaves out as {…}.
func TestTheEventsInTheDocsFollowTheSchema(t *testing.T) {
	schema := eventsSchema(t)
	doc, err := os.ReadFile("../../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	const count = `{"total":1,"passed":1,"earlier":0,"failed":0,"errors":0,"skipped":0}`
	whole := strings.NewReplacer(
		`"image":{…}`, `"image":{"product":"debian:bookworm:amd64:default","type":"container"}`,
		`"totals":{…}`, `"totals":{"images":`+count+`,"checks":`+count+`,"promotions":0,"promoted":0}`)
	n := 0
	for line := range strings.Lines(string(doc)) {
		if line, found := strings.CutPrefix(line, `    {"event"`); found {
			n++
			event, err := jsonschema.UnmarshalJSON(strings.NewReader(whole.Replace(`{"event"` + line)))
			if err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if err := schema.Validate(event); err != nil {
				t.Errorf("%v: %s", err, line)
			}
		}
	}
	if n < 9 {
		t.Errorf("%d events in the docs", n)
	}
}

// traces is a collector's, by name: each span's parent's name, and its status.
func traces(t *testing.T, args string, vars map[string]string) (code int, said string, spans map[string]string) {
	t.Helper()
	type span struct {
		Name, SpanID, ParentSpanID string
		Status                     struct{ Code int }
	}
	var mu sync.Mutex
	var all []span
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req struct {
			ResourceSpans []struct{ ScopeSpans []struct{ Spans []span } }
		}
		if err != nil || json.Unmarshal(body, &req) != nil {
			t.Errorf("%v: %s", err, body)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, rs := range req.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				all = append(all, ss.Spans...)
			}
		}
	}))
	defer collector.Close()
	environ := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}
	for name, value := range vars {
		environ[name] = value
	}
	code, said = runWith(t.Context(), environ, args)
	mu.Lock()
	defer mu.Unlock()
	names := make(map[string]string)
	for _, s := range all {
		names[s.SpanID] = s.Name
	}
	spans = make(map[string]string)
	for _, s := range all {
		parent := s.ParentSpanID
		if name := names[parent]; name != "" {
			parent = name
		}
		spans[s.Name] = parent + map[int]string{0: "", 1: " ok", 2: " error"}[s.Status.Code]
	}
	return code, said, spans
}

func TestARealRunIsTraced(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("spec.yaml", []byte(twoChecks), 0o600); err != nil {
		t.Fatal(err)
	}
	code, said, spans := traces(t, "test --local --spec spec.yaml --format silent",
		map[string]string{"TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	host := machine().Product + " machine"
	want := map[string]string{
		"icepak test": "b7ad6b7169203331 error", host: "icepak test error", "ready": host, "checks": host,
		"check bad": "checks error", "check next": "checks", "check good": "checks ok",
	}
	for name, is := range want {
		if spans[name] != is {
			t.Errorf("%s: got %q, want %q", name, spans[name], is)
		}
	}
	if code != exitFailed || said != "" || len(spans) != len(want) {
		t.Errorf("exit code %d, %d spans: %s", code, len(spans), said)
	}
}

func TestARunThatCannotBeginIsTraced(t *testing.T) {
	t.Chdir(t.TempDir())
	code, _, spans := traces(t, "test --image x --spec spec.yaml --remote nope", nil)
	if code != exitUsage || len(spans) > 0 { // the spec is looked for first
		t.Errorf("exit code %d: %v", code, spans)
	}
	if err := os.WriteFile("spec.yaml", []byte(twoChecks), 0o600); err != nil {
		t.Fatal(err)
	}
	code, said, spans := traces(t, "test --image x --spec spec.yaml --remote nope", nil)
	if code != exitUsage || spans["icepak test"] != " error" {
		t.Errorf("exit code %d: %v: %s", code, spans, said)
	}
}
