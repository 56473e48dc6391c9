package runner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
)

func TestFailFastBeginsNothingMoreAndFinishesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		f.fails, f.slow["p0"] = "p1", time.Minute
		tr := &tracker{}
		jobs := f.jobs(10, "a")
		jobs[9].Version = version(Gate{Type: "container", Check: "a"})
		sum, _ := f.harvest(t, Runner{Parallel: map[string]int{"a": 2}, FailFast: true, Promote: true, Tracker: tr}, jobs)
		if count(sum, checks.Pass) != 1 || count(sum, checks.Fail) != 1 || count(sum, checks.Skip) != 8 || f.launches() != 2 {
			t.Errorf("%d passed, %d failed, %d skipped of %d launches", count(sum, checks.Pass), count(sum, checks.Fail), count(sum, checks.Skip), f.launches())
		}
		last := sum.Images[9]
		if !strings.Contains(last.Reason, "--fail-fast") || len(tr.promoted)+len(tr.settled) > 0 || !strings.HasPrefix(last.Promotion, "not promoted") {
			t.Errorf("%+v, posted %v %v", last, tr.settled, tr.promoted)
		}
	})
}

func TestNothingOfATryThatIsRepeatedIsPosted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		f.down["a"] = time.Now().Add(time.Hour)
		tr := &tracker{}
		job := f.job("p", "a", "b")
		job.Version = version(Gate{Type: "container", Check: "a"})
		place := job.Place
		job.Place = func(remote string) (Job, error) {
			placed, err := place(remote)
			placed.Version = job.Version
			return placed, err
		}
		sum, _ := f.harvest(t, Runner{Tracker: tr, Promote: true}, []Job{job})
		if got := sum.Images[0]; got.Remote != "b" || got.Promotion != report.Promoted || len(tr.settled) != 1 || len(tr.promoted) != 1 {
			t.Errorf("%+v, posted %v %v", got, tr.settled, tr.promoted)
		}
	})
}

func TestAVersionIsPromotedOnceAndAsSoonAsItsImagesAreDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		var at []time.Duration
		began := time.Now()
		tr := &promotions{told: func() { at = append(at, time.Since(began)) }}
		jobs := f.jobs(4, "a")
		f.slow["p3"] = time.Hour / 6
		for i, v := range []*Version{version(), version(), version(), nil} {
			if i == 1 {
				v = jobs[0].Version
			}
			jobs[i].Version = v
			jobs[i].Checks[0].ID = 1
			place := jobs[i].Place
			jobs[i].Place = func(remote string) (Job, error) {
				placed, err := place(remote)
				placed.Version = v
				return placed, err
			}
		}
		sum, _ := f.harvest(t, Runner{Tracker: tr, Promote: true, Parallel: map[string]int{"a": 2}}, jobs)
		if len(at) != 2 || at[0] > 2*time.Second || at[1] > 3*time.Second || sum.Images[0].Promotion != report.Promoted || sum.Images[3].Promotion != "" {
			t.Errorf("promoted after %v: %+v", at, sum.Images)
		}
	})
}

// promotions is a tracker that tells of each promotion.
type promotions struct {
	mu   sync.Mutex
	told func()
}

func (p *promotions) Settle(context.Context, int64, int64, int64, string, string) (string, error) {
	return "pass", nil
}

func (p *promotions) Promote(context.Context, string, polar.Version, string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told()
	return nil
}

func TestAnInterruptionCleansAllUpAndBeginsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1500*time.Millisecond, cancel)
		began := time.Now()
		r := Runner{Emit: func(report.Event) {}, Alive: f.alive, Parallel: map[string]int{"a": 8}}
		sum := r.Run(ctx, f.jobs(1000, "a"))
		if count(sum, checks.Pass) != 8 || count(sum, checks.Error) != 992 || f.launches() != 16 || f.deleted != 16 {
			t.Errorf("%d passed, %d launched, %d deleted", count(sum, checks.Pass), f.launches(), f.deleted)
		}
		if took := time.Since(began); took != 1500*time.Millisecond {
			t.Errorf("it ended after %s", took)
		}
	})
}

