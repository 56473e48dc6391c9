// Package collect gathers, in the guest, what tells why a check failed: logs,
// configuration, and what the kernel says of network, disks and memory. Nothing
// that it looks at is needed: what a guest does not have is left out. It changes
// nothing, and it never reads environment variables, keys or password files.
package collect

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/upmaru/icepak/checks"
)

const (
	// pieceTime bounds each piece, and allTime all together.
	pieceTime = 3 * time.Second
	allTime   = 10 * time.Second
	// graceTime is what a command that was killed gets to end.
	graceTime = 500 * time.Millisecond

	maxPiece = 64 << 10 // bytes of a piece's text
	maxAll   = 1 << 20  // bytes of all texts

	workers = 4 // pieces that are gathered at a time
)

// Wanted says what to look at more closely.
type Wanted struct {
	Services []string `json:"services,omitempty"` // of the checks that failed
	// Kernel has the kernel's log taken down. A container's is its host's.
	Kernel bool `json:"kernel,omitempty"`
}

// A piece is something to look at. look returns its text, or nothing where the
// guest has no such thing.
type piece struct {
	name string
	look func(ctx context.Context, sys *checks.System) string
}

// Evidence gathers the evidence of the machine and tells each piece as it comes:
// its name, which is not to be trusted, and its text, bounded and without
// what looks like a secret. A piece that hangs does not stop the others.
func Evidence(ctx context.Context, sys *checks.System, want Wanted, tell func(name, text string)) {
	ctx, cancel := context.WithTimeout(ctx, allTime)
	defer cancel()
	c := &collection{sys: sys, tell: tell}
	c.gather(ctx, general(want))
	c.gather(ctx, services(ctx, sys, want))
}

// A collection tells of pieces until it has told enough.
type collection struct {
	sys *checks.System

	mu   sync.Mutex
	tell func(name, text string)
	told int // bytes
}

// gather looks at the pieces, some at a time.
func (c *collection) gather(ctx context.Context, pieces []piece) {
	next := make(chan piece)
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for p := range next {
				c.add(p.name, p.text(ctx, c.sys))
			}
		})
	}
	for _, p := range pieces {
		if ctx.Err() != nil {
			break
		}
		next <- p
	}
	close(next)
	working.Wait()
}

// text looks at the piece for as long as it may take, and then leaves it behind.
func (p piece) text(ctx context.Context, sys *checks.System) string {
	ctx, cancel := context.WithTimeout(ctx, pieceTime)
	defer cancel()
	done := make(chan string, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Sprintf("icepak has a bug: %v", r)
			}
		}()
		done <- p.look(ctx, sys)
	}()
	select {
	case text := <-done:
		return text
	case <-ctx.Done():
	}
	select {
	case text := <-done:
		return text
	case <-time.After(graceTime):
		return "(it hangs)"
	}
}

func (c *collection) add(name, text string) {
	text = bounded(strings.ToValidUTF8(text, "\uFFFD"), 4*maxPiece) // or looking for secrets takes long
	text = strings.TrimRight(bounded(Redact(text), maxPiece), " \t\r\n")
	if strings.TrimSpace(text) == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told += len(text); c.told > maxAll {
		return
	}
	c.tell(name, text)
}

// bounded keeps the end of a text that is too long, from the start of a line.
func bounded(text string, most int) string {
	kept := End(text, most)
	if len(text) <= most {
		return kept
	}
	return fmt.Sprintf("(%d bytes before this)\n", len(text)-len(kept)) + kept
}

// End returns the end of a text, of at most so many bytes, from the start of a line.
func End(text string, most int) string {
	if len(text) <= most {
		return text
	}
	kept := text[len(text)-most:]
	if _, rest, ok := strings.Cut(kept, "\n"); ok && rest != "" {
		kept = rest
	}
	return strings.ToValidUTF8(kept, "")
}
