package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/probe"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// host is a Host and a Guest whose probe runs in this process, and which can be
// made to misbehave.
type host struct {
	launch  error
	probe   func(ctx context.Context, plan []byte, out Events) error
	deletes int
	kept    bool
	probed  int
}

func (h *host) Launch(_ context.Context, w *Watch, _ Before) (Guest, error) {
	w.Begin(report.Create)
	return h, h.launch
}

func (h *host) Probe(ctx context.Context, plan []byte, out Events) error {
	h.probed++
	if h.probe != nil {
		return h.probe(ctx, plan, out)
	}
	return probe.Serve(ctx, bytes.NewReader(plan), out, checks.Local())
}

func (h *host) Diagnose(context.Context, *Watch) []report.Diagnostic {
	return []report.Diagnostic{{Name: "console", Text: "Kernel panic"}}
}

func (h *host) Keep(context.Context) (string, error) { h.kept = true; return "icepak-kept", nil }

func (h *host) Delete(context.Context, *Watch) error { h.deletes++; return nil }

// tracker is a Polar that notes what it is told.
type tracker struct {
	settled  []string
	promoted []string
	err      error
}

func (tr *tracker) Settle(_ context.Context, version, check, _ int64, typ, verdict string) (string, error) {
	tr.settled = append(tr.settled, fmt.Sprintf("%d/%d/%s %s", version, check, typ, verdict))
	return verdict, tr.err
}

func (tr *tracker) Promote(_ context.Context, product string, v polar.Version, _ string) error {
	tr.promoted = append(tr.promoted, fmt.Sprintf("%s %s %d", product, v.Serial, v.ID))
	return tr.err
}

// version is the one that the tests' jobs are of.
func version(gates ...Gate) *Version {
	return &Version{ID: 7, Product: "a:b:c:d", Serial: "20261122", Cluster: 1, Gates: gates}
}

// command is a check of one command that must exit 0.
func command(t *testing.T, id int64, name, line string, needs ...string) Check {
	t.Helper()
	zero, err := checks.ParseMatcher(checks.Int, int64(0))
	if err != nil {
		t.Fatal(err)
	}
	item, err := checks.NewItem("command", line)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{"exit-status": zero})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, item.Resource); err != nil {
		t.Fatal(err)
	}
	return Check{Check: checks.Check{Name: name, Needs: needs, Items: []checks.Item{item}}, ID: id, Again: true}
}

func job(h Host, cs ...Check) Job {
	return Job{Image: report.Image{Product: "p", Type: "container"}, Host: h, Checks: cs, Timeout: time.Minute}
}

func run(t *testing.T, r Runner, jobs ...Job) report.Summary {
	t.Helper()
	if r.Emit == nil {
		r.Emit = func(report.Event) {}
	}
	return r.Run(t.Context(), jobs)
}

func verdicts(img report.ImageResult) string {
	s := string(img.Verdict) + ":"
	for _, c := range img.Checks {
		s += " " + c.Name + "=" + string(c.Verdict)
	}
	return s
}

func TestVerdictsSayWhoIsToBlame(t *testing.T) {
	good, bad := command(t, 1, "good", "true"), command(t, 2, "bad", "false")
	for _, tt := range []struct {
		name string
		host *host
		cs   []Check
		want string
	}{
		{"all pass", &host{}, []Check{good}, "pass: good=pass"},
		{"one fails", &host{}, []Check{good, bad}, "fail: good=pass bad=fail"},
		{"what needs a failed one is skipped", &host{}, []Check{bad, command(t, 3, "next", "true", "bad")}, "fail: bad=fail next=skip"},
		{"a launch that our side broke", &host{launch: errors.New("no route to host")}, []Check{good}, "error: good=error"},
		{"an image that does not start", &host{launch: &ImageFault{Reason: "no init"}}, []Check{good}, "fail: good=fail"},
		{"a guest that dies is the image's fault", &host{probe: cutAfter(probe.Checked, &ImageFault{Reason: "stopped"})}, []Check{good, bad}, "fail: good=pass bad=fail"},
		{"a lost connection is nobody's fail", &host{probe: cutAfter(probe.Checked, errors.New("connection reset"))}, []Check{good, bad}, "error: good=pass bad=error"},
		{"a stream without its end is no pass", &host{probe: cutAfter(probe.Checked, nil)}, []Check{good}, "error: good=pass"},
		{"silence", &host{probe: func(context.Context, []byte, Events) error { return nil }}, []Check{good}, "error: good=error"},
		{"a pass that rests on nothing", &host{probe: forge(`{"event":"checked","check":"good","outcome":{"verdict":"pass","passed":1,"total":1}}`)}, []Check{good}, "error: good=error"},
		{"a check that is unknown here", &host{probe: forge(`{"event":"checked","check":"other","outcome":{"verdict":"pass"}}`)}, []Check{good}, "error: good=error"},
		{"a system that does not boot", &host{probe: forge(`{"event":"not-ready","detail":"still starting"}`)}, []Check{good}, "fail: good=fail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sum := run(t, Runner{}, job(tt.host, tt.cs...))
			if got := verdicts(sum.Images[0]); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if tt.host.deletes != 1 {
				t.Errorf("the guest was deleted %d times", tt.host.deletes)
			}
		})
	}
}

