package report

import (
	"cmp"

	"github.com/upmaru/icepak/checks"
)

// A finding is a result in its place. Where no result says what is known of a
// check, an image or the run, such as that a check was skipped, a finding of
// the type check, image or run stands for it.
type finding struct {
	checks.Result
	image *ImageResult // nil for the run's
	check string       // empty for the image's and the run's
}

// findings lists what a run has found. There is one that did not pass where the
// run has not.
func findings(s Summary) []finding {
	var list []finding
	faults := 0
	for i := range s.Images {
		for _, f := range imageFindings(&s.Images[i]) {
			if faulty(f.Verdict) {
				faults++
			}
			list = append(list, f)
		}
	}
	if faults == 0 && faulty(s.Verdict) {
		why := "no reason is known"
		if len(s.Warnings) > 0 {
			why = s.Warnings[0]
		}
		list = append(list, finding{Result: checks.Result{Type: "run", Verdict: s.Verdict, Message: why}})
	}
	return list
}

func imageFindings(image *ImageResult) []finding {
	var list []finding
	for _, c := range image.Checks {
		explained := false
		for _, r := range c.Results {
			explained = explained || faulty(r.Verdict)
			list = append(list, finding{r, image, c.Name})
		}
		if len(c.Results) == 0 || faulty(c.Verdict) && !explained {
			list = append(list, finding{checkResult(c, image), image, c.Name})
		}
	}
	if len(image.Checks) == 0 || faulty(image.Verdict) && !faultyCheck(image.Checks) {
		why := image.Reason
		if faulty(image.Verdict) {
			why = cmp.Or(why, "no reason is known")
		}
		r := checks.Result{Type: "image", Property: doing(image.Failed), Verdict: image.Verdict, Message: why}
		list = append(list, finding{r, image, ""})
	}
	return list
}

// checkResult is the result that stands for a check without one.
func checkResult(c CheckResult, image *ImageResult) checks.Result {
	r := checks.Result{Type: "check", ID: c.Name, Title: c.Title, Verdict: c.Verdict, Message: c.Reason,
		Duration: c.Duration, Source: c.Source}
	switch {
	case c.Earlier:
		r.Message = outcomeWord(c.Verdict) + " earlier"
	case r.Message != "":
	case faulty(c.Verdict):
		r.Message = cmp.Or(image.Reason, "not evaluated")
	case c.Verdict == checks.Skip:
		r.Message = "skipped"
	}
	return r
}

// count counts findings by their verdict.
func count(list []finding) Count {
	var c Count
	for _, f := range list {
		c.add(f.Verdict, false)
	}
	return c
}

// causes are those of the finding's check, or of its image.
func (f finding) causes() []string {
	if f.image == nil {
		return nil
	}
	for _, c := range f.image.Checks {
		if c.Name == f.check && len(c.Causes) > 0 {
			return c.Causes
		}
	}
	return f.image.Causes
}

// where names the finding's place: the image and the check.
func (f finding) where() string {
	s := "icepak"
	if f.image != nil {
		s = token(f.image.String(), "image")
	}
	if f.check != "" {
		s += ": " + cut(token(f.check, "check"), nameLimit)
	}
	return s
}

// String names the finding within its place.
func (f finding) String() string {
	r := f.Result
	if r.Type == "check" && r.ID == f.check {
		r.ID, r.Title = "", ""
	}
	return label(r)
}
