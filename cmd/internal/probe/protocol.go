// Package probe is what host and guest agree on: the plan that goes in on the
// probe's standard input, the events that come out, one JSON object a line, and
// the program that turns the one into the other.
package probe

import (
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/collect"
)

// Protocol is the version of plan and events. Host and probe refuse another.
const Protocol = 3

// A Plan is all that the probe is asked to do.
type Plan struct {
	Protocol int `json:"protocol"`
	// Token comes back in every event, so that nothing else that writes to the
	// probe's output can pass for one.
	Token  string         `json:"token"`
	Ready  checks.Ready   `json:"ready"`
	Checks []checks.Check `json:"checks"`
	// Host is what the host knows of the guest.
	Host checks.HostFacts `json:"host,omitzero"`
	// Describe are resources to be described, and Find names to be looked for.
	Describe []checks.Item `json:"describe,omitempty"`
	Find     []string      `json:"find,omitempty"`
	// Collect has the probe gather what tells why something failed, and nothing else.
	Collect *collect.Wanted `json:"collect,omitempty"`
	// Timeout is when the probe gives up, whatever it is doing.
	Timeout time.Duration `json:"timeout"`
	// Blame says that it is the guest's fault where that comes: it had most of the
	// run's time.
	Blame bool `json:"blame,omitempty"`
}

// A Kind says what an Event tells.
type Kind string

const (
	Hello     Kind = "hello"     // the probe runs: Protocol and Arch
	Ready     Kind = "ready"     // the guest is ready: Ready
	NotReady  Kind = "not-ready" // it does not get there: Detail; End follows
	Check     Kind = "check"     // Check begins
	Result    Kind = "result"    // of Check: Result
	Checked   Kind = "checked"   // Check is done: Outcome
	Evidence  Kind = "evidence"  // of a failure: Check is what it is, Detail its text
	Described Kind = "described" // one of the plan's Describe or Find is: Answer
	Broken    Kind = "broken"    // the probe itself cannot go on: Detail; nothing follows
	End       Kind = "end"       // all has been said
)

// An Event is a line of the probe's output.
type Event struct {
	Token    string              `json:"token"`
	Kind     Kind                `json:"event"`
	Protocol int                 `json:"protocol,omitempty"`
	Arch     string              `json:"arch,omitempty"`
	Check    string              `json:"check,omitempty"`
	Ready    *checks.ReadyReport `json:"ready,omitempty"`
	Result   *checks.Result      `json:"result,omitempty"`
	Outcome  *checks.Outcome     `json:"outcome,omitempty"`
	Answer   *Answer             `json:"answer,omitempty"`
	Detail   string              `json:"detail,omitempty"`
}

// An Answer is what there is to say of one thing that was asked for.
type Answer struct {
	Nth   int                  `json:"nth"` // of the plan's Describe, and after those of its Find
	Found []checks.Description `json:"found,omitempty"`
	Error string               `json:"error,omitempty"` // why it could not be found out
}

const (
	maxPlan = 64 << 20 // bytes of a plan
	maxLine = 4 << 20  // bytes of an event
	maxSaid = 64 << 20 // bytes of all events of a probe
)