// cutAfter runs the probe but lets nothing through after the first event of the
// kind, and returns err.
func cutAfter(kind probe.Kind, err error) func(context.Context, []byte, Events) error {
	return func(ctx context.Context, plan []byte, out Events) error {
		var all bytes.Buffer
		if e := probe.Serve(ctx, bytes.NewReader(plan), &all, checks.Local()); e != nil {
			return e
		}
		for line := range strings.Lines(all.String()) {
			fmt.Fprint(out, line)
			if strings.Contains(line, `"event":"`+string(kind)+`"`) {
				break
			}
		}
		return err
	}
}

// forge writes events that carry the right token, and the end.
func forge(events ...string) func(context.Context, []byte, Events) error {
	return func(_ context.Context, plan []byte, out Events) error {
		var p probe.Plan
		if err := json.Unmarshal(plan, &p); err != nil {
			return err
		}
		for _, e := range append(events, `{"event":"end"}`) {
			fmt.Fprintf(out, `{"token":%q,%s`+"\n", p.Token, e[1:])
		}
		return nil
	}
}

func TestALostProbeIsAskedOnceMore(t *testing.T) {
	h := &host{}
	h.probe = func(ctx context.Context, plan []byte, out Events) error {
		if h.probed == 1 {
			return fmt.Errorf("%w: socket closed", ErrLost)
		}
		return probe.Serve(ctx, bytes.NewReader(plan), out, checks.Local())
	}
	sum := run(t, Runner{}, job(h, command(t, 1, "good", "true")))
	if sum.Verdict != checks.Pass || h.probed != 2 {
		t.Errorf("%s after %d tries", sum.Verdict, h.probed)
	}
}

func TestWhatALostProbeSaidDecidesNothing(t *testing.T) {
	h := &host{}
	h.probe = func(ctx context.Context, plan []byte, out Events) error {
		if h.probed > 1 {
			return probe.Serve(ctx, bytes.NewReader(plan), out, checks.Local())
		}
		var p probe.Plan
		if err := json.Unmarshal(plan, &p); err != nil {
			return err
		}
		fmt.Fprintf(out, `{"token":%q,"event":"not-ready","detail":"still starting"}`+"\n", p.Token)
		return fmt.Errorf("%w: socket closed", ErrLost)
	}
	sum := run(t, Runner{}, job(h, command(t, 1, "good", "true")))
	if sum.Verdict != checks.Pass || h.probed != 2 {
		t.Errorf("%s after %d tries: %s", sum.Verdict, h.probed, sum.Images[0].Reason)
	}
}

