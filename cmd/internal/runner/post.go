package runner

import (
	"context"
	"fmt"
	"strings"
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

// post sends the verdicts of the checks that Polar tracks. An error or a skip is
// no verdict on the image, and is never posted.
func (r *Runner) post(ctx context.Context, job Job, res *report.ImageResult, w *Watch) {
	ctx, cancel := afterwards(ctx)
	defer cancel()
	for i, c := range job.Checks {
		found := &res.Checks[i]
		if c.Earlier && found.Verdict == checks.Fail {
			w.Warn(fmt.Sprintf("%s failed, but Polar keeps its earlier pass: a later run may promote this version", c.Name))
		}
		if c.ID == 0 || found.Earlier || found.Verdict != checks.Pass && found.Verdict != checks.Fail {
			continue
		}
		posted, err := r.Tracker.Settle(ctx, job.Version.ID, c.ID, job.Version.Cluster, instanceType(job.Image.Type), string(found.Verdict))
		found.Posted = posted
		if err != nil {
			w.Warn(fmt.Sprintf("the verdict of %s is not posted: %v", c.Name, err))
			if res.Verdict == checks.Pass {
				res.Verdict = checks.Error
			}
			if res.Reason == "" {
				res.Reason = fmt.Sprintf("%s %sed, which could not be posted: %v", c.Name, found.Verdict, err)
			}
		}
	}
}

// reportTime bounds the handing over of a report: nothing depends on it.
const reportTime = 30 * time.Second

// postReport hands the image's report over to a Tracker that keeps such. It is for
// people who ask why, and decides nothing.
func (r *Runner) postReport(ctx context.Context, job Job, res report.ImageResult, w *Watch) {
	reports, ok := r.Tracker.(Reports)
	if !ok || job.Version == nil || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reportTime)
	defer cancel()
	doc, err := report.EncodeJSON(report.Summary{
		Verdict: res.Verdict, Started: w.began, Duration: time.Since(w.began), Images: []report.ImageResult{res}, Version: r.Version,
	})
	if err == nil {
		err = reports.PutReport(ctx, job.Version.ID, instanceType(job.Image.Type), doc)
	}
	if err != nil {
		w.Warn(fmt.Sprintf("the report is not posted: %v", err))
	}
}

// promote asks for the promotion of every version whose gates have all passed,
// and notes in the images what became of it. It returns warnings.
func (r *Runner) promote(ctx context.Context, jobs []Job, images []report.ImageResult) []string {
	var warnings []string
	done := map[*Version]bool{}
	for _, job := range jobs {
		v := job.Version
		if v == nil || done[v] {
			continue
		}
		done[v] = true
		became, err := r.promoteVersion(ctx, v, jobs, images)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s %s is not promoted: %v", job.Image.Product, job.Image.Serial, err))
		}
		for i := range jobs {
			if jobs[i].Version == v {
				images[i].Promotion = became
				if err != nil && images[i].Verdict == checks.Pass {
					images[i].Verdict, images[i].Reason = checks.Error, became
				}
			}
		}
	}
	return warnings
}

// promoteVersion returns what became of the version: promoted, by this run or
// another, or why not. An error means that Polar could not be asked or refused.
func (r *Runner) promoteVersion(ctx context.Context, v *Version, jobs []Job, images []report.ImageResult) (string, error) {
	if ctx.Err() != nil {
		return "not promoted: interrupted", nil
	}
	if missing := v.missing(jobs, images); len(missing) > 0 {
		return "not promoted: " + strings.Join(missing, ", "), nil
	}
	ctx, cancel := afterwards(ctx)
	defer cancel()
	if err := r.Tracker.Promote(ctx, v.Product, polar.Version{ID: v.ID, Serial: v.Serial}, "all checks have passed"); err != nil {
		return "not promoted: " + err.Error(), err
	}
	return report.Promoted, nil
}

// missing lists what stands in the way of the version's promotion: checks of this
// run that did not pass, and gates that this run did not look at and that have not
// passed earlier. A check that its condition skipped stands in nobody's way
// unless it is required, or has failed where the condition held.
func (v *Version) missing(jobs []Job, images []report.ImageResult) []string {
	var missing []string
	passed, tracked, seen := 0, 0, map[Gate]bool{}
	for i, job := range jobs {
		if job.Version != v {
			continue
		}
		before := len(missing)
		for k, c := range job.Checks {
			found := images[i].Checks[k]
			if found.Verdict == checks.Skip && c.Skip != "" && !c.Required {
				continue // its gate, if one is left, stands for what is known of it
			}
			seen[Gate{Type: job.Image.Type, Check: c.Name}] = true
			if found.Verdict != checks.Pass {
				missing = append(missing, fmt.Sprintf("%s (%s) %s", c.Name, job.Image.Type, outcome(found.Verdict)))
				continue
			}
			passed++
			if c.ID != 0 {
				tracked++
			}
		}
		bad := images[i].Verdict == checks.Fail || images[i].Verdict == checks.Error
		if bad && len(missing) == before {
			missing = append(missing, images[i].Reason)
		}
	}
	for _, g := range v.Gates {
		switch {
		case seen[Gate{Type: g.Type, Check: g.Check}]:
		case g.Passed:
			passed++
			tracked++
		case g.Failed:
			missing = append(missing, fmt.Sprintf("%s (%s) failed earlier", g.Check, g.Type))
		default:
			missing = append(missing, fmt.Sprintf("%s (%s) has not passed yet", g.Check, g.Type))
		}
	}
	switch {
	case len(missing) > 0:
	case passed == 0:
		missing = append(missing, "no check has passed")
	case tracked == 0: // then Polar knows of no reason, and of other types nothing
		missing = append(missing, "no check that Polar tracks has passed")
	}
	return missing
}

func outcome(v checks.Verdict) string {
	switch v {
	case checks.Fail:
		return "failed"
	case checks.Skip:
		return "was skipped"
	case checks.Pass:
		return "passed"
	}
	return "could not be found out"
}
