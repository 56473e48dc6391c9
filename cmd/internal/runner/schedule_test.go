package runner

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

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
