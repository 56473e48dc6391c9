package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/probe"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// A farm is remotes whose guests take a second each, and which can be made to fail.
type farm struct {
	mu       sync.Mutex
	launched map[string][]string // products, by remote
	running  map[string]int
	most     map[string]int
	fault    func(remote, product string, running int) error // of a launch; nil: none
	slow     map[string]time.Duration                        // of products
	down     map[string]time.Time                            // remotes, and until when
	fails    string                                          // a product whose check fails
	deleted  int
}

func newFarm() *farm {
	return &farm{launched: map[string][]string{}, running: map[string]int{}, most: map[string]int{}, slow: map[string]time.Duration{}, down: map[string]time.Time{}}
}

// job is one of the product that may be launched on the remotes.
func (f *farm) job(product string, remotes ...string) Job {
	j := Job{
		Image: report.Image{Product: product, Type: "container", Remote: remotes[0]}, Timeout: 15 * time.Minute,
		Checks:  []Check{{Check: checks.Check{Name: "a"}, ID: 1, Again: true}},
		Remotes: remotes,
	}
	j.Place = func(remote string) (Job, error) {
		placed := j
		placed.Image.Remote = remote
		placed.Host = &stall{f, remote, product}
		return placed, nil
	}
	return j
}

func (f *farm) jobs(n int, remotes ...string) []Job {
	var all []Job
	for i := range n {
		all = append(all, f.job(fmt.Sprintf("p%d", i), remotes...))
	}
	return all
}

func (f *farm) alive(_ context.Context, remote string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Now().Before(f.down[remote]) {
		return fmt.Errorf("%s does not answer", remote)
	}
	return nil
}

// A stall is a place on a farm's remote: a host and its guest.
type stall struct {
	*farm
	remote, product string
}

