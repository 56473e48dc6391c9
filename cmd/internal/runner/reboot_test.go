package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/probe"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// rebootable is a guest that can be restarted. dir is its state: what a test's
// commands look at.
type rebootable struct {
	*host
	dir     string
	reboot  func(dir string) error
	after   func(ctx context.Context, plan []byte, out Events) error // the probe's, on the second boot
	reboots int
}

func (r *rebootable) Launch(ctx context.Context, w *Watch, before Before) (Guest, error) {
	_, err := r.host.Launch(ctx, w, before)
	return r, err
}

func (r *rebootable) Reboot(_ context.Context, w *Watch) error {
	w.Begin(report.Reboot)
	r.reboots++
	if r.after != nil {
		r.probe = r.after
	}
	if r.reboot == nil {
		return nil
	}
	return r.reboot(r.dir)
}

// newRebootable is a guest in which up exists, which once does not bring.
func newRebootable(t *testing.T) *rebootable {
	t.Helper()
	r := &rebootable{host: &host{}, dir: t.TempDir()}
	for _, name := range []string{"up", "once"} {
		if err := os.WriteFile(filepath.Join(r.dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.reboot = func(dir string) error { return os.Remove(filepath.Join(dir, "once")) }
	return r
}

// there is a check that a file of the guest is there, on both boots.
func (r *rebootable) there(t *testing.T, id int64, name, file string, needs ...string) Check {
	c := command(t, id, name, "test -e "+filepath.Join(r.dir, file), needs...)
	c.Reboot = true
	return c
}

// once is a check of the first boot only.
func once(c Check) Check {
	c.Reboot = false
	return c
}

func TestAVerdictIsThatOfBothBoots(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(r *rebootable)
		checks  func(t *testing.T, r *rebootable) []Check
		want    string
		reason  string       // of the image
		failed  report.Stage // of the image
		reboots int
	}{
		{"holds on both", nil, func(t *testing.T, r *rebootable) []Check {
			return []Check{r.there(t, 1, "up", "up")}
		}, "pass: up=pass", "", "", 1},
		{"does not hold any more", nil, func(t *testing.T, r *rebootable) []Check {
			return []Check{r.there(t, 1, "once", "once"), r.there(t, 2, "up", "up")}
		}, "fail: once=fail up=pass", "", "", 1},
		{"what does not ask for it is looked at once", nil, func(t *testing.T, r *rebootable) []Check {
			return []Check{once(r.there(t, 1, "once", "once")), r.there(t, 2, "up", "up")}
		}, "pass: once=pass up=pass", "", "", 1},
		{"a first look that fails is no reason", nil, func(t *testing.T, r *rebootable) []Check {
			return []Check{r.there(t, 1, "never", "never"), once(r.there(t, 2, "up", "up"))}
		}, "fail: never=fail up=pass", "", "", 0},
		{"nor is it repeated", nil, func(t *testing.T, r *rebootable) []Check {
			return []Check{r.there(t, 1, "never", "never"), r.there(t, 2, "up", "up")}
		}, "fail: never=fail up=pass", "", "", 1},
		{"nobody asks for it", nil, func(t *testing.T, r *rebootable) []Check {
			return []Check{once(r.there(t, 1, "up", "up"))}
		}, "pass: up=pass", "", "", 0},
		{"what was skipped stays so", nil, func(t *testing.T, r *rebootable) []Check {
			return []Check{r.there(t, 1, "never", "never"), r.there(t, 2, "next", "up", "never")}
		}, "fail: never=fail next=skip", "", "", 0},
		{"what it needs is not looked at again", nil, func(t *testing.T, r *rebootable) []Check {
			return []Check{once(r.there(t, 1, "once", "once")), r.there(t, 2, "next", "up", "once")}
		}, "pass: once=pass next=pass", "", "", 1},
		{"what it needs does not hold any more", nil, func(t *testing.T, r *rebootable) []Check {
			return []Check{r.there(t, 1, "once", "once"), r.there(t, 2, "next", "up", "once")}
		}, "fail: once=fail next=skip", "", "", 1},
		{"a guest that does not start again",
			func(r *rebootable) {
				r.reboot = func(string) error { return &ImageFault{Reason: "the image does not start: no init"} }
			},
			func(t *testing.T, r *rebootable) []Check {
				return []Check{r.there(t, 1, "up", "up"), once(r.there(t, 2, "once", "once"))}
			}, "fail: up=fail once=pass", "does not start a second time: no init", report.Reboot, 1},
		{"a guest that stops at once",
			func(r *rebootable) {
				r.after = func(context.Context, []byte, Events) error {
					return &ImageFault{Reason: "the guest stopped by itself"}
				}
			},
			func(t *testing.T, r *rebootable) []Check { return []Check{r.there(t, 1, "up", "up")} },
			"fail: up=fail", "does not start a second time: the guest stopped by itself", report.Reboot, 1},
		{"a guest that never gets ready again",
			func(r *rebootable) { r.after = forge(`{"event":"not-ready","detail":"still starting"}`) },
			func(t *testing.T, r *rebootable) []Check {
				return []Check{r.there(t, 1, "up", "up"), once(r.there(t, 2, "once", "once"))}
			}, "fail: up=fail once=pass", "does not start a second time: still starting", report.Reboot, 1},
		{"a guest that dies after it got ready",
			func(r *rebootable) {
				r.after = cutAfter(probe.Checked, &ImageFault{Reason: "the guest stopped by itself"})
			},
			func(t *testing.T, r *rebootable) []Check {
				return []Check{r.there(t, 1, "up", "up"), r.there(t, 2, "more", "up")}
			}, "fail: up=pass more=fail", "after the reboot: the guest stopped by itself", report.Evaluate, 1},
		{"a server that fails", func(r *rebootable) {
			r.reboot = func(string) error { return errors.New("stop the instance: no route") }
		},
			func(t *testing.T, r *rebootable) []Check {
				return []Check{r.there(t, 1, "up", "up"), once(r.there(t, 2, "once", "once"))}
			}, "error: up=error once=pass", "reboot: stop the instance: no route", report.Reboot, 1},
		{"a probe that is lost", func(r *rebootable) { r.after = cutAfter(probe.Ready, errors.New("connection reset")) },
			func(t *testing.T, r *rebootable) []Check { return []Check{r.there(t, 1, "up", "up")} },
			"error: up=error", "reboot: connection reset", report.Evaluate, 1},
		{"a probe that says nothing of it", func(r *rebootable) { r.after = forge() },
			func(t *testing.T, r *rebootable) []Check { return []Check{r.there(t, 1, "up", "up")} },
			"error: up=error", "", "", 1},
		{"a pass that rests on nothing",
			func(r *rebootable) {
				r.after = forge(`{"event":"checked","check":"up","outcome":{"verdict":"pass","passed":1,"total":1}}`)
			},
			func(t *testing.T, r *rebootable) []Check { return []Check{r.there(t, 1, "up", "up")} },
			"error: up=error", "", "", 1},
		{"a guest that is not ours after all", func(r *rebootable) { r.reboot = func(string) error { return errNotOurs } },
			func(t *testing.T, r *rebootable) []Check { return []Check{r.there(t, 1, "once", "once")} },
			"pass: once=pass", "", "", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRebootable(t)
			if tt.change != nil {
				tt.change(r)
			}
			done := map[string]int{}
			var said []checks.Verdict
			runner := Runner{Emit: func(e report.Event) {
				if e.Kind == report.CheckDone {
					done[e.Check]++
					said = append(said, e.Checked.Verdict)
				}
			}}
			img := run(t, runner, job(r, tt.checks(t, r)...)).Images[0]
			if got := verdicts(img); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if img.Reason != tt.reason || r.reboots != tt.reboots || r.deletes != 1 {
				t.Errorf("%q after %d reboots, deleted %d times", img.Reason, r.reboots, r.deletes)
			}
			if img.Failed != tt.failed {
				t.Errorf("it failed in stage %q, want %q", img.Failed, tt.failed)
			}
			for i, c := range img.Checks {
				if done[c.Name] != 1 || !slices.Contains(said, img.Checks[i].Verdict) {
					t.Errorf("%s was said to be done %d times, of all %v", c.Name, done[c.Name], said)
				}
			}
		})
	}
}

func TestWhatDoesNotHoldAnyMoreIsSaidSo(t *testing.T) {
	r := newRebootable(t)
	img := run(t, Runner{}, job(r, r.there(t, 1, "once", "once"), r.there(t, 2, "up", "up"))).Images[0]
	gone, up := img.Checks[0], img.Checks[1]
	if len(gone.Results) != 2 || gone.Passed != 1 || gone.Total != 2 || gone.Results[0].When != "" {
		t.Fatalf("%+v", gone)
	}
	if again := gone.Results[1]; again.When != checks.AfterReboot || !strings.HasPrefix(again.Message, "held before the reboot") {
		t.Errorf("%+v", again)
	}
	if up.Passed != 2 || up.Results[1].When != checks.AfterReboot || up.Results[1].Message != "" {
		t.Errorf("%+v", up)
	}
	if !slices.ContainsFunc(img.Stages, func(s report.StageTime) bool { return s.Stage == report.Reboot }) {
		t.Errorf("stages %v", img.Stages)
	}
}

func TestNothingIsDoneAgainAfterTheReboot(t *testing.T) {
	r := newRebootable(t)
	var second probe.Plan
	r.after = func(ctx context.Context, plan []byte, out Events) error {
		if err := json.Unmarshal(plan, &second); err != nil {
			return err
		}
		return probe.Serve(ctx, bytes.NewReader(plan), out, checks.Local())
	}
	acts := r.there(t, 2, "acts", "up")
	known := acts.Items[0]
	known.Known = []checks.Result{{Type: "file", Property: "exists", Verdict: checks.Pass, When: checks.BeforeBoot}}
	acts.Items = []checks.Item{known} // all that there is of it
	both := r.there(t, 1, "both", "up", "acts")
	both.Items = append(both.Items, known)
	img := run(t, Runner{}, job(r, acts, both)).Images[0]
	if got := verdicts(img); got != "pass: acts=pass both=pass" {
		t.Error(got)
	}
	if len(second.Checks) != 1 || len(second.Checks[0].Items) != 1 || len(second.Checks[0].Needs) != 0 {
		t.Errorf("the second plan is %+v", second.Checks)
	}
}

func TestAGuestThatIsNotOursIsLeftRunning(t *testing.T) {
	var warned []string
	h := &host{} // it is no Rebooter
	c := command(t, 1, "up", "true")
	c.Reboot = true
	other := command(t, 2, "other", "true")
	other.Reboot = true
	sum := run(t, Runner{Emit: func(e report.Event) {
		if e.Kind == report.Warning {
			warned = append(warned, e.Detail)
		}
	}}, job(h, c, other))
	if sum.Verdict != checks.Pass || h.probed != 1 {
		t.Errorf("%s after %d probes", sum.Verdict, h.probed)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "up, other") {
		t.Errorf("warned %q", warned)
	}
	if err := (&instance{}).Reboot(t.Context(), newWatch(func(report.Event) {}, report.Image{})); !errors.Is(err, errNotOurs) {
		t.Errorf("an instance that was there before: %v", err)
	}
}

func TestALostSecondLookIsAskedForOnceMore(t *testing.T) {
	r := newRebootable(t)
	r.after = func(ctx context.Context, plan []byte, out Events) error {
		if r.probed == 2 {
			if err := cutAfter(probe.Checked, nil)(ctx, plan, out); err != nil {
				return err
			}
			return fmt.Errorf("%w: socket closed", ErrLost)
		}
		return probe.Serve(ctx, bytes.NewReader(plan), out, checks.Local())
	}
	img := run(t, Runner{}, job(r, r.there(t, 1, "up", "up"))).Images[0]
	if got := verdicts(img); got != "pass: up=pass" || r.probed != 3 || len(img.Checks[0].Results) != 2 {
		t.Errorf("%s after %d probes, %d results", got, r.probed, len(img.Checks[0].Results))
	}
}

func TestAJobsTimeoutHoldsForBothBoots(t *testing.T) {
	r := newRebootable(t)
	r.after = func(ctx context.Context, _ []byte, _ Events) error { <-ctx.Done(); return ctx.Err() }
	j := job(r, r.there(t, 1, "up", "up"))
	j.Timeout = 2 * time.Second
	img := run(t, Runner{}, j).Images[0]
	if got := verdicts(img); got != "error: up=error" || !strings.Contains(img.Reason, "not done within") {
		t.Errorf("%s: %q", got, img.Reason)
	}
}

func TestAnInterruptedRebootPostsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, tr := newRebootable(t), &tracker{}
	r.reboot = func(string) error { cancel(); return ctx.Err() }
	j := job(r, r.there(t, 1, "up", "up"))
	j.Version = version()
	runner := Runner{Tracker: tr, Emit: func(report.Event) {}}
	sum := runner.Run(ctx, []Job{j})
	if got := verdicts(sum.Images[0]); got != "error: up=error" || len(tr.settled) != 0 || r.deletes != 1 {
		t.Errorf("%s, posted %v, deleted %d times", got, tr.settled, r.deletes)
	}
}
