package checks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

// A fake is a resource that does what a test says.
type fake struct {
	Common
	look func(ctx context.Context, sys *System) []Result
}

func (f *fake) Evaluate(ctx context.Context, sys *System) []Result { return f.look(ctx, sys) }

func gives(verdicts ...Verdict) *fake {
	return &fake{look: func(context.Context, *System) []Result {
		var list []Result
		for i, v := range verdicts {
			list = append(list, Result{Property: fmt.Sprintf("p%d", i), Verdict: v})
		}
		return list
	}}
}

func item(r Resource) Item { return Item{Type: "fake", ID: "x", Resource: r} }

func TestItemStampsItsResults(t *testing.T) {
	r := gives(Pass, Fail)
	r.Title = "a title"
	it := Item{Type: "fake", ID: "x", Source: "a.yaml:1:1", Sources: map[string]string{"p1": "a.yaml:2:3"}, Resource: r}
	list := it.Evaluate(t.Context(), new(System))
	var total time.Duration
	for i := range list {
		total += list[i].Duration
		list[i].Duration = 0
	}
	want := []Result{
		{Type: "fake", ID: "x", Property: "p0", Title: "a title", Verdict: Pass, Source: "a.yaml:1:1"},
		{Type: "fake", ID: "x", Property: "p1", Title: "a title", Verdict: Fail, Source: "a.yaml:2:3"},
	}
	if !reflect.DeepEqual(list, want) || total <= 0 {
		t.Errorf("in %v got %+v", total, list)
	}
}

func TestSkippedItemIsNotLookedAt(t *testing.T) {
	r := &fake{look: func(context.Context, *System) []Result { panic("looked at") }}
	r.Skip = true
	it := item(r)
	it.Sources = nil
	checkTold(t, it.Evaluate(t.Context(), new(System)), " skip: skip is set\n")
	it.Sources = map[string]string{"b": "x:1:1", "a": "x:2:1"}
	checkTold(t, it.Evaluate(t.Context(), new(System)), "a skip: skip is set\nb skip: skip is set\n")
}

func TestPanicBecomesAnError(t *testing.T) {
	r := &fake{look: func(context.Context, *System) []Result { panic("boom") }}
	list := item(r).Evaluate(t.Context(), new(System))
	if len(list) != 1 || list[0].Verdict != Error || !strings.Contains(list[0].Message, "boom") || list[0].Output == "" {
		t.Errorf("got %+v", list)
	}
}

func TestWithinTriesAgainWithFreshFacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := new(System)
		reads, looks := 0, 0
		r := &fake{look: func(ctx context.Context, sys *System) []Result {
			looks++
			n, _ := fact(ctx, &sys.facts, "n", func() (int, error) { reads++; return reads, nil })
			if n < 4 {
				return []Result{{Verdict: Fail}}
			}
			return []Result{{Verdict: Pass}}
		}}
		r.Within = Duration(time.Minute)
		list := item(r).Evaluate(t.Context(), sys)
		if list[0].Verdict != Pass || looks != 4 || reads != 4 {
			t.Errorf("after %d looks and %d reads got %+v", looks, reads, list)
		}
		if d := list[0].Duration; d < 100*time.Millisecond || d > 3*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

func TestWithinGivesTheLastResultsWhenTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		r := &fake{look: func(context.Context, *System) []Result {
			looks++
			return []Result{{Verdict: Fail, Message: fmt.Sprint(looks)}}
		}}
		r.Within = Duration(10 * time.Second)
		start := time.Now()
		list := item(r).Evaluate(t.Context(), new(System))
		if list[0].Verdict != Fail || list[0].Message != fmt.Sprint(looks) || looks < 10 || looks > 100 {
			t.Errorf("after %d looks got %+v", looks, list)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestRetryCountIsHowOftenItIsTriedAgain(t *testing.T) {
	for _, tt := range []struct {
		holds   int // which look does
		retries int
		looks   int
		took    time.Duration
	}{
		{1, 3, 1, 0},
		{3, 3, 3, 2 * time.Second},
		{9, 3, 4, 3 * time.Second},
		{9, 0, 1, 0},
		{9, -1, 1, 0},
	} {
		t.Run(fmt.Sprintf("%+v", tt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				looks, start := 0, time.Now()
				r := &fake{look: func(context.Context, *System) []Result {
					looks++
					return gives(map[bool]Verdict{true: Pass, false: Fail}[looks >= tt.holds]).look(nil, nil)
				}}
				r.RetryCount = tt.retries
				item(r).Evaluate(t.Context(), new(System))
				if took := time.Since(start); looks != tt.looks || took != tt.took {
					t.Errorf("%d looks in %v", looks, took)
				}
			})
		})
	}
}