func (s *stall) Launch(ctx context.Context, w *Watch, _ Before) (Guest, error) {
	w.Begin(report.Create)
	s.mu.Lock()
	s.launched[s.remote] = append(s.launched[s.remote], s.product)
	s.running[s.remote]++
	s.most[s.remote] = max(s.most[s.remote], s.running[s.remote])
	running, down := s.running[s.remote], time.Now().Before(s.down[s.remote])
	s.mu.Unlock()
	if down {
		return s, fmt.Errorf("create the instance: %w", io.ErrUnexpectedEOF)
	}
	if s.fault != nil {
		if err := s.fault(s.remote, s.product, running); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *stall) Probe(ctx context.Context, plan []byte, out Events) error {
	select {
	case <-time.After(max(time.Second, s.slow[s.product])):
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	down := time.Now().Before(s.down[s.remote])
	s.mu.Unlock()
	if down {
		return &lxd.UnreachableError{Remote: s.remote, Err: errors.New("refused")}
	}
	verdict := "pass"
	if s.product == s.fails {
		verdict = "fail"
	}
	return forge(
		`{"event":"hello","protocol":`+fmt.Sprint(probe.Protocol)+`}`,
		`{"event":"result","check":"a","result":{"verdict":"`+verdict+`"}}`,
		`{"event":"checked","check":"a","outcome":{"verdict":"`+verdict+`","passed":1,"total":1}}`,
	)(ctx, plan, out)
}

func (s *stall) Diagnose(context.Context, *Watch) []report.Diagnostic { return nil }
func (s *stall) Keep(context.Context) (string, error)                 { return "", nil }
func (s *stall) Delete(context.Context, *Watch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[s.remote]--
	s.deleted++
	return nil
}

// harvest runs the jobs on the farm in a time of its own.
func (f *farm) harvest(t *testing.T, r Runner, jobs []Job) (report.Summary, time.Duration) {
	t.Helper()
	var mu sync.Mutex
	emit := r.Emit
	r.Emit = func(e report.Event) {
		if !mu.TryLock() {
			t.Error("two events at a time")
			return
		}
		defer mu.Unlock()
		if emit != nil {
			emit(e)
		}
	}
	r.Alive = f.alive
	began := time.Now()
	sum := r.Run(t.Context(), jobs)
	for remote, n := range f.running {
		if n != 0 {
			t.Errorf("%d guests are left on %s", n, remote)
		}
	}
	if len(sum.Images) != len(jobs) {
		t.Errorf("%d results of %d jobs", len(sum.Images), len(jobs))
	}
	for i, image := range sum.Images {
		if image.Product != jobs[i].Image.Product {
			t.Errorf("result %d is %s, want %s", i, image.Product, jobs[i].Image.Product)
		}
	}
	return sum, time.Since(began)
}

func (f *farm) launches() int {
	n := 0
	for _, all := range f.launched {
		n += len(all)
	}
	return n
}

// count counts the images with the verdict.
func count(sum report.Summary, v checks.Verdict) int {
	n := 0
	for _, image := range sum.Images {
		if image.Verdict == v {
			n++
		}
	}
	return n
}

func TestNoRemoteHasMoreThanItsShareAndNoneIdles(t *testing.T) {
	for _, tt := range []struct {
		name     string
		parallel map[string]int
		remotes  []string
		seconds  int
	}{
		{"one at a time where nothing is said", nil, []string{"a"}, 24},
		{"three at once", map[string]int{"a": 3}, []string{"a"}, 8},
		{"two remotes", map[string]int{"a": 3, "b": 1}, []string{"a", "b"}, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm()
				sum, took := f.harvest(t, Runner{Parallel: tt.parallel}, f.jobs(24, tt.remotes...))
				if sum.Verdict != checks.Pass || f.launches() != 24 {
					t.Errorf("%s, %d launches", sum.Verdict, f.launches())
				}
				for _, remote := range tt.remotes {
					if want := max(1, tt.parallel[remote]); f.most[remote] != want {
						t.Errorf("%d at once on %s, want %d", f.most[remote], remote, want)
					}
				}
				if took != time.Duration(tt.seconds)*time.Second {
					t.Errorf("it took %s, want %d s", took, tt.seconds)
				}
			})
		})
	}
}

func TestTheLongestBeginFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		jobs := f.jobs(4, "a")
		for i, seconds := range []int{0, 5, 9, 5} {
			jobs[i].Expected = time.Duration(seconds) * time.Second
		}
		f.harvest(t, Runner{}, jobs)
		if got := strings.Join(f.launched["a"], " "); got != "p2 p1 p3 p0" {
			t.Errorf("launched %s", got)
		}
	})
}

func TestOnlyOneOfThoseThatAreToBeAloneIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		jobs := f.jobs(4, "a")
		jobs[0].Alone, jobs[1].Alone = true, true
		f.harvest(t, Runner{Parallel: map[string]int{"a": 4}}, jobs)
		if got := f.launched["a"]; got[len(got)-1] != "p1" || f.most["a"] != 3 {
			t.Errorf("launched %v, %d at once", got, f.most["a"])
		}
	})
}

// full is what LXD says of a project's limit.
var errFull = errors.New(`create the instance: Reached maximum number of instances of type "container" in project "p"`)

