package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/upmaru/icepak/checks"
)

// A lineCounter holds that each Write is one whole line.
type lineCounter struct {
	t     *testing.T
	lines []string
}

func (c *lineCounter) Write(p []byte) (int, error) {
	if !bytes.HasSuffix(p, []byte("\n")) || bytes.Count(p, []byte("\n")) != 1 {
		c.t.Errorf("not a line: %q", p)
	}
	c.lines = append(c.lines, string(p))
	return len(p), nil
}

// eventsOf returns the lines of the run, told as a runner does, each event 100 ms
// after the one before.
func eventsOf(t *testing.T, s Summary) []string {
	t.Helper()
	at := started
	now := func() time.Time {
		at = at.Add(ms(100))
		return at
	}
	out := &lineCounter{t: t}
	r := NewJSONLines(out, now)
	told := 0
	send := func(e Event) {
		t.Helper()
		if err := r.Event(e); err != nil {
			t.Fatal(err)
		}
		if e.Kind != Progress && e.Kind != ImageDone && len(out.lines) != told+1 {
			t.Errorf("%s was not written at once", e.Kind)
		}
		told = len(out.lines)
	}
	send(Event{Kind: RunStarted, Run: &RunStart{ID: "k3w7abcd", Version: s.Version, Products: []string{debian.Product}, Remotes: []string{debian.Remote}, Order: "longest", Keep: "never", Timeout: 15 * time.Minute, Promote: true}})
	for i := range s.Images {
		image := &s.Images[i]
		send(Event{Kind: ImageStarted, Image: &image.Image})
		for _, st := range image.Stages {
			send(Event{Kind: StageStarted, Image: &image.Image, Stage: st.Stage})
			send(Event{Kind: Progress, Image: &image.Image, Stage: st.Stage, Percent: 40, Detail: "rootfs"})
			send(Event{Kind: Progress, Image: &image.Image, Stage: st.Stage, Percent: 60, Detail: "rootfs"})
			send(Event{Kind: Progress, Image: &image.Image, Stage: st.Stage, Percent: 100, Detail: "rootfs"})
		}
		for _, c := range image.Checks {
			if c.Earlier || c.Verdict == checks.Skip {
				continue
			}
			send(Event{Kind: CheckStarted, Image: &image.Image, Check: c.Name})
			for _, r := range c.Results {
				send(Event{Kind: ResultFound, Image: &image.Image, Check: c.Name, Result: &r})
			}
			send(Event{Kind: CheckDone, Image: &image.Image, Check: c.Name, Checked: &c})
		}
		send(Event{Kind: Warning, Image: &image.Image, Detail: "no usable ipv6 address"})
		before := *image
		before.Promotion = ""
		send(Event{Kind: ImageDone, Image: &image.Image, Done: &before})
	}
	for _, w := range s.Warnings[:min(1, len(s.Warnings))] {
		send(Event{Kind: Warning, Detail: w})
	}
	if err := r.Close(s); err != nil {
		t.Fatal(err)
	}
	return out.lines
}

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

func assertEvent(t *testing.T, schema *jsonschema.Schema, line string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
	if err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%v: %s", err, line)
	}
}

func TestEventsFollowTheirSchema(t *testing.T) {
	schema := eventsSchema(t)
	list := append(runs(), run{"unknown verdicts", Summary{Images: []ImageResult{{
		Checks: []CheckResult{{Results: []checks.Result{{}, {When: checks.BeforeBoot}, {When: checks.AfterReboot}, {When: "never"}}}},
	}}}})
	for _, r := range list {
		t.Run(r.name, func(t *testing.T) {
			for _, line := range eventsOf(t, r.summary) {
				assertEvent(t, schema, line)
			}
		})
	}
}

// An image that a remote could not decide begins again on another. How far the whole
// run has come is for people only: it is no image's stage.
func TestAnImageThatMovesIsToldOf(t *testing.T) {
	out := &lineCounter{t: t}
	r := NewJSONLines(out, nil)
	for _, e := range []Event{
		{Kind: RunStarted, Time: started, Run: &RunStart{ID: "k3w7abcd"}},
		{Kind: Progress, Time: started, Detail: "1 of 2 images done"},
		{Kind: Moved, Time: started, Image: &debian, Detail: "rack1 does not answer"},
	} {
		if err := r.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	if len(out.lines) != 2 {
		t.Fatalf("got %q", out.lines)
	}
	assertEvent(t, eventsSchema(t), out.lines[1])
	if line := parsed(t, out.lines)[1]; line["event"] != "moved" || line["detail"] != "rack1 does not answer" || line["image"] == nil {
		t.Errorf("got %v", line)
	}
}

func TestTheEventsSchemaRefusesWhatIsNoEvent(t *testing.T) {
	schema := eventsSchema(t)
	for _, line := range []string{
		`{}`, `{"event":"image"}`, `{"event":"other","time":"2026-11-22T09:30:00.000Z","run":"x"}`,
		`{"event":"warning","time":"2026-11-22T09:30:00Z","run":"x","detail":"no milliseconds"}`,
		`{"event":"warning","time":"2026-11-22T09:30:00.000Z","run":"x","detail":"more","verdict":"pass"}`,
	} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(doc) == nil {
			t.Errorf("it takes %s", line)
		}
	}
}

