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

// promote asks for the promotion of every version whose gates have all passed,
// and notes in the images what became of it. It returns warnings.
// Where Polar does not answer, it is asked again until the time.
func (r *Runner) promote(ctx context.Context, jobs []Job, sum *report.Summary, until time.Time) []string {
	var warnings []string
	images := sum.Images
	done := map[*Version]bool{}
	for _, job := range jobs {
		v := job.Version
		if v == nil || done[v] {
			continue
		}
		done[v] = true
		became, err := r.promoteVersion(ctx, v, jobs, images)
		for pause := firstPause; err != nil && polar.Away(err) && time.Now().Add(pause).Before(until) && sleep(ctx, pause); pause = min(2*pause, longestPause) {
			became, err = r.promoteVersion(ctx, v, jobs, images)
		}
		switch {
		case became == report.Promoted:
			r.note(Step{Kind: Promoted, Image: job.Image})
		case err != nil && polar.Away(err):
			sum.Unposted++
			sum.Waiting++
		}
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

// sleep waits, and tells whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
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
