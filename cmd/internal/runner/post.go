package runner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// A Tracker is Polar, as far as results are concerned.
type Tracker interface {
	// Settle brings the assessment to the verdict, pass or fail, and returns the
	// event that it took, if it took one.
	Settle(ctx context.Context, versionID, checkID, clusterID int64, instanceType, verdict string) (string, error)
	// Promote activates the product's version. It returns nil where that is active,
	// and an error where it is not or where that could not be found out.
	Promote(ctx context.Context, product string, v polar.Version, comment string) error
}

// A Reports is a Tracker that also keeps the report of what a run found out.
type Reports interface {
	// PutReport hands over the JSON report of the version as the instance type. It
	// may do nothing.
	PutReport(ctx context.Context, versionID int64, instanceType string, document []byte) error
}

var _ Reports = (*polar.Client)(nil)

// Patient is a Tracker that takes into account what is known of earlier attempts.
type Patient interface {
	// SettleAgain is Settle for a verdict that may have been sent before.
	SettleAgain(ctx context.Context, versionID, checkID, clusterID int64, instanceType, verdict string, earlier polar.Attempts) (string, error)
}

var _ Patient = (*polar.Client)(nil)

// A Version is what Polar knows of the version that jobs test. Jobs of one
// version share it.
type Version struct {
	ID      int64
	Product string // its key
	Serial  string
	Cluster int64 // the one that assessments name
	// Gates are all that must have passed before the version is promoted.
	Gates []Gate
}

// A Gate is a check that must have passed for one instance type.
type Gate struct {
	Type, Check string
	Passed      bool // earlier, so Polar says
	Failed      bool // likewise, and not passed since
}

// instanceType is Polar's name for an instance type of LXD.
func instanceType(typ string) string {
	if typ == "virtual-machine" {
		return "vm"
	}
	return "container"
}

// post has the verdicts of the checks posted that Polar tracks. Where Polar does not
// answer they wait, and the job does not.
func (r *Runner) post(ctx context.Context, job Job, res *report.ImageResult, w *Watch) {
	for i, c := range job.Checks {
		if c.Earlier && res.Checks[i].Verdict == checks.Fail {
			w.Warn(fmt.Sprintf("%s failed, but Polar keeps its earlier pass: a later run may promote this version", c.Name))
		}
	}
	p := r.newPosting(job, *res)
	if !r.posts.busy() {
		within, cancel := afterwards(ctx)
		defer cancel()
		p.send(within, settleTime)
		r.posted(p, res, w.Warn)
	}
	if len(p.left) == 0 {
		return
	}
	p.report, _ = r.document(*res, w) // else there is none
	w.Warn(fmt.Sprintf("Polar does not answer: %s", verdictsWait(len(p.left))))
	r.posts.add(ctx, p)
}

func verdictsWait(n int) string {
	if n == 1 {
		return "1 verdict waits until it does"
	}
	return fmt.Sprintf("%d verdicts wait until it does", n)
}

// posted notes in the result what became of the posting, and what that means: an
// image whose verdicts Polar does not take has not passed.
func (r *Runner) posted(p *posting, res *report.ImageResult, warn func(string)) {
	res.Checks = slices.Clone(res.Checks) // others may be reading it
	for i := range res.Checks {
		if event, ok := p.posted[i]; ok {
			res.Checks[i].Posted = event
		}
		if err := p.refused[i]; err != nil {
			r.unposted(res, i, err, warn)
		}
	}
}

// unposted notes in the result that a verdict is not posted, and why.
func (r *Runner) unposted(res *report.ImageResult, i int, err error, warn func(string)) {
	r.posts.miss()
	c := res.Checks[i]
	warn(fmt.Sprintf("the verdict of %s is not posted: %v", c.Name, err))
	if res.Verdict == checks.Pass {
		res.Verdict = checks.Error
	}
	if res.Reason == "" {
		res.Reason = fmt.Sprintf("%s %sed, which could not be posted: %v", c.Name, c.Verdict, err)
	}
}

// finish waits for Polar where verdicts wait for it, notes in the images what became
// of them, and promotes.
func (r *Runner) finish(ctx context.Context, jobs []Job, sum *report.Summary) {
	until := time.Now().Add(r.PostWait)
	if r.posts.busy() && r.PostWait > 0 && ctx.Err() == nil {
		r.Emit(report.Event{Kind: report.Warning, Time: time.Now(),
			Detail: fmt.Sprintf("Polar does not answer: it is waited for, at most %s; an interrupt ends that", r.PostWait)})
	}
	for _, p := range r.posts.finish(ctx, until) {
		r.late(p, sum)
	}
	sum.Unposted = r.posts.missed // nobody posts any more
	if r.Promote {
		sum.Warnings = append(sum.Warnings, r.promote(ctx, jobs, sum, until)...)
	}
}

// late notes what became of a posting that had to wait.
func (r *Runner) late(p *posting, sum *report.Summary) {
	i := slices.IndexFunc(sum.Images, func(img report.ImageResult) bool { return img.Image.Is(p.job.Image) })
	if i < 0 {
		return
	}
	res := &sum.Images[i]
	name := fmt.Sprintf("%s %s as a %s: ", res.Product, res.Serial, res.Type)
	warn := func(text string) { sum.Warnings = append(sum.Warnings, name+text) }
	r.posted(p, res, warn)
	for _, k := range p.left {
		r.unposted(res, k, p.why, warn)
		sum.Waiting++
	}
}

// reportTime bounds the handing over of a report: nothing depends on it.
const reportTime = 30 * time.Second

// postReport hands the image's report over to a Tracker that keeps such. It is for
// people who ask why, and decides nothing.
func (r *Runner) postReport(ctx context.Context, job Job, res report.ImageResult, w *Watch) {
	if _, ok := r.Tracker.(Reports); !ok || job.Version == nil || ctx.Err() != nil || r.posts.busy() {
		return
	}
	doc, err := r.document(res, w)
	if err == nil {
		err = r.putReport(ctx, job, doc)
	}
	if err != nil {
		w.Warn(fmt.Sprintf("the report is not posted: %v", err))
	}
}

func (r *Runner) putReport(ctx context.Context, job Job, doc []byte) error {
	reports, ok := r.Tracker.(Reports)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	err := reports.PutReport(ctx, job.Version.ID, instanceType(job.Image.Type), doc)
	if err == nil {
		r.note(Step{Kind: Reported, Image: job.Image})
	}
	return err
}
