package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// A terminal is icepak's own while a program elsewhere has it: what is typed goes there
// as it is, Ctrl-C included.
type terminal struct {
	size    lxd.Size
	resized <-chan lxd.Size
	restore []func()
}

// takeTerminal makes the terminal raw until it is given back. The context that it
// returns ends also with the signals that would end icepak and leave the terminal so.
func takeTerminal(parent context.Context, in *os.File) (*terminal, context.Context, error) {
	fd := int(in.Fd())
	width, height, err := term.GetSize(fd)
	if err != nil {
		return nil, nil, fmt.Errorf("the terminal's size: %w", err)
	}
	ctx, stop := signal.NotifyContext(parent, syscall.SIGHUP, syscall.SIGQUIT)
	was, err := term.MakeRaw(fd)
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("the terminal: %w", err)
	}
	t := &terminal{size: lxd.Size{Columns: width, Rows: height}}
	t.restore = append(t.restore, stop, func() { _ = term.Restore(fd, was) }) // there is no other way to set it
	t.watch(ctx, fd)
	return t, ctx, nil
}

// watch has each new size told.
func (t *terminal) watch(ctx context.Context, fd int) {
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, syscall.SIGWINCH)
	sizes, done := make(chan lxd.Size), make(chan struct{})
	t.resized = sizes
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-changes:
			}
			width, height, err := term.GetSize(fd)
			if err != nil {
				continue
			}
			select {
			case sizes <- lxd.Size{Columns: width, Rows: height}:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.restore = append(t.restore, func() {
		signal.Stop(changes)
		cancel()
		<-done
	})
}

// giveBack makes the terminal what it was.
func (t *terminal) giveBack() {
	for i := len(t.restore) - 1; i >= 0; i-- {
		t.restore[i]()
	}
}