func TestOnlyVerdictsOnTheImageArePosted(t *testing.T) {
	for _, tt := range []struct {
		name string
		host *host
		cs   []Check
		want string
	}{
		{"passes and fails", &host{}, []Check{command(t, 1, "a", "true"), command(t, 2, "b", "false")}, "7/1/container pass,7/2/container fail"},
		{"not what Polar does not track", &host{}, []Check{command(t, 0, "a", "true")}, ""},
		{"not an error", &host{launch: errors.New("no route")}, []Check{command(t, 1, "a", "true")}, ""},
		{"not a skip", &host{}, []Check{command(t, 1, "a", "false"), command(t, 2, "b", "true", "a")}, "7/1/container fail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := &tracker{}
			j := job(tt.host, tt.cs...)
			j.Version = version()
			run(t, Runner{Tracker: tr}, j)
			if got := strings.Join(tr.settled, ","); got != tt.want {
				t.Errorf("posted %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAnInterruptedRunPostsNothingAndDeletesItsGuest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h, tr := &host{}, &tracker{}
	h.probe = func(ctx context.Context, plan []byte, out Events) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	j := job(h, command(t, 1, "a", "true"))
	j.Version = version()
	r := Runner{Tracker: tr, Emit: func(report.Event) {}, Keep: KeepFailed, Promote: true}
	sum := r.Run(ctx, []Job{j, job(&host{}, command(t, 2, "b", "true"))})
	if h.deletes != 1 || h.kept || len(tr.settled) != 0 || len(tr.promoted) != 0 {
		t.Errorf("deleted %d, kept %v, posted %v %v", h.deletes, h.kept, tr.settled, tr.promoted)
	}
	if sum.Verdict != checks.Error || len(sum.Images) != 2 || sum.Images[1].Reason == "" {
		t.Errorf("summary %+v", sum)
	}
}

func TestAJobsTimeoutIsAnErrorOfOurs(t *testing.T) {
	h := &host{}
	h.probe = func(ctx context.Context, _ []byte, _ Events) error {
		if h.probed == 1 { // and not when it is asked for evidence
			<-ctx.Done()
		}
		return ctx.Err()
	}
	j := job(h, command(t, 1, "a", "true"))
	j.Timeout = 50 * time.Millisecond
	sum := run(t, Runner{}, j)
	if got := sum.Images[0]; got.Verdict != checks.Error || !strings.Contains(got.Reason, "not done within") || h.deletes != 1 {
		t.Errorf("%s %q, deleted %d", got.Verdict, got.Reason, h.deletes)
	}
}

func TestKeepLeavesWhatItSays(t *testing.T) {
	for _, tt := range []struct {
		keep Keep
		line string
		kept bool
	}{
		{KeepNever, "false", false}, {KeepFailed, "false", true}, {KeepFailed, "true", false}, {KeepAlways, "true", true},
	} {
		t.Run(string(tt.keep)+" "+tt.line, func(t *testing.T) {
			h := &host{}
			sum := run(t, Runner{Keep: tt.keep}, job(h, command(t, 1, "a", tt.line)))
			if kept := sum.Images[0].Kept != ""; kept != tt.kept || (h.deletes == 0) != tt.kept {
				t.Errorf("kept %v, deleted %d", kept, h.deletes)
			}
		})
	}
}

func TestPromotionNeedsEveryGate(t *testing.T) {
	gate := func(typ, check string, passed bool) Gate { return Gate{Type: typ, Check: check, Passed: passed} }
	skipped := command(t, 3, "gpu", "true")
	skipped.Skip = "no nvidia GPU here"
	required := skipped
	required.Required = true
	earlier := command(t, 1, "a", "true")
	earlier.Earlier, earlier.Again = true, false
	for _, tt := range []struct {
		name  string
		gates []Gate
		cs    []Check
		want  string
	}{
		{"all passed", []Gate{gate("container", "a", false)}, []Check{command(t, 1, "a", "true")}, "promoted"},
		{"one failed", []Gate{gate("container", "a", false)}, []Check{command(t, 1, "a", "false")}, "not promoted: a (container) failed"},
		{"another type is missing", []Gate{gate("container", "a", false), gate("virtual-machine", "a", false)}, []Check{command(t, 1, "a", "true")},
			"not promoted: a (virtual-machine) has not passed yet"},
		{"another type passed earlier", []Gate{gate("container", "a", false), gate("virtual-machine", "a", true)}, []Check{command(t, 1, "a", "true")}, "promoted"},
		{"a check that was not chosen", []Gate{gate("container", "a", false), gate("container", "b", false)}, []Check{command(t, 1, "a", "true")},
			"not promoted: b (container) has not passed yet"},
		{"an untracked check gates here", []Gate{gate("container", "a", false)}, []Check{command(t, 1, "a", "true"), command(t, 0, "mine", "false")},
			"not promoted: mine (container) failed"},
		{"a condition that does not hold", []Gate{gate("container", "a", false)}, []Check{command(t, 1, "a", "true"), skipped}, "promoted"},
		{"unless it is required", []Gate{gate("container", "a", false)}, []Check{command(t, 1, "a", "true"), required}, "not promoted: gpu (container) was skipped"},
		{"nothing passed at all", nil, []Check{skipped}, "not promoted: no check has passed"},
		{"only what Polar does not track passed", nil, []Check{command(t, 0, "mine", "true")}, "not promoted: no check that Polar tracks has passed"},
		{"one failed before, whose condition does not hold here", []Gate{gate("container", "a", false), {Type: "container", Check: "gpu", Failed: true}},
			[]Check{command(t, 1, "a", "true"), skipped}, "not promoted: gpu (container) failed earlier"},
		{"one failed before that is not asked for", []Gate{gate("container", "a", false), {Type: "container", Check: "b", Failed: true}},
			[]Check{command(t, 1, "a", "true")}, "not promoted: b (container) failed earlier"},
		{"one failed before and passes now", []Gate{{Type: "container", Check: "a", Failed: true}}, []Check{command(t, 1, "a", "true")}, "promoted"},
		{"passed earlier, nothing launched", []Gate{gate("container", "a", true)}, []Check{earlier}, "promoted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr := &tracker{}
			j := job(&host{}, tt.cs...)
			j.Nothing = nothing(tt.cs)
			j.Version = version(tt.gates...)
			sum := run(t, Runner{Tracker: tr, Promote: true}, j)
			if got := sum.Images[0].Promotion; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if promoted := slices.Equal(tr.promoted, []string{"a:b:c:d 20261122 7"}); promoted != (tt.want == "promoted") {
				t.Errorf("promoted %v", tr.promoted)
			}
		})
	}
}

func TestAVerdictThatCannotBePostedIsNoPass(t *testing.T) {
	tr := &tracker{err: errors.New("polar is down")}
	j := job(&host{}, command(t, 1, "a", "true"))
	j.Version = version(Gate{Type: "container", Check: "a"})
	sum := run(t, Runner{Tracker: tr, Promote: true}, j)
	if sum.Verdict != checks.Error || len(tr.promoted) != 0 {
		t.Errorf("verdict %s, promoted %v", sum.Verdict, tr.promoted)
	}
}

func TestAPromotionOfWhichNothingIsKnownIsNoPass(t *testing.T) {
	tr := &tracker{err: errors.New("whether it was taken is not known")}
	done := command(t, 1, "a", "true")
	done.Earlier, done.Again = true, false
	j := job(&host{}, done, command(t, 0, "b", "true"))
	j.Version = version(Gate{Type: "container", Check: "a", Passed: true})
	sum := run(t, Runner{Tracker: tr, Promote: true}, j)
	if len(tr.promoted) != 1 || sum.Verdict != checks.Error || len(sum.Warnings) != 1 || !strings.HasPrefix(sum.Images[0].Promotion, "not promoted: ") {
		t.Errorf("verdict %s, warnings %q, %q", sum.Verdict, sum.Warnings, sum.Images[0].Promotion)
	}
}

func TestAStageThatIsTakenUpAgainIsToldOnce(t *testing.T) {
	w := newWatch(func(report.Event) {}, report.Image{})
	for _, s := range []report.Stage{report.Create, report.Fetch, report.Fetch, report.Create, report.Start} {
		w.Begin(s)
	}
	var order []report.Stage
	for _, s := range w.stop() {
		order = append(order, s.Stage)
	}
	if want := []report.Stage{report.Create, report.Fetch, report.Start}; !slices.Equal(order, want) {
		t.Errorf("stages %v, want %v", order, want)
	}
}

func TestAFailOfWhatPassedEarlierIsWarnedOf(t *testing.T) {
	var warned []string
	again := command(t, 1, "a", "false")
	again.Earlier = true
	j := job(&host{}, again)
	j.Version = version()
	run(t, Runner{Tracker: &tracker{}, Emit: func(e report.Event) {
		if e.Kind == report.Warning {
			warned = append(warned, e.Detail)
		}
	}}, j)
	if len(warned) != 1 || !strings.Contains(warned[0], "keeps its earlier pass") {
		t.Errorf("warned %q", warned)
	}
}
