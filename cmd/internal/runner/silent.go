package runner

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// This file finds out who is to blame for a probe that did not end as it should:
// the guest, of which a server that answers for it tells what became, or else the
// server, which is never the image's fault.

const (
	// maxRestarts is how often a guest may restart by itself before that is all it
	// does: an image that restarts once, when it boots first, is none the worse.
	maxRestarts = 3
	// restartTime is how long a guest that has stopped is given to come back.
	restartTime = 3 * time.Second
	// blameTime bounds the finding out, and knockTime the guest's answer to a knock.
	blameTime = 30 * time.Second
	knockTime = 15 * time.Second
)

// errRestarted is in the error of a guest that has started again by itself.
var errRestarted = errors.New("the guest restarted by itself")

// A life is what is known of a guest since it was started by us. Whoever starts it
// again gives it a new one.
type life struct {
	init     int64 // the process that it runs in, or zero
	restarts int   // by itself
	kills    int   // of the probe
}

// Probe runs the probe in one exec: the plan goes in, and events come out.
func (g *instance) Probe(ctx context.Context, plan []byte, out Events) error {
	noting, stop := context.WithCancel(ctx)
	defer stop()
	noted := g.note(noting)
	end := g.run(ctx, plan, out)
	if g.unseen(end) {
		g.lent, g.probePath = false, g.probePath+"-pushed" // something may be mounted there
		if err := g.push(ctx, g.program); err == nil {
			end = g.run(ctx, plan, out)
		}
	}
	switch {
	case end.err == nil && end.code == 0:
		return nil
	case interrupted(ctx):
		return ctx.Err()
	}
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), blameTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if interrupted(ctx) {
			cancel()
		}
	})()
	select {
	case g.life.init = <-noted:
	case <-look.Done():
	}
	return g.silent(ctx, look, end)
}

// run runs the probe once, on a plan.
func (g *instance) run(ctx context.Context, plan []byte, out Events) ending {
	var stderr tail
	code, err := g.inst.Exec(ctx, lxd.ExecRequest{
		Args: g.probe, Stdin: bytes.NewReader(plan), Stdout: out, Stderr: &stderr,
	})
	return ending{code: code, err: err, stderr: stderr.String()}
}

// note finds out which start of the guest this is, beside the probe's exec, which
// is not to wait for it.
func (g *instance) note(ctx context.Context) <-chan int64 {
	noted := make(chan int64, 1)
	if g.life.init != 0 {
		noted <- g.life.init
		return noted
	}
	go func() {
		now, err := g.inst.State(ctx)
		if err != nil {
			now.Init = 0
		}
		noted <- now.Init
	}()
	return noted
}

// An ending is how the probe's exec ended.
type ending struct {
	code   int
	err    error // of the server or the connection; then there is no code
	stderr string
}

func (e ending) String() string {
	said := ""
	if e.stderr != "" {
		said = ": " + lastLine(e.stderr)
	}
	return fmt.Sprintf("the probe ended with exit code %d%s", e.code, said)
}

// killed tells whether a signal that processes send ended the probe.
func (e ending) killed() bool { return e.err == nil && (e.code == 128+9 || e.code == 128+15) }

// starved tells whether the probe itself said that the guest has no room for it.
func (e ending) starved() bool {
	return e.err == nil && (strings.Contains(e.stderr, "failed to create new OS thread") ||
		strings.Contains(e.stderr, "runtime: out of memory") || strings.Contains(e.stderr, "cannot allocate memory"))
}

// silent finds out who is to blame for the end of the probe: the guest that stopped,
// started again or runs nothing any more, or the server that lost it. ctx is the
// run's, and look what is left for finding out.
func (g *instance) silent(ctx, look context.Context, end ending) error {
	stopping := g.inst.Stopping(look) // before the server forgets
	now, err := g.settled(look)
	if end.killed() {
		// Everything in a guest that goes down is killed: its init may be next.
		for until := time.Now().Add(restartTime); err == nil && now.Init == g.life.init && time.Now().Before(until); now, err = g.settled(look) {
			_ = pause(look, restartTime/20)
		}
	}
	switch {
	case err != nil:
		return errors.Join(fmt.Errorf("the guest's state is unknown: %w", err), end.err)
	case now.Status == "Stopped" && (stopping || g.inst.Stopping(look)):
		return errors.New("the guest was stopped by somebody else on the server")
	case now.Status == "Frozen":
		return errors.New("the guest was frozen by somebody else on the server")
	case now.Status == "Stopped":
		words := g.lastWords(look)
		if words == "" {
			words = "and left no message"
		}
		return &ImageFault{Reason: "the guest stopped by itself, " + words}
	case g.life.init != 0 && now.Init != 0 && now.Init != g.life.init:
		return g.again(ctx, look, now)
	case end.killed() || end.starved():
		return g.bereft(end)
	case end.err == nil:
		return fmt.Errorf("%w: %s", ErrLost, end)
	case ctx.Err() == nil:
		return fmt.Errorf("%w: %w", ErrLost, end.err)
	}
	return g.knock(look, end.err)
}

