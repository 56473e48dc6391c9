package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
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
