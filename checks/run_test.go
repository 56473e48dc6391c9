package checks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A log is an Observer that writes down what it is told.
type log []string

func (l *log) CheckStarted(name string) { *l = append(*l, name) }

func (l *log) Result(check string, r Result) {
	*l = append(*l, strings.TrimSpace(fmt.Sprintf("%s: %s %s", check, r.Verdict, r.Message)))
}

func (l *log) CheckDone(name string, o Outcome) {
	*l = append(*l, strings.TrimSpace(fmt.Sprintf("%s: %s %d/%d %s", name, o.Verdict, o.Passed, o.Total, o.Reason)))
}

func checkOf(name string, needs []string, verdicts ...Verdict) Check {
	c := Check{Name: name, Needs: needs}
	for _, v := range verdicts {
		c.Items = append(c.Items, item(gives(v)))
	}
	return c
}

// ended returns the lines that end checks.
func (l log) ended() string {
	var lines []string
	for _, line := range l {
		if strings.Contains(line, "/") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestRunGivesVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		check Check
		want  string
	}{
		{"all pass", checkOf("a", nil, Pass, Pass), "a: pass 2/2"},
		{"a fail outweighs an error", checkOf("a", nil, Pass, Error, Fail), "a: fail 1/3"},
		{"an error is no pass", checkOf("a", nil, Pass, Error), "a: error 1/2"},
		{"skips are not counted", checkOf("a", nil, Pass, Skip), "a: pass 1/1"},
		{"only skips is a fail", checkOf("a", nil, Skip), "a: fail 0/0 nothing was evaluated"},
		{"no items is a fail", checkOf("a", nil), "a: fail 0/0 nothing was evaluated"},
		{"an empty verdict is an error", checkOf("a", nil, Pass, ""), "a: error 1/2"},
		{"a check that is skipped", Check{Name: "a", Skip: "no GPU", Items: []Item{item(gives(Pass))}}, "a: skip 0/0 no GPU"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l log
			Run(t.Context(), new(System), []Check{tt.check}, &l)
			if got := l.ended(); got != tt.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestRunFollowsNeeds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		list  []Check
		wants string
	}{
		{"the file's order otherwise",
			[]Check{checkOf("c", nil, Pass), checkOf("a", nil, Pass), checkOf("b", nil, Pass)},
			"c: pass 1/1\na: pass 1/1\nb: pass 1/1"},
		{"needs come first",
			[]Check{checkOf("a", []string{"c"}, Pass), checkOf("b", nil, Pass), checkOf("c", nil, Pass)},
			"b: pass 1/1\nc: pass 1/1\na: pass 1/1"},
		{"what needs a failed check is skipped, and what needs that",
			[]Check{checkOf("a", nil, Fail), checkOf("b", []string{"a"}, Pass), checkOf("c", []string{"b"}, Pass)},
			"a: fail 0/1\nb: skip 0/0 needs a\nc: skip 0/0 needs b"},
		{"what needs a skipped check is skipped",
			[]Check{{Name: "a", Skip: "no GPU"}, checkOf("b", []string{"a"}, Pass)},
			"a: skip 0/0 no GPU\nb: skip 0/0 needs a"},
		{"a need that is not run has not passed",
			[]Check{checkOf("b", []string{"a"}, Pass)}, "b: skip 0/0 needs a"},
		{"a cycle never passes",
			[]Check{checkOf("a", []string{"b"}, Pass), checkOf("b", []string{"a"}, Pass), checkOf("c", nil, Pass)},
			"c: pass 1/1\na: skip 0/0 needs b\nb: skip 0/0 needs a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l log
			Run(t.Context(), new(System), tt.list, &l)
			if got := l.ended(); got != tt.wants {
				t.Errorf("got\n%s\nwant\n%s", got, tt.wants)
			}
		})
	}
}

func TestRunTellsEventsInOrder(t *testing.T) {
	var l log
	Run(t.Context(), new(System), []Check{checkOf("a", nil, Pass, Fail), checkOf("b", []string{"a"}, Pass)}, &l)
	want := "a\na: pass\na: fail\na: fail 1/2\nb\nb: skip 0/0 needs a"
	if got := strings.Join(l, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func waits() *fake {
	return &fake{look: func(ctx context.Context, _ *System) []Result {
		<-ctx.Done()
		return []Result{{Verdict: Pass}}
	}}
}

func TestCheckThatTakesTooLongFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		Run(t.Context(), new(System), []Check{
			{Name: "a", Timeout: 30 * time.Second, Items: []Item{item(gives(Pass)), item(waits()), item(gives(Pass))}},
			checkOf("b", nil, Pass),
		}, &l)
		want := "a\na: pass\na: fail timed out after 30s\na: fail timed out after 30s\na: fail 1/3\nb\nb: pass\nb: pass 1/1"
		if got := strings.Join(l, "\n"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestInterruptedRunIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("stopped"))
		defer cancel()
		var l log
		Run(ctx, new(System), []Check{
			{Name: "a", Items: []Item{item(gives(Pass)), item(waits())}},
			checkOf("b", nil, Pass),
		}, &l)
		want := "a: error 1/2\nb: error 0/1"
		if got := l.ended(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// Where the guest is to blame for the run's time being over, the check under way has
// failed, and of those after it nothing is known.
func TestRunWhoseTimeIsOverByTheGuestsFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, TimedOut(time.Second))
		defer cancel()
		var l log
		Run(ctx, new(System), []Check{checkOf("a", nil, Pass), {Name: "b", Items: []Item{item(waits())}}, checkOf("c", nil, Pass)}, &l)
		want := "a: pass 1/1\nb: fail 0/1\nc: error 0/0 not begun: timed out after 1s"
		if got := l.ended(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestDefaultTimeoutBoundsACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		Run(t.Context(), new(System), []Check{{Name: "a", Items: []Item{item(waits())}}}, new(log))
		if took := time.Since(start); took != DefaultTimeout {
			t.Errorf("it took %v", took)
		}
	})
}
