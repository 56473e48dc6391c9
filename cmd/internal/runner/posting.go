package runner

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// A posting is the verdicts on one image on their way to Polar.
type posting struct {
	run     *Runner
	job     Job
	checks  []report.CheckResult
	left    []int          // checks that are still to be posted, by their place
	posted  map[int]string // the event that Polar took, if it took one
	refused map[int]error  // why Polar does not take a verdict
	why     error          // those left had to wait, the last time
	report  []byte         // handed over at last where the verdicts had to wait
}

// newPosting returns what of the result is for Polar: an error or a skip is no
// verdict on the image, and is never posted.
func (r *Runner) newPosting(job Job, res report.ImageResult) *posting {
	job.Checks = slices.Clone(job.Checks) // what is known of their sending changes
	p := &posting{run: r, job: job, checks: res.Checks, posted: map[int]string{}, refused: map[int]error{}}
	for i, c := range job.Checks {
		found := res.Checks[i]
		if c.ID == 0 || found.Earlier || c.Settled || found.Verdict != checks.Pass && found.Verdict != checks.Fail {
			continue
		}
		p.left = append(p.left, i)
	}
	return p
}

// send settles what is left, each within the limit, until Polar does not answer.
func (p *posting) send(ctx context.Context, limit time.Duration) {
	for len(p.left) > 0 {
		i := p.left[0]
		event, err := p.settle(ctx, i, limit)
		switch {
		case err != nil && ctx.Err() != nil:
			p.why = cmp.Or(p.why, err)
			return
		case err != nil && (polar.Away(err) || errors.Is(err, polar.ErrWrongPassword)): // which can be put right
			p.why = err
			return
		case err != nil:
			p.refused[i] = err
		default:
			p.posted[i] = event
			p.run.note(Step{Kind: Posted, Image: p.job.Image, Check: p.job.Checks[i].Name, Event: event})
		}
		p.left = p.left[1:]
	}
	if p.report != nil {
		_ = p.run.putReport(ctx, p.job, p.report) // nothing depends on it
	}
}

// settle settles one verdict. A fail that was sent, and of which no answer came, is
// known as such to whoever tries next.
func (p *posting) settle(ctx context.Context, i int, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, v, verdict := &p.job.Checks[i], p.job.Version, string(p.checks[i].Verdict)
	patient, ok := p.run.Tracker.(Patient)
	if !ok {
		return p.run.Tracker.Settle(ctx, v.ID, c.ID, v.Cluster, instanceType(p.job.Image.Type), verdict)
	}
	attempts := polar.Attempts{Sent: c.Sent}
	if verdict == polar.Fail { // a pass can be sent twice
		attempts.Sending = func() {
			if !c.Sent {
				c.Sent = true
				p.run.note(Step{Kind: Sending, Image: p.job.Image, Check: c.Name})
			}
		}
	}
	return patient.SettleAgain(ctx, v.ID, c.ID, v.Cluster, instanceType(p.job.Image.Type), verdict, attempts)
}

const (
	settleTime   = 20 * time.Second // for one verdict, while a job waits for it
	firstPause   = time.Second      // before Polar is asked again
	longestPause = 30 * time.Second
)

// A queue holds postings that wait for Polar to be back. They are tried again, one
// after another, while jobs go on.
type queue struct {
	mu      sync.Mutex
	waiting []*posting
	late    []*posting // that have waited, and wait no more
	missed  int        // verdicts that are not posted
	stop    context.CancelFunc
	ended   chan struct{} // closed when nothing waits any more, or after stop
}

// busy tells whether somebody waits for Polar already.
func (q *queue) busy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) > 0
}

// miss counts a verdict that is not posted.
func (q *queue) miss() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.missed++
}

// add puts the posting, which nobody else touches from now on, at the queue's end.
func (q *queue) add(ctx context.Context, p *posting) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, p)
	if len(q.waiting) > 1 {
		return
	}
	ctx, q.stop = context.WithCancel(context.WithoutCancel(ctx))
	q.ended = make(chan struct{})
	go q.work(ctx, q.ended)
}

// work tries the first in the queue until it is done, and then the next.
func (q *queue) work(ctx context.Context, ended chan struct{}) {
	defer close(ended)
	pause := firstPause
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		for p := q.first(); ; p = q.next() {
			if p == nil {
				return
			}
			if p.send(ctx, cleanUpTime); len(p.left) > 0 {
				break
			}
			pause = firstPause
		}
		pause = min(2*pause, longestPause)
	}
}

func (q *queue) first() *posting {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting[0]
}

// next takes the first, which is done, out of the queue, and returns the one that is
// first then, or nil.
func (q *queue) next() *posting {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.late, q.waiting = append(q.late, q.waiting[0]), q.waiting[1:]
	if len(q.waiting) == 0 {
		q.stop()
		return nil
	}
	return q.waiting[0]
}

// finish waits until nothing waits for Polar any more, at most until the time or ctx's
// end, and returns all that have waited. Nothing is posted any more then.
func (q *queue) finish(ctx context.Context, until time.Time) []*posting {
	q.mu.Lock()
	ended, stop := q.ended, q.stop
	q.mu.Unlock()
	if ended == nil {
		return nil
	}
	limit := time.NewTimer(time.Until(until))
	defer limit.Stop()
	select {
	case <-ended:
	case <-limit.C:
	case <-ctx.Done():
	}
	stop()
	<-ended
	return append(q.late, q.waiting...)
}
