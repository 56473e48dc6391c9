package probe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/collect"
)

// serve carries the plan out on this machine and returns the stream.
func serve(t *testing.T, plan any) (string, error) {
	t.Helper()
	in, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = Serve(t.Context(), bytes.NewReader(in), &out, checks.Local())
	return out.String(), err
}

// commandCheck is a check of one command that must exit 0.
func commandCheck(t *testing.T, name, command string) checks.Check {
	t.Helper()
	var item checks.Item
	zero, err := checks.ParseMatcher(checks.Int, int64(0))
	if err != nil {
		t.Fatal(err)
	}
	m, err := json.Marshal(zero)
	if err != nil {
		t.Fatal(err)
	}
	raw := `{"type":"command","id":` + quote(command) + `,"resource":{"exit-status":` + string(m) + `}}`
	if err := json.Unmarshal([]byte(raw), &item); err != nil {
		t.Fatal(err)
	}
	return checks.Check{Name: name, Items: []checks.Item{item}}
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always encodes
	return string(b)
}

func TestAPlanComesBackAsEvents(t *testing.T) {
	plan := Plan{Protocol: Protocol, Token: "t", Timeout: time.Minute, Checks: []checks.Check{
		commandCheck(t, "good", "true"), commandCheck(t, "bad", "exit 3"),
	}}
	stream, err := serve(t, plan)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []Kind
	verdicts := map[string]checks.Verdict{}
	err = Read(strings.NewReader(stream), "t", func(e Event) {
		kinds = append(kinds, e.Kind)
		if e.Kind == Checked {
			verdicts[e.Check] = e.Outcome.Verdict
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Kind{Hello, Ready, Check, Result, Checked, Check, Result, Checked, End}
	if !slices.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}
	if verdicts["good"] != checks.Pass || verdicts["bad"] != checks.Fail {
		t.Errorf("verdicts %v", verdicts)
	}
}

func TestWhatIsAskedForIsDescribed(t *testing.T) {
	item := func(typ, id string) checks.Item {
		item, err := checks.NewItem(typ, id)
		if err != nil {
			t.Fatal(err)
		}
		return item
	}
	stream, err := serve(t, Plan{
		Protocol: Protocol, Token: "t", Timeout: time.Minute, Find: []string{"root", "no-such-thing"},
		Describe: []checks.Item{item("user", "root"), item("port", "none")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = Read(strings.NewReader(stream), "t", func(e Event) {
		if e.Kind != Described {
			return
		}
		said := fmt.Sprint(e.Answer.Nth)
		for _, d := range e.Answer.Found {
			said += fmt.Sprintf(" %s %s %v %d", d.Type, d.ID, d.There, len(d.Attributes))
		}
		got = append(got, said+e.Answer.Error)
	})
	want := []string{"0 user root true 6", `1listening: want a port such as 22, tcp:22, tcp6:22, udp:53 or udp6:53, got "none"`,
		"2 group root true 2 user root true 6", "3"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// A guest that never gets ready is the one whose evidence is wanted most.
func TestEvidenceIsCollectedWithoutWaitingForTheGuest(t *testing.T) {
	stream, err := serve(t, Plan{Protocol: Protocol, Token: "t", Timeout: time.Minute, Ready: checks.Ready{System: true}, Collect: &collect.Wanted{}})
	if err != nil {
		t.Fatal(err)
	}
	pieces := map[string]int{}
	err = Read(strings.NewReader(stream), "t", func(e Event) {
		switch e.Kind {
		case Evidence:
			pieces[e.Check] += len(e.Detail)
		case Hello, End:
		default:
			t.Errorf("an event %s", e.Kind)
		}
	})
	if err != nil || pieces["system"] == 0 || pieces["files"] == 0 {
		t.Errorf("%v, %v", pieces, err)
	}
}

func TestAnotherProtocolIsRefusedOnBothSides(t *testing.T) {
	stream, err := serve(t, Plan{Protocol: Protocol + 1, Token: "t"})
	if err == nil {
		t.Error("the probe took a plan of another protocol")
	}
	err = Read(strings.NewReader(stream), "t", func(Event) {})
	if err == nil || !strings.Contains(err.Error(), "protocol") {
		t.Errorf("the host heard %v", err)
	}
	hello := `{"token":"t","event":"hello","protocol":99}` + "\n" + `{"token":"t","event":"end"}` + "\n"
	if err := Read(strings.NewReader(hello), "t", func(Event) {}); err == nil {
		t.Error("the host took a probe of another protocol")
	}
}

func TestReadTakesOnlyWhatCarriesTheToken(t *testing.T) {
	const end = `{"token":"t","event":"end"}` + "\n"
	for _, tt := range []struct {
		name, stream string
		want         int
		err          error
	}{
		{"forged by something else in the guest", `{"token":"x","event":"checked","check":"a","outcome":{"verdict":"pass"}}` + "\n" + end, 1, nil},
		{"without a token", `{"event":"end"}` + "\n", 0, ErrEndless},
		{"prose", "Segmentation fault\n" + end, 1, nil},
		{"cut in the middle of a line", `{"token":"t","event":"che`, 0, ErrEndless},
		{"cut before the end", `{"token":"t","event":"hello","protocol":3}` + "\n", 1, ErrEndless},
		{"an event without what it promises", `{"token":"t","event":"result","check":"a"}` + "\n" + end, 1, nil},
		{"a description without an answer", `{"token":"t","event":"described"}` + "\n" + end, 1, nil},
		{"a description of nothing", `{"token":"t","event":"described","answer":{"nth":-1}}` + "\n" + end, 1, nil},
		{"a verdict that is none", `{"token":"t","event":"checked","check":"a","outcome":{"verdict":""}}` + "\n" + end, 1, nil},
		{"a line that never ends", strings.Repeat("x", maxLine+10) + "\n" + end, 1, nil},
		{"the last line without a newline", strings.TrimSpace(end), 1, nil},
		{"empty", "", 0, ErrEndless},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := 0
			err := Read(strings.NewReader(tt.stream), "t", func(Event) { got++ })
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%d events and %v, want %d and %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestAProbeThatDoesNotStopTalkingIsNotHeardForEver(t *testing.T) {
	line := []byte(`{"token":"x","event":"evidence","detail":"` + strings.Repeat("a", 1<<20) + "\"}\n")
	said := 0
	err := Read(bufio.NewReaderSize(endless{line}, 2<<20), "x", func(e Event) { said += len(e.Detail) })
	if err == nil || said > maxSaid {
		t.Errorf("after %d bytes: %v", said, err)
	}
}

// endless is a line again and again.
type endless struct{ line []byte }

func (e endless) Read(p []byte) (int, error) {
	if len(p) < len(e.line) {
		return 0, errors.New("the buffer is too small")
	}
	return copy(p, e.line), nil
}

func TestABrokenProbeSaysWhy(t *testing.T) {
	stream, err := serve(t, "not a plan")
	if err == nil {
		t.Error("the probe took it")
	}
	if err := Read(strings.NewReader(stream), "", func(Event) {}); err == nil || !strings.Contains(err.Error(), "read the plan") {
		t.Errorf("the host heard %v", err)
	}
}

// failing is an output that fails after some writes, as a lost host does.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, errors.New("gone")
	}
	return len(p), nil
}

func TestAProbeWhoseHostIsGoneStops(t *testing.T) {
	in, err := json.Marshal(Plan{Protocol: Protocol, Checks: []checks.Check{
		commandCheck(t, "first", "true"), commandCheck(t, "second", "sleep 600"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Serve(ctx, bytes.NewReader(in), &failing{left: 3}, checks.Local()); err == nil {
		t.Error("it did not notice")
	}
	if ctx.Err() != nil {
		t.Error("it went on until its deadline")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"token":"t","event":"hello","protocol":3}` + "\n" + `{"token":"t","event":"end"}`))
	f.Add([]byte("{\n}\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		ended := false
		err := Read(bytes.NewReader(stream), "t", func(e Event) {
			if e.Token != "t" {
				t.Error("an event without the token came through")
			}
			ended = ended || e.Kind == End
		})
		if err == nil != ended {
			t.Errorf("error %v, ended %v", err, ended)
		}
	})
}

// The probe goes into every guest: what it is made of is decided here and not by
// accident.
func TestTheProbeIsMadeOfLittle(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "../../icepak-probe").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{
		"github.com/upmaru/icepak/checks",
		"github.com/upmaru/icepak/cmd/internal/collect",
		"github.com/upmaru/icepak/cmd/internal/probe",
		"github.com/upmaru/icepak/cmd/icepak-probe",
		"github.com/Masterminds/semver/v3",
		"github.com/antchfx/xpath",
		"github.com/tidwall/gjson", "github.com/tidwall/match", "github.com/tidwall/pretty",
		"golang.org/x/sys/unix",
	}
	for _, dep := range strings.Fields(string(out)) {
		if !slices.Contains(allowed, dep) {
			t.Errorf("the probe imports %s", dep)
		}
	}
}
