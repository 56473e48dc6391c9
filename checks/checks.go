// Package checks holds the resource types of a spec and evaluates them on the
// machine that it runs on: in the guest, as part of the probe, or locally.
//
// A Check is a named group of items. An Item is a Resource together with its
// type, its id and the place in the spec that it came from. Evaluating an item
// gives one Result for each property that the spec asserts.
package checks

import (
	"cmp"
	"context"
	"time"
)

// A Verdict is the outcome of a property, a check or an image.
type Verdict string

const (
	// Pass: it was looked at, and it is as the spec says.
	Pass Verdict = "pass"
	// Fail: it was looked at, and the image is at fault.
	Fail Verdict = "fail"
	// Error: it could not be found out, and the image is not to blame.
	Error Verdict = "error"
	// Skip: it was not looked at, for a reason that is told.
	Skip Verdict = "skip"
)

// A Moment is when something was looked at.
type Moment string

const (
	// BeforeBoot: in the instance before it was started for the first time.
	BeforeBoot Moment = "before the boot"
	// AfterReboot: when the guest had been restarted.
	AfterReboot Moment = "after a reboot"
)

// A Result is the outcome of one property of one resource.
type Result struct {
	Type     string  `json:"type"`
	ID       string  `json:"id"`
	Property string  `json:"property"`
	Title    string  `json:"title,omitempty"`
	Verdict  Verdict `json:"verdict"`
	// Expected is the matcher as the spec has it; Actual what was found, bounded
	// and left out where a pass would show a file's or a command's contents.
	Expected any `json:"expected,omitempty"`
	Actual   any `json:"actual,omitempty"`
	// Message says in one line why it did not pass.
	Message string `json:"message,omitempty"`
	// Output is what the command behind the property printed, bounded, of a
	// property that did not pass.
	Output   string        `json:"output,omitempty"`
	Duration time.Duration `json:"duration"`
	// Source is the property's place in the spec: file:line:col.
	Source string `json:"source,omitempty"`
	// When says of which moment the result is, where that is not the first look at
	// the running guest.
	When Moment `json:"when,omitempty"`
	// NotHere: it is skipped because it cannot be looked at where this runs. A check
	// of which that is all is skipped as well.
	NotHere bool `json:"not_here,omitempty"`
}

// A Resource is one thing that a check looks at.
// Its Evaluate looks once; trying again is Item's business. It stops when ctx
// is done and then says so in its results.
type Resource interface {
	Evaluate(ctx context.Context, sys *System) []Result

	common() *Common
}

// Common is what every resource has, whatever its type; types embed it.
type Common struct {
	// Key is the resource's id in the spec. Types with an alias attribute (a
	// file's path) use that where it is set.
	Key string `json:"-"`

	Title string         `json:"title,omitempty"`
	Meta  map[string]any `json:"meta,omitempty"`
	Skip  bool           `json:"skip,omitempty"`
	// Within is how long the resource is tried again until it holds.
	Within Duration `json:"within,omitempty"`
	// RetryCount and RetryDelay are goss's way to say how often, and after how long.
	RetryCount int      `json:"retry_count,omitempty"`
	RetryDelay Duration `json:"retry_delay,omitempty"` // 1 s where not set
	// BeforeBoot has whoever launches the guest look before it is started, as
	// Type.BeforeBoot allows.
	BeforeBoot bool `json:"before-boot,omitempty"`
}

func (c *Common) common() *Common { return c }

// id is what the resource is about: its alias attribute, or else its key.
func (c *Common) id(alias string) string { return cmp.Or(alias, c.Key) }

// A Check is a named group of items, and what Polar tracks.
type Check struct {
	Name  string   `json:"name"`
	Title string   `json:"title,omitempty"`
	Needs []string `json:"needs,omitempty"` // checks that must have passed before
	// Timeout bounds the check's evaluation; zero means DefaultTimeout.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Skip, where not empty, says why the check is not evaluated here.
	Skip string `json:"skip,omitempty"`
	// Reboot has the check evaluated once more after a restart of the guest.
	Reboot bool   `json:"reboot,omitempty"`
	Items  []Item `json:"items"`
}

// DefaultTimeout bounds a check that names no timeout of its own.
const DefaultTimeout = 5 * time.Minute

// An Outcome is a check's verdict and what led to it.
type Outcome struct {
	Verdict Verdict `json:"verdict"`
	// Reason says why a check without a result of its own is not a pass.
	Reason   string        `json:"reason,omitempty"`
	Passed   int           `json:"passed"` // results that passed
	Total    int           `json:"total"`  // results in all, skipped ones left out
	Duration time.Duration `json:"duration"`
}

// An Observer is told of checks as they go.
type Observer interface {
	CheckStarted(name string)
	Result(check string, r Result)
	CheckDone(name string, o Outcome)
}