func TestInterruptedLookIsNotBelieved(t *testing.T) {
	for _, tt := range []struct {
		name    string
		cause   error
		verdict Verdict
		message string
	}{
		{"by the check's timeout", &timeoutError{30 * time.Second}, Fail, "timed out after 30s"},
		{"by the caller", errors.New("stopped"), Error, "interrupted: stopped"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			r := &fake{look: func(ctx context.Context, _ *System) []Result {
				cancel(tt.cause)
				return []Result{{Verdict: Pass}, {Verdict: Fail, Message: "why"}, {Verdict: Skip}}
			}}
			list := item(r).Evaluate(ctx, new(System))
			for i, want := range []Result{
				{Verdict: tt.verdict, Message: tt.message},
				{Verdict: tt.verdict, Message: tt.message + ": why"},
				{Verdict: Skip},
			} {
				if list[i].Verdict != want.Verdict || list[i].Message != want.Message {
					t.Errorf("result %d is %+v", i, list[i])
				}
			}
		})
	}
}

func TestTimeoutBetweenTwoLooksBlamesTheImageOnlyForWhatItDid(t *testing.T) {
	for _, tt := range []struct{ last, want Verdict }{{Fail, Fail}, {Pass, Fail}, {Error, Error}} {
		t.Run(string(tt.last), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := gives(tt.last, Fail)
				r.Within = Duration(time.Hour)
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, &timeoutError{time.Minute})
				defer cancel()
				if list := item(r).Evaluate(ctx, new(System)); list[0].Verdict != tt.want {
					t.Errorf("got %+v", list[0])
				}
			})
		})
	}
}

func TestStuckResourceIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, &timeoutError{time.Second})
		defer cancel()
		release := make(chan struct{})
		r := &fake{look: func(context.Context, *System) []Result {
			<-release
			return []Result{{Verdict: Pass}}
		}}
		list := item(r).Evaluate(ctx, new(System))
		close(release)
		if len(list) != 1 || list[0].Verdict != Fail || !strings.Contains(list[0].Message, "timed out after 1s") {
			t.Errorf("got %+v", list)
		}
	})
}

func TestPresenceDecidesAboutSiblings(t *testing.T) {
	for _, tt := range []struct {
		name    string
		exists  string
		present bool
		want    string // verdicts of exists, if asserted, and of a sibling that would pass
		message string // the sibling's
	}{
		{"there, as asserted", `true`, true, "pass pass", ""},
		{"there, not asserted", ``, true, "pass", ""},
		{"absent, not asserted", ``, false, "fail", "does not exist"},
		{"absent, asserted there", `true`, false, "fail skip", "does not exist"},
		{"absent, as asserted", `false`, false, "pass skip", "does not exist"},
		{"there, asserted absent", `false`, true, "fail skip", "exists did not pass"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var exists Matcher
			if tt.exists != "" {
				exists = want(t, Bool, tt.exists)
			}
			var r results
			r.presence("exists", exists, tt.present, "does not exist")
			r.match("size", want(t, Int, `5`), 5)
			r.find("unset", Matcher{}, func() (any, error) { panic("looked up") })
			var verdicts []string
			for _, res := range r.list {
				verdicts = append(verdicts, string(res.Verdict))
			}
			if got := strings.Join(verdicts, " "); got != tt.want || r.last().Message != tt.message {
				t.Errorf("got %s, %q", got, r.last().Message)
			}
		})
	}
}

