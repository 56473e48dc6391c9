package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// absent is a Polar that is away for some requests.
type absent struct {
	mu      sync.Mutex
	away    int // requests that it does not answer
	asked   int
	settled []string
}

func (a *absent) answer() error {
	a.asked++
	if a.asked <= a.away {
		return fmt.Errorf("polar: %w", &polar.UnreachableError{Endpoint: "https://polar", Err: fmt.Errorf("refused")})
	}
	return nil
}

func (a *absent) Settle(_ context.Context, version, check, _ int64, typ, verdict string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.answer(); err != nil {
		return "", err
	}
	a.settled = append(a.settled, fmt.Sprintf("%d/%d/%s %s", version, check, typ, verdict))
	return verdict, nil
}

func (a *absent) Promote(context.Context, string, polar.Version, string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.answer()
}

// diary is a Journal that lists what it is told.
type diary struct {
	mu    sync.Mutex
	steps []string
}

func (d *diary) Note(s Step) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.steps = append(d.steps, strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Kind, s.Image.Type, s.Check)))
}

// twoJobs are of one version, and pass.
func twoJobs(t *testing.T) []Job {
	v := version(Gate{Type: "container", Check: "a"}, Gate{Type: "virtual-machine", Check: "a"})
	one := job(&host{}, command(t, 1, "a", "true"))
	two := job(&host{}, command(t, 1, "a", "true"))
	two.Image.Type = "virtual-machine"
	one.Version, two.Version = v, v
	return []Job{one, two}
}

func TestVerdictsWaitForPolarWhileJobsGoOn(t *testing.T) {
	for _, tt := range []struct {
		name     string
		away     int
		wait     time.Duration
		verdict  checks.Verdict
		unposted int
		promoted string
	}{
		{"it is there", 0, time.Minute, checks.Pass, 0, report.Promoted},
		{"it is back soon", 2, time.Minute, checks.Pass, 0, report.Promoted},
		{"it stays away", 1 << 20, 0, checks.Error, 2, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, d := &absent{away: tt.away}, &diary{}
			sum := run(t, Runner{Tracker: a, Journal: d, Promote: true, PostWait: tt.wait}, twoJobs(t)...)
			if sum.Verdict != tt.verdict || sum.Unposted != tt.unposted || sum.Waiting != tt.unposted {
				t.Errorf("%s, %d unposted, %d waiting: %v", sum.Verdict, sum.Unposted, sum.Waiting, sum.Warnings)
			}
			if n := len(a.settled); n != 2-tt.unposted || tt.promoted != "" && sum.Images[1].Promotion != tt.promoted {
				t.Errorf("posted %v, %s", a.settled, sum.Images[1].Promotion)
			}
			for i, img := range sum.Images {
				if posted := img.Checks[0].Posted == "pass"; posted != (tt.unposted == 0) {
					t.Errorf("image %d: posted %v", i, posted)
				}
			}
			decided := slices.Index(d.steps, "decided container")
			posted := slices.Index(d.steps, "posted container a")
			if decided < 0 || tt.unposted == 0 && posted < decided || d.steps[0] != "launching container" {
				t.Errorf("the journal has %q", d.steps)
			}
		})
	}
}

func TestAnInterruptEndsTheWaitForPolar(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := Runner{Tracker: &absent{away: 1 << 20}, PostWait: time.Hour, Emit: func(e report.Event) {
		if strings.Contains(e.Detail, "it is waited for") {
			cancel()
		}
	}}
	sum := r.Run(ctx, twoJobs(t))
	if sum.Waiting != 2 || sum.Images[0].Verdict != checks.Error {
		t.Errorf("%d wait, %s", sum.Waiting, sum.Images[0].Verdict)
	}
}

func TestWhatWasDecidedIsNotLaunchedAgain(t *testing.T) {
	jobs := twoJobs(t)
	h := &host{}
	jobs[0].Host = h
	jobs[0].Decided = &report.ImageResult{Image: jobs[0].Image, Verdict: checks.Pass, Checks: []report.CheckResult{{Name: "a", Outcome: checks.Outcome{Verdict: checks.Pass}}}}
	a := &absent{}
	sum := run(t, Runner{Tracker: a, Promote: true}, jobs...)
	if h.probed != 0 || len(a.settled) != 2 || sum.Images[0].Promotion != report.Promoted {
		t.Errorf("probed %d, posted %v, %s", h.probed, a.settled, sum.Images[0].Promotion)
	}
	jobs[0].Checks[0].Settled = true
	a = &absent{}
	if run(t, Runner{Tracker: a}, jobs[0]); len(a.settled) != 0 {
		t.Errorf("what Polar has is posted again: %v", a.settled)
	}
}
