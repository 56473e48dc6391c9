package runner

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// A dispatch is one run's work: it launches jobs as the schedule says. All of its
// fields belong to one goroutine; jobs have goroutines of their own only while they
// are under way.
type dispatch struct {
	run      Runner // its Emit is locked
	jobs     []Job
	images   []report.ImageResult
	plan     *schedule
	first    map[int]*try     // of jobs that are to be tried again
	left     map[*Version]int // jobs of the version that are not done, or not posted
	out      outbox           // what Polar is to be told
	failed   bool             // an image has
	warnings []string
	count    struct{ done, failed, errors int }

	ended chan func() // what is to be done once something under way has ended
	busy  int         // how much is under way
}

func newDispatch(r *Runner, jobs []Job) *dispatch {
	d := &dispatch{
		run: *r, jobs: jobs, images: make([]report.ImageResult, len(jobs)), plan: newSchedule(jobs, r.Parallel),
		first: map[int]*try{}, left: map[*Version]int{}, ended: make(chan func()),
	}
	var mu sync.Mutex
	d.run.Emit = func(e report.Event) {
		mu.Lock()
		defer mu.Unlock()
		r.Emit(e)
	}
	for _, job := range jobs {
		if job.Version != nil {
			d.left[job.Version]++
		}
	}
	return d
}

// carryOut carries all jobs out.
func (d *dispatch) carryOut(ctx context.Context) {
	d.out.sending, d.out.stop = context.WithCancel(context.WithoutCancel(ctx))
	defer d.out.stop()
	for i, job := range d.jobs {
		if job.settled() {
			d.finish(ctx, i, d.run.try(ctx, job))
		}
	}
	interrupted := ctx.Done()
	for {
		d.launch(ctx)
		d.post(ctx)
		if d.busy == 0 && len(d.plan.queue) == 0 && d.out.empty() {
			return
		}
		var alarm <-chan time.Time
		if at := earlier(d.plan.wake(), d.out.wake()); !at.IsZero() {
			alarm = time.After(time.Until(at))
		}
		select {
		case then := <-d.ended:
			d.busy--
			then()
		case <-alarm:
		case <-interrupted:
			interrupted = nil // what is under way ends by itself
		}
	}
}

// earlier is the first of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// do has work done on a goroutine of its own; what that returns is done here.
func (d *dispatch) do(work func() (then func())) {
	d.busy++
	go func() { d.ended <- work() }()
}

// launch begins what can be begun, and reports what cannot be begun any more.
func (d *dispatch) launch(ctx context.Context) {
	switch {
	case ctx.Err() != nil:
		d.drop(ctx, d.plan.all(), checks.Error, errNotBegun)
		return
	case d.failed && d.run.FailFast:
		d.drop(ctx, d.plan.all(), checks.Skip, errFailFast)
		return
	}
	d.drop(ctx, d.plan.stranded(), checks.Error, errNoRemote)
	for _, l := range d.plan.due(time.Now()) {
		d.knock(ctx, l)
	}
	for {
		e, l := d.plan.next()
		if e == nil {
			return
		}
		d.begin(ctx, e, l)
	}
}

// begin launches a job on a lane.
func (d *dispatch) begin(ctx context.Context, e *entry, l *lane) {
	job, err := d.jobs[e.job].on(l.name)
	if err != nil {
		job.Err = err
	}
	run := d.run // its methods have pointers
	d.do(func() func() {
		a := run.try(ctx, job)
		return func() {
			d.plan.leave(e, l)
			switch {
			case a.fault == nil:
				if a.res.Verdict != checks.Error {
					d.plan.well(l)
				}
				d.finish(ctx, e.job, a)
			case d.retry(e, l, a.fault):
				d.first[e.job] = a
				d.warn(report.Moved, &job.Image, fmt.Sprintf("%s is not decided, and is tried once more elsewhere or later: %v", job.Image, a.fault))
			default:
				d.finish(ctx, e.job, a)
			}
		}
	})
}

// retry deals with a remote's fault, and puts the job back where it may be tried again.
func (d *dispatch) retry(e *entry, l *lane, fault *RemoteFault) bool {
	if fault.Full && d.plan.shrink(l) {
		d.warn(report.Warning, nil, fmt.Sprintf("%s has room for %d at once and no more", l.name, l.limit))
		d.plan.again(e)
		return true
	}
	again := d.plan.elsewhere(e, l)
	if again {
		e.failed = l
		d.plan.again(e)
	}
	if d.plan.fault(l, time.Now()) {
		d.tellClosed(l, fault)
	}
	return again
}

func (d *dispatch) tellClosed(l *lane, why error) {
	switch {
	case len(d.plan.queue) == 0: // then it is no news
	case l.lost():
		d.warn(report.Warning, nil, fmt.Sprintf("%s is given up, after %d failures in a row: %v", cmp.Or(l.name, "the remote"), l.faults, why))
	default:
		d.warn(report.Warning, nil, fmt.Sprintf("%s gets no new images for %s: %v", cmp.Or(l.name, "the remote"), firstPause<<(l.faults-1), why))
	}
}

// knock finds out whether the remote is well again.
func (d *dispatch) knock(ctx context.Context, l *lane) {
	run := d.run
	d.do(func() func() {
		err := run.alive(ctx, l.name)
		return func() {
			d.plan.reopen(l, err == nil, time.Now())
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				d.tellClosed(l, err)
			} else {
				d.warn(report.Warning, nil, l.name+" gets images again")
			}
		}
	})
}

// drop reports jobs that are not begun, or not once more.
func (d *dispatch) drop(ctx context.Context, all []*entry, v checks.Verdict, why error) {
	for _, e := range all {
		a, tried := d.first[e.job]
		if tried {
			d.finish(ctx, e.job, a)
			continue
		}
		job := d.jobs[e.job]
		a = &try{job: job, res: report.ImageResult{Image: job.Image}, watch: newWatch(d.run.Emit, job.Image)}
		a.watch.emit(report.Event{Kind: report.ImageStarted})
		a.undecided(v, why)
		d.finish(ctx, e.job, a)
	}
}

// done takes what came of a job. What is big of it was written or shown by now.
func (d *dispatch) done(i int, a *try) {
	delete(d.first, i)
	job, res := a.job, a.res
	res.Evidence, job.Host, job.Place = nil, nil, nil
	d.jobs[i], d.images[i] = job, res
	d.tell(res.Verdict)
}

// tell counts a verdict, and tells how far the run has come where it has several images.
func (d *dispatch) tell(v checks.Verdict) {
	d.count.done++
	switch v {
	case checks.Fail:
		d.count.failed++
	case checks.Error:
		d.count.errors++
	}
	if len(d.jobs) < 2 {
		return
	}
	said := fmt.Sprintf("%d of %d images done", d.count.done, len(d.jobs))
	if d.count.failed > 0 {
		said += fmt.Sprintf(", %d failed", d.count.failed)
	}
	if d.count.errors > 0 {
		said += fmt.Sprintf(", %d could not be decided", d.count.errors)
	}
	d.run.Emit(report.Event{Time: time.Now(), Kind: report.Progress, Detail: said})
}

func (d *dispatch) warn(kind report.Kind, image *report.Image, detail string) {
	d.warnings = append(d.warnings, detail)
	d.run.Emit(report.Event{Time: time.Now(), Kind: kind, Image: image, Detail: detail})
}