func TestImagesOfARemoteThatFailsMoveToAnother(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ready func(f *farm)
		says  string
		onA   int // launches there at most
	}{
		{"it is full", func(f *farm) {
			f.fault = func(remote, _ string, _ int) error {
				if remote == "a" {
					return errFull
				}
				return nil
			}
		}, "a is full", 4},
		{"it is gone from the first", func(f *farm) { f.down["a"] = time.Now().Add(time.Hour) }, "a did not answer", 2},
		{"it goes while images are under way", func(f *farm) {
			f.fault = func(string, string, int) error {
				f.mu.Lock()
				defer f.mu.Unlock()
				if len(f.launched["a"]) == 4 {
					f.down["a"] = time.Now().Add(time.Hour)
				}
				return nil
			}
		}, "a did not answer", 4},
		{"it is too slow", func(f *farm) {
			f.fault = func(remote, _ string, _ int) error {
				if remote != "a" {
					return nil
				}
				time.Sleep(16 * time.Minute)
				return context.DeadlineExceeded
			}
		}, "a is too slow", 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm()
				tt.ready(f)
				var moved []string
				var done int
				sum, _ := f.harvest(t, Runner{Parallel: map[string]int{"a": 2, "b": 2}, Emit: func(e report.Event) {
					switch e.Kind {
					case report.Moved:
						moved = append(moved, e.Detail)
					case report.ImageDone:
						done++
					}
				}}, f.jobs(20, "a", "b"))
				if sum.Verdict != checks.Pass || done != 20 {
					t.Errorf("%s, %d done; launched %v", sum.Verdict, done, f.launched)
				}
				if len(moved) == 0 || !slices.ContainsFunc(sum.Warnings, func(w string) bool { return strings.Contains(w, tt.says) }) {
					t.Errorf("moved %q, warnings %q", moved, sum.Warnings)
				}
				if got := len(f.launched["a"]); got > tt.onA {
					t.Errorf("%d launches on the one that fails, want at most %d", got, tt.onA)
				}
			})
		})
	}
}

func TestAFullRemoteTakesAsManyAsFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		f.fault = func(_, _ string, running int) error {
			if running > 3 {
				return errFull
			}
			return nil
		}
		sum, _ := f.harvest(t, Runner{Parallel: map[string]int{"a": 5}}, f.jobs(12, "a"))
		if sum.Verdict != checks.Pass {
			t.Errorf("%s: %q", sum.Verdict, sum.Warnings)
		}
	})
}

func TestARemoteThatComesBackGetsImagesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		f.fault = func(string, string, int) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.launched["a"]) == 3 && f.down["a"].IsZero() {
				f.down["a"] = time.Now().Add(20 * time.Second) // longer than the first pause
			}
			return nil
		}
		sum, took := f.harvest(t, Runner{}, f.jobs(6, "a"))
		// What was under way has nowhere else to go; all that waited is done.
		if count(sum, checks.Pass) != 5 || count(sum, checks.Error) != 1 || took > 2*time.Minute {
			t.Errorf("%d passed, %d errors, in %s: %q", count(sum, checks.Pass), count(sum, checks.Error), took, sum.Warnings)
		}
	})
}

func TestWhenAllRemotesAreGoneTheRestAreErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		f.down["a"], f.down["b"] = time.Now().Add(time.Hour), time.Now().Add(time.Hour)
		sum, took := f.harvest(t, Runner{Parallel: map[string]int{"a": 2, "b": 2}}, f.jobs(100, "a", "b"))
		if count(sum, checks.Error) != 100 || took > 5*time.Minute || f.launches() > 8 {
			t.Errorf("%d errors after %s and %d launches", count(sum, checks.Error), took, f.launches())
		}
		if got := sum.Images[99].Reason; !strings.Contains(got, "every remote that could run it is gone") {
			t.Errorf("it says %q", got)
		}
	})
}

func TestAFailIsNeverTriedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm()
		f.fails = "p0"
		f.fault = func(_, product string, _ int) error {
			if product == "p1" {
				return &ImageFault{Reason: "no init, no space left"}
			}
			if product == "p2" {
				return errors.New("the spec asks for a profile that there is not")
			}
			return nil
		}
		sum, _ := f.harvest(t, Runner{}, f.jobs(3, "a", "b"))
		if count(sum, checks.Fail) != 2 || count(sum, checks.Error) != 1 || f.launches() != 3 || len(sum.Warnings) > 0 {
			t.Errorf("%d fails, %d launches, %q", count(sum, checks.Fail), f.launches(), sum.Warnings)
		}
	})
}

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
