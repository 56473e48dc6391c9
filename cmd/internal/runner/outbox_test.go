package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// remotePolar is a Polar that takes 100 ms for everything, and is away or hangs for a
// while.
type remotePolar struct {
	mu        sync.Mutex
	from, to  time.Time // away
	hangs     bool      // rather than refusing
	now, most int       // requests at once
	missed    int       // requests while it was away
	settled   map[int64]int
	promoted  map[int64]int
}

func newRemotePolar(after, away time.Duration) *remotePolar {
	from := time.Now().Add(after)
	return &remotePolar{from: from, to: from.Add(away), settled: map[int64]int{}, promoted: map[int64]int{}}
}

func (p *remotePolar) ask(ctx context.Context, done func()) error {
	p.mu.Lock()
	p.now++
	p.most = max(p.most, p.now)
	p.mu.Unlock()
	time.Sleep(100 * time.Millisecond)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now--
	if now := time.Now(); now.Before(p.from) || !now.Before(p.to) {
		done()
		return nil
	}
	p.missed++
	if p.hangs {
		p.mu.Unlock()
		<-ctx.Done()
		p.mu.Lock()
		return ctx.Err()
	}
	return &polar.UnreachableError{Endpoint: "https://polar", Err: errors.New("refused")}
}

func (p *remotePolar) Settle(ctx context.Context, version, _, _ int64, _, verdict string) (string, error) {
	return verdict, p.ask(ctx, func() { p.settled[version]++ })
}

func (p *remotePolar) Promote(ctx context.Context, _ string, v polar.Version, _ string) error {
	return p.ask(ctx, func() { p.promoted[v.ID]++ })
}

// versions makes each job one of a version of its own.
func versions(jobs []Job) []Job {
	for i := range jobs {
		v := &Version{ID: int64(i), Product: jobs[i].Image.Product}
		place := jobs[i].Place
		jobs[i].Version = v
		jobs[i].Place = func(remote string) (Job, error) {
			placed, err := place(remote)
			placed.Version = v
			return placed, err
		}
	}
	return jobs
}

func TestPolarMayBeAwayForAnHourInTheMiddle(t *testing.T) {
	for _, tt := range []struct {
		name     string
		hangs    bool
		away     time.Duration
		verdict  checks.Verdict
		unposted int
	}{
		{"it refuses", false, time.Hour, checks.Pass, 0},
		{"it hangs", true, time.Hour, checks.Pass, 0},
		{"it stays away", false, 1000 * time.Hour, checks.Error, 1},
		{"it hangs for ever", true, 1000 * time.Hour, checks.Error, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p := newFarm(), newRemotePolar(5*time.Second, tt.away)
				p.hangs = tt.hangs
				jobs := versions(f.jobs(60, "a", "b"))
				began := time.Now()
				var tested time.Duration
				reported := 0
				r := Runner{Tracker: p, Promote: true, PostWait: 2 * time.Hour, Parallel: map[string]int{"a": 2, "b": 2}}
				r.Emit = func(e report.Event) {
					if e.Kind == report.ImageDone {
						reported++
						tested = time.Since(began)
					}
				}
				sum, took := f.harvest(t, r, jobs)
				if reported != 60 || f.launches() != 60 {
					t.Errorf("%d reported, %d launched", reported, f.launches())
				}
				// 60 images, 4 at once, a second each: a Polar that hangs keeps the reports
				// of those that ended first, and nothing else.
				if limit := 16*time.Second + settleTime; tested > limit {
					t.Errorf("the last image is reported after %s", tested)
				}
				if p.most > maxAsking || p.missed > 260 {
					t.Errorf("%d requests at once, %d in vain", p.most, p.missed)
				}
				if sum.Verdict != tt.verdict || (sum.Unposted > 0) != (tt.unposted > 0) || sum.Waiting != sum.Unposted {
					t.Errorf("%s, %d unposted, %d waiting", sum.Verdict, sum.Unposted, sum.Waiting)
				}
				if tt.unposted == 0 {
					if n := len(p.settled); n != 60 || len(p.promoted) != 60 || took > tt.away+2*time.Minute {
						t.Errorf("%d posted, %d promoted after %s", n, len(p.promoted), took)
					}
				} else if wait := took - tested; wait < 2*time.Hour || wait > 2*time.Hour+time.Minute {
					t.Errorf("it waited %s", wait)
				}
				for v, n := range p.settled {
					if n != 1 || p.promoted[v] > 1 {
						t.Errorf("version %d: posted %d times, promoted %d times", v, n, p.promoted[v])
					}
				}
			})
		})
	}
}

func TestAFailureIsKnownBeforePolarHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p := newFarm(), newRemotePolar(0, time.Minute)
		f.fails = "p0"
		sum, _ := f.harvest(t, Runner{Tracker: p, FailFast: true, PostWait: time.Hour}, versions(f.jobs(5, "a")))
		if f.launches() != 1 || count(sum, checks.Skip) != 4 || p.settled[0] != 1 {
			t.Errorf("%d launched, %d skipped, posted %v", f.launches(), count(sum, checks.Skip), p.settled)
		}
	})
}

// What was decided when the run is interrupted is not posted, and is known to be missing.
func TestAnInterruptionLeavesWhatIsDecidedToBePosted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, p, d := newFarm(), newRemotePolar(0, 0), &diary{}
		ctx, cancel := context.WithCancel(t.Context())
		jobs := versions(f.jobs(4, "a"))
		r := Runner{Tracker: p, Promote: true, Journal: d, Alive: f.alive, Emit: func(e report.Event) {
			if e.Kind == report.Progress && strings.HasPrefix(e.Detail, "2 of 4") {
				cancel()
			}
		}}
		sum := r.Run(ctx, jobs)
		// The third was under way, and the second's promotion was not.
		posted := 0
		for _, n := range p.settled {
			posted += n
		}
		if count(sum, checks.Pass) != 2 || count(sum, checks.Error) != 2 || posted+len(p.promoted)+sum.Waiting != 4 || sum.Waiting == 0 {
			t.Errorf("%d passed, posted %v, promoted %v, %d waiting", count(sum, checks.Pass), p.settled, p.promoted, sum.Waiting)
		}
	})
}

// chronicle is a Journal that lists what it is told of each remote.
type chronicle struct {
	mu    sync.Mutex
	steps []string
}

func (c *chronicle) Note(s Step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.steps = append(c.steps, fmt.Sprintf("%s on %s", s.Kind, s.Image.Remote))
}

func TestWhatMovesIsInTheJournalAsWhereItIsDecided(t *testing.T) {
	for _, tt := range []struct {
		name string
		down []string
		want []string
	}{
		{"to another remote", []string{"a"}, []string{"launching on a", "cleaned on a", "launching on b", "decided on b", "cleaned on b", "posted on b"}},
		{"to no avail", []string{"a", "b"}, []string{"launching on a", "cleaned on a", "launching on b", "cleaned on b", "decided on b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, c := newFarm(), &chronicle{}
				for _, remote := range tt.down {
					f.down[remote] = time.Now().Add(time.Hour)
				}
				f.harvest(t, Runner{Tracker: newRemotePolar(0, 0), Journal: c}, versions(f.jobs(1, "a", "b")))
				if !slices.Equal(c.steps, tt.want) {
					t.Errorf("got %q, want %q", c.steps, tt.want)
				}
			})
		})
	}
}
