package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// settled notes that nothing of a job is left to be posted; the version may be nil. Of the
// version's last one, it has the version promoted if all has passed.
func (d *dispatch) settled(v *Version) {
	if v == nil {
		return
	}
	if d.left[v]--; d.left[v] > 0 || !d.run.Promote {
		return
	}
	if missing := v.missing(d.jobs, d.images); len(missing) > 0 {
		d.became(d.of(v), "not promoted: "+strings.Join(missing, ", "))
		return
	}
	d.out.versions = append(d.out.versions, v)
}

// of lists the version's jobs.
func (d *dispatch) of(v *Version) []int {
	var which []int
	for i, job := range d.jobs {
		if job.Version == v {
			which = append(which, i)
		}
	}
	return which
}

// promote has the version promoted, which has passed.
func (d *dispatch) promote(ctx context.Context, v *Version) {
	which := d.of(v)
	if d.out.closed != nil {
		d.unpromoted(which, d.out.closed)
		return
	}
	d.out.asking++
	d.do(func() func() {
		within, cancel := context.WithTimeout(d.out.sending, cleanUpTime)
		defer cancel()
		err := d.run.Tracker.Promote(within, v.Product, polar.Version{ID: v.ID, Serial: v.Serial}, "all checks have passed")
		return func() {
			d.out.asking--
			switch {
			case err == nil:
				d.answered()
				d.run.note(Step{Kind: Promoted, Image: d.images[which[0]].Image})
				d.became(which, report.Promoted)
			case away(err) && d.out.closed == nil:
				d.missed(ctx, err)
				d.out.versions = append(d.out.versions, v)
			default:
				d.unpromoted(which, err)
			}
		}
	})
}

// became notes in the version's images what became of it: promoted, by this run or
// another, or why not.
func (d *dispatch) became(which []int, promotion string) {
	for _, i := range which {
		d.images[i].Promotion = promotion
	}
}

// unpromoted notes that a version is not promoted whose checks have all passed.
func (d *dispatch) unpromoted(which []int, why error) {
	image := d.images[which[0]].Image
	d.warnings = append(d.warnings, fmt.Sprintf("%s %s is not promoted: %v", image.Product, image.Serial, why))
	d.became(which, "not promoted: "+why.Error())
	if d.out.closed != nil || away(why) {
		d.out.unposted++
		d.out.waiting++
	}
	if errors.Is(why, errInterrupted) {
		return // that is told in another way
	}
	for _, i := range which {
		if img := &d.images[i]; img.Verdict == checks.Pass {
			img.Verdict, img.Reason = checks.Error, img.Promotion
		}
	}
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
