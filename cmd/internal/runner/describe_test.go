package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/probe"
	"github.com/upmaru/icepak/cmd/internal/report"
)

func question(t *testing.T) Question {
	t.Helper()
	item, err := checks.NewItem("user", "root")
	if err != nil {
		t.Fatal(err)
	}
	return Question{Items: []checks.Item{item}, Names: []string{"root"}, Timeout: time.Minute}
}

// saidOf is what an answer says, on one line.
func saidOf(answers []Answer) string {
	var b bytes.Buffer
	for i, a := range answers {
		fmt.Fprintf(&b, "%d:", i)
		for _, d := range a.Found {
			fmt.Fprintf(&b, " %s %s", d.Type, d.ID)
		}
		if a.Err != nil {
			fmt.Fprintf(&b, " error %v", a.Err)
		}
		b.WriteString("; ")
	}
	return b.String()
}

func TestAGuestDescribesWhatItIsAskedFor(t *testing.T) {
	answer := func(nth int, typ, id string) string {
		data, err := json.Marshal(map[string]any{"event": "described", "answer": map[string]any{
			"nth": nth, "found": []any{map[string]any{"type": typ, "id": id, "attributes": []any{map[string]any{"name": "exists", "value": true}}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	const none, liar = "error the probe said nothing of it", "error the probe's answer is not to what was asked"
	lost := &host{}
	lost.probe = func(ctx context.Context, plan []byte, out Events) error {
		if lost.probed == 1 {
			fmt.Fprint(out, answer(0, "user", "root"))
			return fmt.Errorf("%w: socket closed", ErrLost)
		}
		return probe.Serve(ctx, bytes.NewReader(plan), out, checks.Local())
	}
	for _, tt := range []struct {
		name, want, err string
		host            *host
	}{
		{"as it is", "0: user root; 1: group root user root; ", "", &host{}},
		{"after the probe was lost", "0: user root; 1: group root user root; ", "", lost},
		{"silence", "0: " + none + "; 1: " + none + "; ", "", &host{probe: forge()}},
		{"something else", "0: " + liar + "; 1: " + liar + "; ", "", &host{probe: forge(answer(0, "user", "other"), answer(1, "command", "root"), answer(7, "user", "root"))}},
		{"a port of the process", "0: " + none + "; 1: port tcp:22; ", "", &host{probe: forge(answer(1, "port", "tcp:22"))}},
		{"a guest that does not boot", "", "still starting", &host{probe: forge(`{"event":"not-ready","detail":"still starting"}`)}},
		{"a guest that is not launched", "", "no route", &host{launch: errors.New("no route")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers, err := Describe(t.Context(), tt.host, question(t), func(report.Event) {})
			if fmt.Sprint(err) != tt.err && (err != nil || tt.err != "") {
				t.Errorf("want error %q, got %v", tt.err, err)
			}
			if got := saidOf(answers); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if tt.host.deletes != 1 {
				t.Errorf("the guest was deleted %d times", tt.host.deletes)
			}
		})
	}
}

func TestAnInterruptedDescriptionDeletesItsGuest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := &host{probe: func(ctx context.Context, _ []byte, _ Events) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}}
	if _, err := Describe(ctx, h, question(t), func(report.Event) {}); !errors.Is(err, errInterrupted) || h.deletes != 1 {
		t.Errorf("%v, deleted %d times", err, h.deletes)
	}
}
