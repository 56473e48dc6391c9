package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"slices"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// maxLine bounds a line, in bytes: a report is smaller.
const maxLine = 256 << 20

// A State is how far a run has come.
type State struct {
	Run    Run
	Images []*Progress // of the run's jobs, in their order
}

// A Progress is how far a run has come with an image.
type Progress struct {
	Job      Job
	Left     map[string]string   // remotes on which there may be an instance, and the fingerprint of the image that each has only for it
	Result   *report.ImageResult // nil: nothing was decided
	Sent     map[string]bool     // fails that were sent, by check
	Posted   map[string]string   // verdicts that are settled, by check, and the event of each
	Reported bool
	Promoted bool
}

// Decided tells whether the image needs no other run: what could not be found out may
// be found out by one.
func (p *Progress) Decided() bool {
	return p.Job.Nothing != "" || p.Result != nil && p.Result.Verdict != checks.Error
}

// Unposted lists the checks whose verdicts are still to be posted.
func (p *Progress) Unposted() []string {
	if p.Result == nil || p.Job.Version == nil {
		return nil
	}
	var left []string
	for i, c := range p.Job.Checks {
		if _, settled := p.Posted[c.Name]; !settled && runner.ForPolar(c.ID, p.Result.Checks[i]) {
			left = append(left, c.Name)
		}
	}
	return left
}

// Resumed is the job that posts what was decided and launches nothing. It has what
// promotion asks for of the checks.
func (p *Progress) Resumed() runner.Job {
	job := runner.Job{Image: p.Job.Image, Spec: p.Job.Spec, Version: p.Job.Version, Checks: p.Job.checks(), Nothing: p.Job.Nothing, Decided: p.Result}
	if p.Result == nil {
		return job
	}
	result := *p.Result
	result.Checks = slices.Clone(result.Checks)
	for i := range job.Checks {
		event, settled := p.Posted[job.Checks[i].Name]
		job.Checks[i].Settled, job.Checks[i].Sent = settled, p.Sent[job.Checks[i].Name]
		result.Checks[i].Posted = event
	}
	job.Decided, job.Owed = &result, !p.Reported
	return job
}

// Read reads a journal, and returns how many bytes of it can be relied on: a line that
// was not written whole is not, and nothing that follows one that cannot be read.
func Read(r io.Reader) (*State, int64, error) {
	lines := bufio.NewReader(io.LimitReader(r, 16*maxLine))
	first, err := lines.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	s := &State{}
	if err != nil || json.Unmarshal(first, &s.Run) != nil || s.Run.ID == "" {
		return nil, 0, errors.New("it is not a run's journal, or its first line is damaged")
	}
	s.join()
	size := int64(len(first))
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return s, size, nil
		}
		if err != nil {
			return nil, 0, err
		}
		var next entryLine
		if json.Unmarshal(line, &next) != nil || next.Kind == "" {
			return s, size, nil
		}
		s.take(next)
		size += int64(len(line))
	}
}

// replanned is what the journal itself notes: the image is planned anew, by a run that
// resumes this one.
const replanned runner.StepKind = "planned"

// An entryLine is a line but for the first.
type entryLine struct {
	runner.Step
	Job    *Job    `json:"job,omitempty"`
	Checks []Check `json:"checks,omitempty"`
}

// join has the jobs of one version share it, as those of a run do.
func (s *State) join() {
	versions := map[int64]*runner.Version{}
	for i := range s.Run.Jobs {
		job := &s.Run.Jobs[i]
		if v := job.Version; v != nil {
			if versions[v.ID] == nil {
				versions[v.ID] = v
			}
			job.Version = versions[v.ID]
		}
		s.Images = append(s.Images, newProgress(*job))
	}
}

func newProgress(job Job) *Progress {
	return &Progress{Job: job, Left: map[string]string{}, Sent: map[string]bool{}, Posted: map[string]string{}}
}

// take takes a step into account. One of an image that is not in the plan says nothing.
func (s *State) take(step entryLine) {
	if step.Kind == replanned {
		if step.Job != nil {
			s.plan(*step.Job)
		}
		return
	}
	i := s.index(step.Image)
	if i < 0 {
		return
	}
	p := s.Images[i]
	switch step.Kind {
	case runner.Launching:
		p.launch(step)
	case runner.Fetching:
		p.Left[step.Image.Remote] = step.Image.Fingerprint
	case runner.Decided:
		p.decide(step.Report)
	case runner.Sending:
		p.Sent[step.Check] = true
	case runner.Posted:
		p.Posted[step.Check] = step.Event
	case runner.Reported:
		p.Reported = true
	case runner.Cleaned:
		delete(p.Left, step.Image.Remote)
	case runner.Promoted:
		for _, other := range s.Images {
			other.Promoted = other.Promoted || other.Job.Version != nil && other.Job.Version == p.Job.Version
		}
	}
}

func (s *State) index(image report.Image) int {
	return slices.IndexFunc(s.Images, func(p *Progress) bool { return p.Job.Image.Is(image) })
}

// plan has an image planned anew, and its version be known as it is known now. What
// could not be planned before, as nothing was known of its types, is replaced.
func (s *State) plan(job Job) {
	i := s.index(job.Image)
	if i < 0 {
		whole := job.Image
		whole.Type = ""
		i = s.index(whole)
	}
	if i < 0 {
		s.Images = append(s.Images, newProgress(job))
	} else {
		s.Images[i].Job, s.Images[i].Result = job, nil
	}
	for _, other := range s.Images {
		if v := other.Job.Version; v != nil && job.Version != nil && v.ID == job.Version.ID {
			other.Job.Version = job.Version
		}
	}
}

// launch has the image be launched on a remote, where other checks may be skipped.
func (p *Progress) launch(step entryLine) {
	p.Job.Image, p.Result = step.Image, nil
	if len(step.Checks) > 0 {
		p.Job.Checks = step.Checks
	}
	if _, before := p.Left[step.Image.Remote]; !before {
		p.Left[step.Image.Remote] = ""
	}
}

// decide takes a result that has the plan's checks.
func (p *Progress) decide(doc []byte) {
	sum, err := report.ParseJSON(doc)
	if err != nil || len(sum.Images) != 1 {
		return
	}
	result := sum.Images[0]
	same := slices.EqualFunc(result.Checks, p.Job.Checks, func(a report.CheckResult, b Check) bool { return a.Name == b.Name })
	if !same {
		return
	}
	p.Result, p.Reported = &result, false
	clear(p.Sent)
	clear(p.Posted)
}
