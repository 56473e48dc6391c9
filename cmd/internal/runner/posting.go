package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// A posting is the verdicts on one image on their way to Polar.
type posting struct {
	run     *Runner
	index   int // the job's
	try     *try
	checks  []Check              // the job's; what is known of their sending changes
	found   []report.CheckResult // what came of them
	left    []int                // those that are still to be posted
	posted  map[int]string       // the event that Polar took, if it took one
	refused map[int]error        // why Polar does not take a verdict
	why     error                // those left had to wait, the last time
	late    bool                 // the image is reported by now
	report  []byte               // of the image, which Polar gets after the verdicts; or nil
}

// newPosting returns what of a try is for Polar, and not settled yet.
func (r *Runner) newPosting(index int, a *try) *posting {
	p := &posting{run: r, index: index, try: a, checks: slices.Clone(a.job.Checks), found: a.res.Checks, posted: map[int]string{}, refused: map[int]error{}}
	if !r.tells(a) {
		return p
	}
	for i, c := range a.job.Checks {
		if !c.Settled && ForPolar(c.ID, a.res.Checks[i]) {
			p.left = append(p.left, i)
		}
	}
	return p
}

// ForPolar tells whether what came of a check is for Polar, which tracks it by the id: an
// error or a skip is no verdict on the image, and is never posted.
func ForPolar(id int64, found report.CheckResult) bool {
	return id != 0 && !found.Earlier && (found.Verdict == checks.Pass || found.Verdict == checks.Fail)
}

// tells tells whether Polar is told what came of the try.
func (r *Runner) tells(a *try) bool {
	return r.Tracker != nil && a.job.Version != nil && (a.began || a.job.Decided != nil)
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
		case err != nil && away(err):
			p.why = err
			return
		case err != nil:
			p.refused[i] = err
		default:
			p.posted[i] = event
			p.run.note(Step{Kind: Posted, Image: p.try.res.Image, Check: p.checks[i].Name, Event: event})
		}
		p.left = p.left[1:]
	}
	if p.report != nil {
		_ = p.run.putReport(ctx, p.try.job, p.report) // nothing depends on it
	}
}

// away tells whether err says that Polar may take later what it did not take now. A
// password can be put right.
func away(err error) bool { return polar.Away(err) || errors.Is(err, polar.ErrWrongPassword) }

// settle settles one verdict. A fail that was sent, and of which no answer came, is
// known as such to whoever tries next.
func (p *posting) settle(ctx context.Context, i int, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	image, v := p.try.res.Image, p.try.job.Version
	c, verdict := &p.checks[i], string(p.found[i].Verdict)
	patient, ok := p.run.Tracker.(Patient)
	if !ok {
		return p.run.Tracker.Settle(ctx, v.ID, c.ID, v.Cluster, instanceType(image.Type), verdict)
	}
	attempts := polar.Attempts{Sent: c.Sent}
	if verdict == polar.Fail { // a pass can be sent twice
		attempts.Sending = func() {
			if !c.Sent {
				c.Sent = true
				p.run.note(Step{Kind: Sending, Image: image, Check: c.Name})
			}
		}
	}
	return patient.SettleAgain(ctx, v.ID, c.ID, v.Cluster, instanceType(image.Type), verdict, attempts)
}

// take notes in the result what became of the verdicts since it was last asked, and
// returns how many Polar refused.
func (p *posting) take(res *report.ImageResult, warn func(string)) int {
	res.Checks = slices.Clone(res.Checks) // others may be reading it
	for i, event := range p.posted {
		res.Checks[i].Posted = event
	}
	refused := len(p.refused)
	for i := range res.Checks {
		if err := p.refused[i]; err != nil {
			warn(fmt.Sprintf("the verdict of %s is not posted: %v", res.Checks[i].Name, err))
			unposted(res, i, err)
		}
	}
	clear(p.posted)
	clear(p.refused)
	return refused
}

// giveUp notes in the result that what is left is not posted, and returns how much that is.
func (p *posting) giveUp(res *report.ImageResult, why error, warn func(string)) int {
	n := len(p.left)
	why = cmp.Or(p.why, why)
	warn(fmt.Sprintf("%s not posted: %v", verdictsAre(n), why))
	res.Checks = slices.Clone(res.Checks)
	for _, i := range p.left {
		unposted(res, i, why)
	}
	p.left = nil
	return n
}

func verdictsAre(n int) string {
	if n == 1 {
		return "1 verdict is"
	}
	return fmt.Sprintf("%d verdicts are", n)
}

// unposted has the result say that a verdict is not posted: an image whose verdicts Polar
// does not have has not passed.
func unposted(res *report.ImageResult, i int, err error) {
	c := res.Checks[i]
	if res.Verdict == checks.Pass {
		res.Verdict = checks.Error
	}
	if res.Reason == "" {
		res.Reason = fmt.Sprintf("%s %sed, which could not be posted: %v", c.Name, c.Verdict, err)
	}
}
