// Package report turns the events of a run into what people and machines read.
package report

import (
	"time"

	"github.com/upmaru/icepak/checks"
)

// A Reporter is told of a run's events, one at a time and in order, and at
// last of its summary. It decides nothing: verdicts and exit codes are not its
// business. What could not be written is an error of Event, and of Close again,
// so that a run may go on.
type Reporter interface {
	Event(Event) error
	Close(Summary) error
}

// An Image names one version as one instance type on one remote: what a run
// launches once.
type Image struct {
	Product     string `json:"product"` // os:release:arch:variant, or what stands for it: --image's alias, --path's folder
	Serial      string `json:"serial,omitempty"`
	Type        string `json:"type"` // container, virtual-machine, or machine for --local
	Remote      string `json:"remote,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Spec        string `json:"spec,omitempty"` // the spec's file
}

// Is tells whether the other names the same image, on whatever remote.
func (i Image) Is(other Image) bool {
	return i.Product == other.Product && i.Serial == other.Serial && i.Type == other.Type
}

// A Kind says what an Event tells.
type Kind string

const (
	RunStarted   Kind = "run"      // Run; the first event of all
	ImageStarted Kind = "image"    // work on the image begins
	StageStarted Kind = "stage"    // Stage is set
	Progress     Kind = "progress" // Stage and Percent (0 where unknown), Detail; without an Image, Detail is of the run
	CheckStarted Kind = "check"    // Check is set
	ResultFound  Kind = "result"   // Check and Result
	CheckDone    Kind = "checked"  // Check and CheckResult
	Warning      Kind = "warning"  // Detail; Image may be nil
	ImageDone    Kind = "done"     // ImageResult
	Moved        Kind = "moved"    // Detail: the remote could not decide the image, which will be tried on another
)

// A Stage is a part of the work on one image.
type Stage string

const (
	Fetch    Stage = "fetch"    // the image's download and unpacking by the server
	Create   Stage = "create"   // the instance, and the probe pushed into it
	Start    Stage = "start"    //
	ReadyFor Stage = "ready"    // the guest's system and network
	Evaluate Stage = "checks"   //
	Diagnose Stage = "diagnose" // only after a failure
	Reboot   Stage = "reboot"   // where a check asks for it
	Delete   Stage = "delete"   //
	Post     Stage = "post"     // results to Polar
)

// An Event is one thing that happened.
type Event struct {
	Time    time.Time
	Kind    Kind
	Image   *Image
	Stage   Stage
	Percent int
	Detail  string
	Check   string
	Result  *checks.Result
	Checked *CheckResult
	Done    *ImageResult
	Run     *RunStart
}

// A RunStart is a run that begins, and what was asked of it. It holds no secret.
type RunStart struct {
	ID         string
	Version    string   // icepak's
	Products   []string // or patterns of them
	All        bool
	Pending    bool
	Serial     string
	Shard      string // K/N; empty: everything
	Types      []string
	Checks     []string
	Promote    bool
	Force      bool
	RequireGPU bool
	Remotes    []string // as they were named; none: the default, or Polar's clusters
	Targets    []string // members of the cluster
	Parallel   int      // images at once on each remote; 0: as it can
	FailFast   bool
	Order      string
	Keep       string
	Timeout    time.Duration // of one image
}

// A CheckResult is a check's verdict with all its results.
type CheckResult struct {
	Name   string `json:"name"`
	Title  string `json:"title,omitempty"`
	Source string `json:"source,omitempty"`
	checks.Outcome
	Results []checks.Result `json:"results,omitempty"`
	// Earlier says that the verdict is Polar's from an earlier run.
	Earlier bool `json:"earlier,omitempty"`
	// Posted is the event that Polar took for it: pass, fail, or empty.
	Posted string `json:"posted,omitempty"`
	// Causes are what the evidence says of why it failed, the likeliest first: a
	// line each, three at most.
	Causes []string `json:"causes,omitempty"`
}

// A StageTime is how long a stage took.
type StageTime struct {
	Stage    Stage         `json:"stage"`
	Duration time.Duration `json:"duration"`
}

// An ImageResult is all that was found out about one image.
type ImageResult struct {
	Image
	Verdict checks.Verdict `json:"verdict"`
	// Reason says in one line why the verdict is not a pass where no check says
	// it, or why nothing was launched.
	Reason string        `json:"reason,omitempty"`
	Failed Stage         `json:"failed_stage,omitempty"` // where it ended, if not at its end
	Causes []string      `json:"causes,omitempty"`       // as a check's, where it is no check that failed
	Checks []CheckResult `json:"checks"`
	Stages []StageTime   `json:"stages,omitempty"`
	// Kept is the instance's name where it was left running on purpose.
	Kept string `json:"kept,omitempty"`
	// Run is the id of the run, by which icepak shell finds the instance.
	Run string `json:"run,omitempty"`
	// Promotion is what became of --promote: promoted, or why not; empty where
	// it was not asked for.
	Promotion string `json:"promotion,omitempty"`
	// Diagnostics is what the guest and LXD said of a failure, bounded: the console,
	// and what the causes were read from.
	Diagnostics []Diagnostic `json:"diagnostics,omitempty"`
	// Evidence is all that was gathered of a failure, and Artifacts the folder that it
	// was written to, if any. Reports do not show it.
	Evidence  []Diagnostic `json:"-"`
	Artifacts string       `json:"artifacts,omitempty"`
}

// A Diagnostic is a piece of evidence, such as the tail of the console.
type Diagnostic struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// A Summary is a whole run.
type Summary struct {
	Verdict  checks.Verdict `json:"verdict"`
	Started  time.Time      `json:"started"`
	Duration time.Duration  `json:"duration"`
	Images   []ImageResult  `json:"images"`
	Warnings []string       `json:"warnings,omitempty"`
	Version  string         `json:"icepak_version"`
	// Unposted counts the verdicts and promotions that Polar was to be told of and was
	// not, and Waiting those of them that it may still be told of. Reports show neither:
	// warnings do.
	Unposted, Waiting int `json:"-"`
}

// An imageKey tells images apart.
type imageKey Image

// key leaves the fingerprint out, which is found out on the way.
func (i Image) key() imageKey {
	i.Fingerprint = ""
	return imageKey(i)
}
