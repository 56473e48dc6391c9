package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

const (
	// maxAsking is how many postings and promotions Polar is asked for at once.
	maxAsking = 4
	// settleTime bounds one verdict while its image is not reported before it is posted.
	settleTime = 20 * time.Second
	// firstWait is how long Polar is left alone where it does not answer, and longestWait
	// how long at most after it did not so several times.
	firstWait, longestWait = time.Second, 30 * time.Second
)

// An outbox holds what Polar is still to be told. It is a part of a dispatch, and belongs
// to the same goroutine.
type outbox struct {
	postings []*posting
	versions []*Version // all of whose jobs are done, to be promoted if they passed

	asking   int // how many postings and promotions are under way
	away     bool
	why      error         // it is away
	pause    time.Duration // until it is asked again
	until    time.Time     // likewise
	deadline time.Time     // zero while there is something else to do
	closed   error         // why nothing is sent any more

	sending context.Context // of what is under way; it outlives the run's
	stop    context.CancelFunc

	unposted, waiting int // verdicts and promotions; see report.Summary
}

func (o *outbox) empty() bool { return len(o.postings)+len(o.versions) == 0 }

// free tells whether one more thing may be asked of Polar. While it is away, one at a
// time finds out whether it is back.
func (o *outbox) free(now time.Time) bool {
	if o.away {
		return o.asking == 0 && !now.Before(o.until)
	}
	return o.asking < maxAsking
}

// missed notes that Polar did not answer, and tells whether that is news.
func (o *outbox) missed(err error, now time.Time) bool {
	news := !o.away
	switch {
	case news:
		o.away, o.pause = true, firstWait
	case now.Before(o.until):
		return false // that was asked before the news
	default:
		o.pause = min(2*o.pause, longestWait)
	}
	o.why, o.until = err, now.Add(o.pause)
	return news
}

// wake is when the outbox has something to do next; zero for never.
func (o *outbox) wake() time.Time {
	switch {
	case !o.away || o.empty() && o.deadline.IsZero():
		return time.Time{}
	case o.asking > 0 || !o.deadline.IsZero() && o.deadline.Before(o.until):
		return o.deadline
	}
	return o.until
}

// finish has what came of a try that is not repeated posted and reported. Where Polar is
// away, it is reported at once, and its verdicts wait.
func (d *dispatch) finish(ctx context.Context, i int, a *try) {
	d.failed = d.failed || a.res.Verdict == checks.Fail
	if a.fault != nil && ctx.Err() == nil {
		d.run.noteResult(a) // that it is not tried elsewhere is known only now
	}
	p := d.run.newPosting(i, a)
	for k, c := range a.job.Checks {
		if a.began && d.run.tells(a) && c.Earlier && a.res.Checks[k].Verdict == checks.Fail {
			a.watch.Warn(fmt.Sprintf("%s failed, but Polar keeps its earlier pass: a later run may promote this version", c.Name))
		}
	}
	switch {
	case len(p.left) == 0:
		d.report(ctx, p)
	case ctx.Err() != nil:
		d.giveUp(ctx, p, errInterrupted)
	case d.out.away:
		d.wait(ctx, p)
	default:
		d.out.postings = append(d.out.postings, p)
	}
}

// report reports an image whose posting is over, or has not begun because Polar is away.
func (d *dispatch) report(ctx context.Context, p *posting) {
	a := p.try
	if !a.began && a.job.Decided == nil {
		d.run.report(ctx, a, false)
		d.done(p.index, a)
		d.settled(a.job.Version)
		return
	}
	hand := d.run.tells(a) && (a.began || a.job.Owed) && !d.out.away
	d.do(func() func() {
		p.run.report(ctx, a, hand)
		return func() {
			d.done(p.index, a)
			d.settled(a.job.Version)
		}
	})
}

// wait has the verdicts wait for Polar, and the image reported meanwhile.
func (d *dispatch) wait(ctx context.Context, p *posting) {
	p.late = true
	d.do(func() func() {
		a := p.try
		refused := p.take(&a.res, a.watch.Warn)
		p.run.report(ctx, a, false)
		p.report, _ = p.run.document(a.res, a.watch) // else there is none
		return func() {
			d.out.unposted += refused
			d.done(p.index, a)
			a.res.Evidence = nil
			d.out.postings = append(d.out.postings, p)
		}
	})
}

