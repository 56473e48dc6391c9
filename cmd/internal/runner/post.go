package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polar"
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

// reportTime bounds the handing over of a report: nothing depends on it.
const reportTime = 30 * time.Second

// postReport hands the image's report over to a Tracker that keeps such. It is for
// people who ask why, and decides nothing.
func (r *Runner) postReport(ctx context.Context, a *try) {
	if _, ok := r.Tracker.(Reports); !ok || ctx.Err() != nil {
		return
	}
	doc, err := r.document(a.res, a.watch)
	if err == nil {
		err = r.putReport(ctx, a.job, doc)
	}
	if err != nil {
		a.watch.Warn(fmt.Sprintf("the report is not posted: %v", err))
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