// settled returns what the guest is, once one that has stopped has had the time to
// come back: to the server, a restart from within is a stop and a start. So has a
// server that does not answer, which may be restarting itself, and one that cannot
// tell what a guest is that is about to be gone.
func (g *instance) settled(ctx context.Context) (lxd.State, error) {
	for until := time.Now().Add(restartTime); ; {
		now, err := g.inst.State(ctx)
		if err != nil && (!lxd.Refused(err) || lxd.Ending(err) && time.Now().Before(until)) && pause(ctx, restartTime/6) == nil {
			continue
		}
		if err != nil || now.Status != "Stopped" || time.Now().After(until) {
			return now, err
		}
		if err := pause(ctx, restartTime/40); err != nil { // it may run for moments only
			return now, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// again counts a restart that was not ours.
func (g *instance) again(ctx, look context.Context, now lxd.State) error {
	g.life.init = now.Init
	g.life.restarts++
	if g.life.restarts < maxRestarts && ctx.Err() == nil {
		return errRestarted
	}
	reason := errRestarted.Error()
	if g.life.restarts > 1 {
		reason += fmt.Sprintf(" %d times", g.life.restarts)
	}
	if words := g.lastWords(look); words != "" {
		reason += ", " + words
	}
	return &ImageFault{Reason: reason}
}

// bereft counts the probe's losses of which a server that is well says that the guest
// killed it, or that there was no room for it. Once may be an accident.
func (g *instance) bereft(end ending) error {
	g.life.kills++
	switch {
	case g.life.kills < 2:
		return fmt.Errorf("%w: %s", ErrLost, end)
	case end.starved():
		return &ImageFault{Reason: "the guest has no room for one more process: " + firstLine(end.stderr)}
	}
	return &ImageFault{Reason: fmt.Sprintf("the guest killed the probe %d times (signal %d): something in it kills processes, or its memory is full", g.life.kills, end.code-128)}
}

// knock finds out whether the guest still runs anything, after the probe has been
// silent for too long: it runs the probe on nothing. Only a server that answers
// for a guest that does not proves that the guest is to blame.
func (g *instance) knock(ctx context.Context, silence error) error {
	short, cancel := context.WithTimeout(ctx, knockTime)
	defer cancel()
	var answer tail
	err := g.run(short, []byte("{}"), &answer).err
	switch {
	case strings.Contains(answer.String(), `"event":`):
		return fmt.Errorf("%w: %w", ErrLost, silence)
	case !isSilence(ctx, err):
		return errors.Join(silence, err)
	}
	now, err := g.inst.State(ctx)
	if err != nil {
		return fmt.Errorf("the guest's state is unknown: %w", err)
	}
	return &ImageFault{Reason: fmt.Sprintf("the guest (%s) runs nothing any more", strings.ToLower(now.Status))}
}

// notStarted finds out who is to blame for a start that failed, as err says, for no
// reason that LXC gives. An init that ends at once may be gone before the server has
// done all that belongs to a start; another start tells, which serves nothing else: the
// guest is not at its first boot any more.
func (g *instance) notStarted(ctx context.Context, err error) error {
	var failed *lxd.StartError
	if !errors.As(err, &failed) || ctx.Err() != nil || g.inst.Type() == "virtual-machine" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, blameTime)
	defer cancel()
	if !g.stopped(ctx) {
		return err
	}
	if fault := g.foreignInit(ctx); fault != "" {
		return &ImageFault{Reason: "the image does not start: " + fault}
	}
	if said, consoleErr := g.inst.Console(ctx); consoleErr != nil || strings.TrimSpace(said) == "" || g.inst.Start(ctx) != nil || !g.stopped(ctx) {
		return err
	}
	words := g.lastWords(ctx)
	if words == "" {
		return err
	}
	return &ImageFault{Reason: "the guest stopped by itself, " + words}
}

// stopped waits for the guest's end, for the time that one has to come back, and tells
// whether it stopped by itself.
func (g *instance) stopped(ctx context.Context) bool {
	for until := time.Now().Add(restartTime); ; {
		now, err := g.settled(ctx)
		switch {
		case err != nil || g.inst.Stopping(ctx):
			return false
		case now.Status == "Stopped":
			return true
		case time.Now().After(until) || pause(ctx, restartTime/20) != nil:
			return false
		}
	}
}

// lastWords is what the console, or else LXD's log, ends with, or nothing.
func (g *instance) lastWords(ctx context.Context) string {
	log, err := g.inst.Log(ctx, "lxc.log")
	if err != nil {
		log = ""
	}
	if fault := lxd.InitFault(log); fault != "" {
		return "LXC says: " + fault
	}
	if fault := g.foreignInit(ctx); fault != "" {
		return "and " + fault
	}
	if text, err := g.inst.Console(ctx); err == nil && strings.TrimSpace(text) != "" {
		return "its console ends with: " + lastLine(text)
	}
	if cause := firstLine(lxcErrors(log)); cause != "" {
		return "LXC says: " + cause
	}
	return ""
}

// foreignInit says that init is a program of another architecture, which LXC then has
// a shell run, if it is one.
func (g *instance) foreignInit(ctx context.Context) string {
	const header = 20 // bytes, up to the machine
	head, err := g.inst.Content(ctx, "/sbin/init", header)
	if err != nil || len(head) < header || string(head[:4]) != elf.ELFMAG {
		return ""
	}
	machine := elf.Machine(binary.LittleEndian.Uint16(head[18:]))
	if head[elf.EI_DATA] == byte(elf.ELFDATA2MSB) {
		machine = elf.Machine(binary.BigEndian.Uint16(head[18:]))
	}
	made, err := g.server.Instance(ctx, g.inst.Name())
	if err != nil {
		return ""
	}
	runs := map[string][]elf.Machine{"amd64": {elf.EM_X86_64, elf.EM_386}, "arm64": {elf.EM_AARCH64, elf.EM_ARM}}[made.Architecture()]
	if runs == nil || slices.Contains(runs, machine) {
		return ""
	}
	return fmt.Sprintf("its /sbin/init is of another architecture: %s, not %s", machine, made.Architecture())
}

// lxcErrors is what LXC complains of, or nothing.
func (g *instance) lxcErrors(ctx context.Context) string {
	text, err := g.inst.Log(ctx, "lxc.log")
	if err != nil {
		return ""
	}
	return lxcErrors(text)
}