// post begins what can be posted now, and gives up what cannot be posted any more.
func (d *dispatch) post(ctx context.Context) {
	now := time.Now()
	if d.out.away && d.out.deadline.IsZero() && len(d.plan.queue) == 0 && d.busy == d.out.asking {
		d.out.deadline = now.Add(d.run.PostWait)
		if d.run.PostWait > 0 && ctx.Err() == nil {
			d.run.Emit(report.Event{Kind: report.Warning, Time: now,
				Detail: fmt.Sprintf("Polar does not answer: it is waited for, at most %s; an interrupt ends that", d.run.PostWait)})
		}
	}
	switch {
	case ctx.Err() != nil:
		d.closeOutbox(ctx, errInterrupted)
	case d.out.away && !d.out.deadline.IsZero() && !now.Before(d.out.deadline):
		d.closeOutbox(ctx, d.out.why)
	}
	for len(d.out.versions) > 0 && (d.out.closed != nil || d.out.free(now)) {
		v := d.out.versions[0]
		d.out.versions = d.out.versions[1:]
		d.promote(ctx, v)
	}
	for len(d.out.postings) > 0 && d.out.free(now) {
		p := d.out.postings[0]
		d.out.postings = d.out.postings[1:]
		d.send(ctx, p)
	}
}

// closeOutbox gives up what waits. What is under way is given up too where Polar is away.
func (d *dispatch) closeOutbox(ctx context.Context, why error) {
	d.out.closed = why
	if d.out.away {
		d.out.stop()
	}
	for _, p := range d.out.postings {
		d.giveUp(ctx, p, why)
	}
	d.out.postings = nil
}

// send posts verdicts, and reports their image unless it is reported already.
func (d *dispatch) send(ctx context.Context, p *posting) {
	a := p.try
	hand := a.began || a.job.Owed
	d.out.asking++
	d.do(func() func() {
		refused := 0
		if p.late {
			p.send(d.out.sending, cleanUpTime)
		} else {
			a.watch.Begin(report.Post)
			within, cancel := context.WithTimeout(d.out.sending, cleanUpTime)
			defer cancel()
			if p.send(within, settleTime); len(p.left) == 0 {
				refused = p.take(&a.res, a.watch.Warn)
				p.run.report(ctx, a, hand)
			}
			a.watch.end()
		}
		return func() {
			d.out.asking--
			d.out.unposted += refused
			d.sent(ctx, p)
		}
	})
}

// sent deals with what became of a posting.
func (d *dispatch) sent(ctx context.Context, p *posting) {
	switch {
	case len(p.left) == 0:
		d.answered()
		if p.late {
			d.out.unposted += p.take(&d.images[p.index], d.lateWarn(p))
		} else {
			d.done(p.index, p.try)
		}
		d.settled(p.try.job.Version)
	case d.out.closed != nil:
		d.giveUp(ctx, p, d.out.closed)
	default:
		d.missed(ctx, p.why)
		if p.late {
			d.out.postings = append(d.out.postings, p)
		} else {
			d.wait(ctx, p)
		}
	}
}

// answered notes that Polar is there.
func (d *dispatch) answered() {
	if d.out.away {
		d.out.away = false
		d.warn(report.Warning, nil, "Polar answers again")
	}
}

// missed notes that Polar did not answer. Images that were to be reported after their
// verdicts are posted are reported before.
func (d *dispatch) missed(ctx context.Context, err error) {
	if !d.out.missed(err, time.Now()) {
		return
	}
	d.warn(report.Warning, nil, fmt.Sprintf("Polar does not answer, and verdicts wait until it does: %v", err))
	early := d.out.postings
	d.out.postings = nil
	for _, p := range early {
		if p.late {
			d.out.postings = append(d.out.postings, p)
		} else {
			d.wait(ctx, p)
		}
	}
}

// giveUp notes that verdicts are not posted by this run.
func (d *dispatch) giveUp(ctx context.Context, p *posting, why error) {
	n := 0
	if p.late {
		n = p.giveUp(&d.images[p.index], why, d.lateWarn(p))
		d.settled(p.try.job.Version)
	} else {
		d.out.unposted += p.take(&p.try.res, p.try.watch.Warn)
		n = p.giveUp(&p.try.res, why, p.try.watch.Warn)
		d.report(ctx, p)
	}
	d.out.unposted += n
	d.out.waiting += n
}

// lateWarn warns of an image that is reported already.
func (d *dispatch) lateWarn(p *posting) func(string) {
	return func(detail string) {
		image := p.try.res.Image
		d.warn(report.Warning, &image, fmt.Sprintf("%s: %s", image, detail))
	}
}
