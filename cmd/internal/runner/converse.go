package runner

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/probe"
)

// Events takes the probe's output as it comes.
type Events = io.Writer

// ErrLost is in the error of a Guest whose host lost the probe, not the guest.
var ErrLost = errors.New("lost the probe's output")

// A conversation is what a guest's probe is asked, and what is done with its
// answers.
type conversation struct {
	plan  func() probe.Plan // all but protocol, token and what the host knows
	image bool              // whether facts of the image are asked for
	begin func()            // forgets what was said so far
	event func(probe.Event) // runs on a goroutine that converse waits for
}

// converse has the guest's probe carry the plan out. A probe that was lost on the
// way, though the guest is well, is asked once more from the beginning, and so is
// one whose guest has started again by itself, as long as its Probe says so.
func converse(ctx context.Context, guest Guest, w *Watch, c conversation) error {
	host, err := factsOf(ctx, guest, c.image)
	if err != nil {
		return err
	}
	for lost := false; ; {
		err := attempt(ctx, guest, host, c)
		var fault *ImageFault
		again := errors.Is(err, errRestarted) || errors.Is(err, ErrLost) && !lost
		if !again || errors.As(err, &fault) || ctx.Err() != nil {
			return err
		}
		lost = lost || errors.Is(err, ErrLost)
		w.Warn(err.Error() + "; asking once more")
		c.begin()
	}
}

func attempt(ctx context.Context, guest Guest, host checks.HostFacts, c conversation) error {
	p := c.plan()
	p.Protocol, p.Token = probe.Protocol, rand.Text()
	// The probe gets what is left of the time, less some for the answer to get back.
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		// Where the server took most of the time, the guest is not to blame for the rest.
		p.Blame = left >= p.Timeout/2
		p.Timeout = left - min(5*time.Second, left/10)
	}
	if p.Host = host; !host.Time.IsZero() {
		p.Host.Time = time.Now()
	}
	plan, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode the plan: %w", err)
	}
	r, w := io.Pipe()
	read := make(chan error, 1)
	go func() {
		err := probe.Read(r, p.Token, c.event)
		// What comes after the end is thrown away, so that the writer never waits.
		_, _ = io.Copy(io.Discard, r)
		read <- err
	}()
	runErr := guest.Probe(ctx, plan, w)
	_ = w.Close() // a pipe's Close cannot fail
	readErr := <-read
	if readErr == nil {
		return nil // all was said; how the exec ended after that decides nothing
	}
	if runErr != nil {
		return runErr
	}
	return readErr
}
