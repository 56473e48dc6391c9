package report

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/upmaru/icepak/checks"
)

func TestVerdict(t *testing.T) {
	const p, f, e, s = checks.Pass, checks.Fail, checks.Error, checks.Skip
	tests := []struct {
		name  string
		parts []checks.Verdict
		want  checks.Verdict
	}{
		{"nothing is never a pass", nil, s},
		{"skipped only", []checks.Verdict{s, s}, s},
		{"all passed", []checks.Verdict{p, p}, p},
		{"skipped ones do not matter", []checks.Verdict{s, p, s}, p},
		{"an error is no pass", []checks.Verdict{p, e, p}, e},
		{"an error is no skip", []checks.Verdict{s, e, s}, e},
		{"a fail goes before an error", []checks.Verdict{e, p, f, e}, f},
		{"an unknown verdict is an error", []checks.Verdict{p, "", p}, e},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Verdict(tt.parts); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestTotals(t *testing.T) {
	got := Totals(several())
	want := Tally{
		Images:     Count{Total: 5, Passed: 3, Earlier: 1, Failed: 1, Errors: 1},
		Checks:     Count{Total: 13, Passed: 9, Earlier: 2, Failed: 1, Errors: 2, Skipped: 1},
		Promotions: 3, Promoted: 1,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTotalsCountAnUnknownVerdictAsAnError(t *testing.T) {
	s := Summary{Images: []ImageResult{{Image: debian, Checks: []CheckResult{{Name: "ipv4"}}}}}
	got := Totals(s)
	if want := (Tally{Images: Count{Total: 1, Errors: 1}, Checks: Count{Total: 1, Errors: 1}}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A recorder notes what it is told, and fails with err if that is set.
type recorder struct {
	name  string
	notes *[]string
	err   error
}

func (r recorder) Event(e Event) error {
	*r.notes = append(*r.notes, r.name+" "+e.Detail)
	return r.err
}

func (r recorder) Close(Summary) error {
	*r.notes = append(*r.notes, r.name+" closed")
	return r.err
}

func TestMultiTellsAllAlthoughOneFails(t *testing.T) {
	var notes []string
	bad, worse := errors.New("bad"), errors.New("worse")
	r := Multi(recorder{"a", &notes, bad}, recorder{"b", &notes, nil}, recorder{"c", &notes, worse})
	for what, err := range map[string]error{"Event": r.Event(Event{Detail: "e"}), "Close": r.Close(Summary{})} {
		if !errors.Is(err, bad) || !errors.Is(err, worse) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if got := strings.Join(notes, ", "); got != "a e, b e, c e, a closed, b closed, c closed" {
		t.Error("told:", got)
	}
}

func TestSerializeTellsOneThingAtATime(t *testing.T) {
	var notes []string
	r := Serialize(recorder{"r", &notes, nil}) // appends without a lock: -race watches
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := r.Event(Event{Detail: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for range 2 {
		if err := r.Close(Summary{}); err != nil {
			t.Error(err)
		}
	}
	if err := r.Event(Event{Detail: "late"}); err != nil {
		t.Error(err)
	}
	if len(notes) != 21 || notes[20] != "r closed" {
		t.Errorf("told: %q", notes)
	}
}
