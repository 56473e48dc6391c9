package journal

import (
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// A Run is what the first line says of a run.
type Run struct {
	ID       string    `json:"run"`
	Started  time.Time `json:"started"`
	Version  string    `json:"icepak_version"`
	Host     string    `json:"host"`
	Dir      string    `json:"dir"`                // where it was started
	Args     []string  `json:"args"`               // of icepak, without secrets
	Endpoint string    `json:"endpoint,omitempty"` // Polar's, where Polar is told
	Feed     bool      `json:"feed,omitempty"`     // images are from another feed than the testing channel's
	Promote  bool      `json:"promote,omitempty"`
	Jobs     []Job     `json:"jobs"`
}

// A Job is what has to be known of a job to finish it when it is decided.
type Job struct {
	Image   report.Image    `json:"image"`
	Spec    string          `json:"spec_text,omitempty"` // see runner.Job
	Version *runner.Version `json:"version,omitempty"`
	Checks  []Check         `json:"checks"`
	Nothing string          `json:"nothing,omitempty"`
}

// A Check is a check of a job.
type Check struct {
	Name     string `json:"name"`
	ID       int64  `json:"id,omitempty"` // Polar's
	Skip     string `json:"skip,omitempty"`
	Required bool   `json:"required,omitempty"`
	Unknown  bool   `json:"unknown,omitempty"`
	Earlier  bool   `json:"earlier,omitempty"`
	Again    bool   `json:"again,omitempty"`
}

// JobOf is what is kept of a job.
func JobOf(j runner.Job) Job {
	return Job{Image: j.Image, Spec: j.Spec, Version: j.Version, Nothing: j.Nothing, Checks: checksOf(j.Checks)}
}

func checksOf(all []runner.Check) []Check {
	var kept []Check
	for _, c := range all {
		kept = append(kept, Check{Name: c.Name, ID: c.ID, Skip: c.Skip, Required: c.Required, Unknown: c.Unknown, Earlier: c.Earlier, Again: c.Again})
	}
	return kept
}

// checks are the job's, as far as they are known.
func (j Job) checks() []runner.Check {
	var all []runner.Check
	for _, c := range j.Checks {
		all = append(all, runner.Check{
			Check: checks.Check{Name: c.Name, Skip: c.Skip}, ID: c.ID,
			Required: c.Required, Unknown: c.Unknown, Earlier: c.Earlier, Again: c.Again,
		})
	}
	return all
}