func TestWhateverRemotesDoEveryImageIsDoneOnceAndTriedTwiceAtMost(t *testing.T) {
	names := []string{"a", "b", "c", "d"}
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				f := newFarm()
				var jobs []Job
				for i := range 60 {
					var on []string
					for _, k := range random.Perm(len(names))[:1+random.IntN(len(names))] {
						on = append(on, names[k])
					}
					product := fmt.Sprintf("p%d", i)
					f.slow[product] = time.Duration(random.IntN(30)) * time.Second
					jobs = append(jobs, f.job(product, on...))
				}
				r := Runner{Parallel: map[string]int{}}
				for _, name := range names {
					r.Parallel[name] = 1 + random.IntN(4)
				}
				for range 3 { // one remote has its trouble at a time, or several
					name := names[random.IntN(len(names))]
					down := time.Duration(random.IntN(200)) * time.Second
					time.AfterFunc(time.Duration(random.IntN(60))*time.Second, func() {
						f.mu.Lock()
						defer f.mu.Unlock()
						f.down[name] = time.Now().Add(down)
					})
				}
				sum, took := f.harvest(t, r, jobs)
				times := map[string]int{}
				for name, all := range f.launched {
					if f.most[name] > r.Parallel[name] {
						t.Errorf("%d at once on %s, want at most %d", f.most[name], name, r.Parallel[name])
					}
					for _, product := range all {
						if times[product]++; times[product] > 2 {
							t.Errorf("%s was launched more than twice", product)
						}
					}
				}
				if n := count(sum, checks.Pass) + count(sum, checks.Error); n != len(jobs) || took > time.Hour {
					t.Errorf("%d of %d are decided or errors, after %s", n, len(jobs), took)
				}
				if f.deleted != f.launches() {
					t.Errorf("%d launched, %d deleted", f.launches(), f.deleted)
				}
			})
		})
	}
}

func TestARemoteThatIsBusyKeepsNobodyFromAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		_, took := f.harvest(t, Runner{}, append(f.jobs(5, "a"), f.job("other", "b")))
		if f.most["a"] != 1 || took != 5*time.Second || len(f.launched["b"]) != 1 {
			t.Errorf("%d at once, it took %s", f.most["a"], took)
		}
	})
}

func TestAnImageThatNoRemoteCanDoIsTriedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		f.fault = func(_, product string, _ int) error {
			if product == "p0" {
				return errFull
			}
			return nil
		}
		sum, _ := f.harvest(t, Runner{}, f.jobs(3, "a", "b", "c"))
		if count(sum, checks.Pass) != 2 || f.launches() != 4 {
			t.Errorf("%d passed of %d launches", count(sum, checks.Pass), f.launches())
		}
	})
}

func TestImagesThatWaitCostNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		before, most := runtime.NumGoroutine(), 0
		_, _ = f.harvest(t, Runner{Parallel: map[string]int{"a": 8}, Emit: func(e report.Event) {
			if e.Kind == report.StageStarted {
				most = max(most, runtime.NumGoroutine()-before)
			}
		}}, f.jobs(1000, "a"))
		if most > 8*4 {
			t.Errorf("%d goroutines for 8 images at once", most)
		}
	})
}

func TestPolarIsAskedForAFewPromotionsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &patient{}
		var jobs []Job
		for i := range 50 {
			job := Job{Image: report.Image{Product: fmt.Sprint("p", i)}, Nothing: "all passed earlier", Version: version(Gate{Type: "container", Check: "a", Passed: true})}
			jobs = append(jobs, job)
		}
		sum := (&Runner{Tracker: tr, Promote: true, Emit: func(report.Event) {}}).Run(t.Context(), jobs)
		if tr.promoted != 50 || tr.most > maxAsking || sum.Images[49].Promotion != report.Promoted {
			t.Errorf("%d promoted, %d at once: %+v", tr.promoted, tr.most, sum.Images[49])
		}
	})
}

// patient is a tracker that takes its time.
type patient struct {
	tracker
	mu             sync.Mutex
	now            int
	promoted, most int
}

func (p *patient) Promote(context.Context, string, polar.Version, string) error {
	p.mu.Lock()
	p.now++
	p.promoted++
	p.most = max(p.most, p.now)
	p.mu.Unlock()
	time.Sleep(time.Second)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now--
	return nil
}