func TestEventsShowRuns(t *testing.T) {
	for _, r := range runs() {
		switch r.name {
		case "design", "promoted", "server gone", "hostile", "no images":
			t.Run(r.name, func(t *testing.T) {
				golden(t, r.name+".jsonl", []byte(strings.Join(eventsOf(t, r.summary), "")))
			})
		}
	}
}

// parsed are the lines' objects.
func parsed(t *testing.T, lines []string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for _, line := range lines {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		list = append(list, m)
	}
	return list
}

func TestProgressIsToldSeldomAndItsEndAlways(t *testing.T) {
	out := &lineCounter{t: t}
	r := NewJSONLines(out, nil)
	other := debian
	other.Type = "virtual-machine"
	for i := range 1000 { // for 10 s
		at := started.Add(time.Duration(i) * 10 * time.Millisecond)
		for _, image := range []*Image{&debian, &other} {
			if err := r.Event(Event{Kind: Progress, Time: at, Image: image, Stage: Fetch, Percent: i / 10}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		if err := r.Event(Event{Kind: Progress, Time: started.Add(9999 * time.Millisecond), Image: &debian, Stage: Fetch, Percent: 100}); err != nil {
			t.Fatal(err)
		}
	}
	if len(out.lines) != 21 {
		t.Errorf("%d lines, want ten for each image and the end of one", len(out.lines))
	}
	if last := parsed(t, out.lines)[20]; last["percent"] != 100.0 {
		t.Errorf("got %v", last)
	}
}

func TestWhatIsFoundOutLateIsToldAgain(t *testing.T) {
	s := allPassed()
	s.Images[0].Promotion = Promoted // which eventsOf does not know yet when the image is done
	var got []string
	for _, e := range parsed(t, eventsOf(t, s)) {
		if e["event"] == "done" {
			got = append(got, fmt.Sprint(e["promotion"]))
		}
	}
	if want := []string{"<nil>", Promoted}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNothingIsToldTwice(t *testing.T) {
	s := serverGone()
	var done, warnings int
	for _, e := range parsed(t, eventsOf(t, s)) {
		switch {
		case e["event"] == "done":
			done++
		case e["event"] == "warning" && e["image"] == nil:
			warnings++
		}
	}
	if done != 1 || warnings != 1 {
		t.Errorf("an image is done %d times, and a warning told %d times", done, warnings)
	}
}

func TestAnEventOfAPassHoldsNoContents(t *testing.T) {
	s := oneCheck(CheckResult{Name: "x", Outcome: outcome(checks.Pass, 1, 1, 1), Results: []checks.Result{
		{Type: "file", ID: "/etc/shadow", Property: "contents", Verdict: checks.Pass, Expected: "secret", Actual: "secret", Output: "secret", Message: "secret"},
	}})
	if all := strings.Join(eventsOf(t, s), ""); strings.Contains(all, "secret") {
		t.Error(all)
	}
}

func TestEventsAreBounded(t *testing.T) {
	long := strings.Repeat(`é"`, 1<<14)
	var list []any
	for range 1 << 13 {
		list = append(list, "")
	}
	c := CheckResult{Name: long, Title: long, Source: long, Outcome: checks.Outcome{Verdict: checks.Fail, Reason: long}, Causes: []string{long, long, long},
		Results: []checks.Result{{Type: long, ID: long, Property: long, Title: long, Source: long, Expected: list, Actual: map[string]any{long: long}, Message: long, Output: long}}}
	s := oneCheck(c)
	s.Images[0].Image = Image{Product: long, Serial: long, Type: long, Remote: long, Fingerprint: long, Spec: long}
	for range 100 {
		s.Images[0].Checks = append(s.Images[0].Checks, c)
	}
	s.Warnings = []string{long}
	cut := 0
	for _, line := range eventsOf(t, s) {
		if len(line) > lineMax {
			t.Errorf("%d bytes: %.200s", len(line), line)
		}
		if strings.Contains(line, `"cut":true`) {
			cut++
		}
	}
	if cut == 0 {
		t.Error("a line that was cut does not say so")
	}
}

func TestEventValues(t *testing.T) {
	r := NewJSONLines(&lineCounter{t: t}, nil).(*jsonLines)
	tests := []struct {
		name string
		in   any
		want string
	}{
		{"numbers stay", 5.0, `5`},
		{"lists and maps stay, and are cleaned", map[string]any{"a\x1b[31m": []any{1.0, nil, "\x1b[2Jb"}}, `{"a":[1,null,"b"]}`},
		{"what JSON has no form for is text", math.Inf(1), `"+Inf"`},
		{"markup is not escaped", "<b>", `"<b>"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.TrimSpace(string(r.encode(cleanValue(tt.in)))); got != tt.want || r.out.err != nil {
				t.Errorf("got %s (%v), want %s", got, r.out.err, tt.want)
			}
		})
	}
}

// The line is the unit: whatever a guest says, a line is one object, and the only
// one that says what it says.
func FuzzEventsAreLines(f *testing.F) {
	f.Add(hostile)
	f.Add("\"}\n{\"event\":\"summary\",\"verdict\":\"pass\"}\r\n\u2028\u2029\x85")
	f.Add(`##\[x ##a\u005b[ ::error::`)
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > fuzzed {
			return
		}
		lines := eventsOf(t, everywhere(s))
		for i, e := range parsed(t, lines) {
			assertSafe(t, lines[i])
			if (e["event"] == "summary") != (i == len(lines)-1) {
				t.Errorf("line %d of %d: %q", i, len(lines), lines[i])
			}
		}
	})
}
