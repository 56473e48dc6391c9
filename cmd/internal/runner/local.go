package runner

import (
	"bytes"
	"context"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/probe"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// Local is the machine that icepak runs on. Nothing is launched, and nothing is
// deleted.
type Local struct{ System *checks.System }

var _ Host = Local{}

// Launch returns the machine itself.
func (l Local) Launch(context.Context, *Watch, Before) (Guest, error) { return l, nil }

// Probe carries the plan out in this process.
func (l Local) Probe(ctx context.Context, plan []byte, out Events) error {
	return probe.Serve(ctx, bytes.NewReader(plan), out, l.System)
}

// Diagnose has nothing to add: whoever asks sits at the machine.
func (Local) Diagnose(context.Context, *Watch) []report.Diagnostic { return nil }

// Keep returns nothing, as there is nothing to keep.
func (Local) Keep(context.Context) (string, error) { return "", nil }

// Delete does nothing.
func (Local) Delete(context.Context, *Watch) error { return nil }
