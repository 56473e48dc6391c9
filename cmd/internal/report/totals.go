package report

import (
	"slices"
	"sort"
	"time"

	"github.com/upmaru/icepak/checks"
)

// A Count counts verdicts.
type Count struct {
	Total   int `json:"total"`
	Passed  int `json:"passed"`
	Earlier int `json:"earlier"` // of those that passed: in an earlier run
	Failed  int `json:"failed"`
	Errors  int `json:"errors"`
	Skipped int `json:"skipped"`
}

// A Tally is what a run comes to in numbers.
type Tally struct {
	Images Count
	Checks Count
	// Promotions counts the versions whose promotion was asked for, Promoted
	// those of them that were promoted.
	Promotions int
	Promoted   int
}

// Promoted is an ImageResult's Promotion where the version was promoted. Where it
// was not, that may begin with notPromotedPrefix.
const (
	Promoted          = "promoted"
	notPromotedPrefix = "not promoted: "
)

// Totals counts a run's images, checks and versions.
func Totals(s Summary) Tally {
	var t Tally
	for _, image := range s.Images {
		t.Images.add(image.Verdict, nothingLaunched(image))
		for _, c := range image.Checks {
			t.Checks.add(c.Verdict, c.Earlier)
		}
	}
	for _, p := range promotions(s) {
		t.Promotions++
		if p.done {
			t.Promoted++
		}
	}
	return t
}

// A remoteCount is what a remote's images came to.
type remoteCount struct {
	name   string
	images Count
}

// byRemote counts the images of each remote that any was launched on, in the order of
// their names; nothing where there is only one.
func byRemote(s Summary) []remoteCount {
	var all []remoteCount
	for _, image := range s.Images {
		if image.Remote == "" || len(image.Stages) == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(r remoteCount) bool { return r.name == image.Remote })
		if i < 0 {
			i = len(all)
			all = append(all, remoteCount{name: image.Remote})
		}
		all[i].images.add(image.Verdict, false)
	}
	if len(all) < 2 {
		return nil
	}
	sort.Slice(all, func(i, k int) bool { return all[i].name < all[k].name })
	return all
}

func (c *Count) add(v checks.Verdict, earlier bool) {
	c.Total++
	switch v {
	case checks.Pass:
		c.Passed++
		if earlier {
			c.Earlier++
		}
	case checks.Fail:
		c.Failed++
	case checks.Skip:
		c.Skipped++
	default: // a verdict that is not known is not known
		c.Errors++
	}
}

// Verdict is the verdict of a whole from those of its parts: the first of fail,
// error, pass and skip that is among them. The verdict of nothing is skip.
func Verdict(parts []checks.Verdict) checks.Verdict {
	verdict := checks.Skip
	for _, v := range parts {
		switch v {
		case checks.Fail:
			return checks.Fail
		case checks.Skip:
		case checks.Pass:
			if verdict == checks.Skip {
				verdict = checks.Pass
			}
		default:
			verdict = checks.Error
		}
	}
	return verdict
}

// nothingLaunched tells whether the image was left alone: no stage was begun
// and none failed.
func nothingLaunched(image ImageResult) bool {
	if len(image.Stages) > 0 || image.Failed != "" {
		return false
	}
	for _, c := range image.Checks {
		if !c.Earlier && c.Verdict != checks.Skip {
			return false
		}
	}
	return image.Verdict == checks.Pass || image.Verdict == checks.Skip
}

// duration is how long the work on the image took.
func (r ImageResult) duration() time.Duration {
	var total time.Duration
	for _, st := range r.Stages {
		total += st.Duration
	}
	return total
}

// A promotion is what became of one version.
type promotion struct {
	version string
	why     string
	done    bool
	told    bool // an image's results say why not: it failed, or has the same reason
}

// promotions lists the versions whose promotion was asked for. Images of one
// version share its promotion.
func promotions(s Summary) []promotion {
	var list []promotion
	index := make(map[[2]string]int)
	for _, image := range s.Images {
		if image.Promotion == "" {
			continue
		}
		key := [2]string{image.Product, image.Serial}
		i, ok := index[key]
		if !ok {
			i = len(list)
			index[key] = i
			list = append(list, promotion{version: image.version()})
		}
		p := &list[i]
		if image.Promotion == Promoted {
			p.done = true
		} else {
			p.why = image.Promotion
		}
		p.told = p.told || image.Verdict == checks.Fail || image.Reason == image.Promotion
	}
	return list
}

// version names the image's version for people.
func (i Image) version() string {
	if i.Serial == "" {
		return i.Product
	}
	return i.Product + " " + i.Serial
}

// String names the image for people: the version, its type and its remote.
func (i Image) String() string {
	s := i.version() + " " + i.Type
	if i.Remote != "" {
		s += " on " + i.Remote
	}
	return s
}