func TestResultsAreBounded(t *testing.T) {
	var r results
	long := strings.Repeat("é\n", 1<<16)
	r.match("s", want(t, String, `"x"`), long)
	r.output(long)
	r.match("t", want(t, Text, `["foo"]`), "foo "+long)
	r.match("l", want(t, List, `["x"]`), strings.Split(long, "\n"))
	r.match("m", want(t, Any, `{"have-key": "x"}`), map[string]any{"a": []any{long}})
	data, err := json.Marshal(r.list)
	if err != nil || len(data) > 64<<10 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if r.list[1].Verdict != Pass || r.list[1].Actual != nil {
		t.Errorf("a pass shows its text: %+v", r.list[1])
	}
}

func TestTextThatDiffersIsKeptToBeCompared(t *testing.T) {
	text := strings.Repeat("line\n", 1000)
	var r results
	r.match("contents", expects(t, Text, text+"last\n"), text+"other\n")
	if got, ok := r.list[0].Actual.(string); !ok || got != text+"other\n" {
		t.Errorf("of %d bytes %d are kept", len(text)+6, len(got))
	}
}

func TestItemSurvivesTheWire(t *testing.T) {
	for _, typ := range Types() {
		t.Run(typ.Name, func(t *testing.T) {
			it, err := NewItem(typ.Name, "the id")
			if err != nil {
				t.Fatal(err)
			}
			it.Source, it.Sources = "a:1:2", map[string]string{"exists": "a:3:4"}
			it.Resource.common().Title = "title"
			it.Resource.common().Within = Duration(time.Second)
			fill(t, reflect.ValueOf(it.Resource).Elem())
			data, err := json.Marshal(it)
			if err != nil {
				t.Fatal(err)
			}
			var back Item
			if err := json.Unmarshal(data, &back); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(it, back) {
				t.Errorf("%s\ngot  %#v\nwant %#v", data, back.Resource, it.Resource)
			}
		})
	}
}

func TestItemRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, text := range map[string]string{
		"a property": `{"type":"file","id":"/x","resource":{"exists":{"kind":"bool","expr":true},"colour":{"kind":"string","expr":"red"}}}`,
		"a key":      `{"type":"file","id":"/x","resource":{},"retries":3}`,
		"no item":    `{"type":"file","id":"/x"}`,
	} {
		var it Item
		if err := json.Unmarshal([]byte(text), &it); err == nil {
			t.Errorf("%s is dropped without an error", name)
		}
	}
}

// fill sets every field of a resource.
func fill(t *testing.T, v reflect.Value) {
	for i := range v.NumField() {
		field, info := v.Field(i), v.Type().Field(i)
		switch p := field.Addr().Interface().(type) {
		case *Common:
		case *Matcher:
			kind := Kind(info.Tag.Get("kind"))
			*p = want(t, kind, map[Kind]string{
				Bool: `true`, Int: `5`, String: `"x"`, List: `["x"]`, Text: `["/x/"]`, Versions: `{"satisfies": "> 1"}`, Any: `{"have-len": 1}`,
				Time: `{"lt": "5s"}`, Size: `{"lt": "5KiB"}`,
			}[kind])
		case *Duration:
			*p = Duration(time.Minute)
		case *string:
			*p = "text"
		case *bool:
			*p = true
		case *any:
			*p = "text"
		case *[]string:
			*p = []string{"a: b"}
		case *map[string]string:
			*p = map[string]string{"A": "b"}
		default:
			t.Errorf("%s has the type %s", info.Name, info.Type)
		}
	}
}

func FuzzItemFromJSON(f *testing.F) {
	f.Add([]byte(`{"type":"file","id":"/x","resource":{"exists":{"kind":"bool","expr":true}}}`))
	f.Add([]byte(`{"type":"file","id":"/x","resource":null}`))
	sys := &System{FS: fstest.MapFS{}}
	f.Fuzz(func(t *testing.T, data []byte) {
		var it Item
		if json.Unmarshal(data, &it) == nil && (it.Type == "file" || it.Type == "user") {
			it.Resource.common().Within = 0
			it.Evaluate(t.Context(), sys)
		}
	})
}
