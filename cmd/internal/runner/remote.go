package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// Remote launches images on an LXD server.
type Remote struct {
	Server  *lxd.Server
	Name    string // of the instance
	Request lxd.Request
	Owner   Owner
	Keep    Keep
	Probe   Program // for the image's architecture
	// Files are the image's by their type in feeds, in bytes; nil where they are not known.
	Files map[string]int64
	// Requirements are what the image's feed says that it asks of an instance.
	Requirements map[string]string
	// Agent is how patiently a virtual machine's agent is waited for.
	Agent AgentWait
	// Upload, where set, brings the image to the server before it is launched,
	// and returns its fingerprint and whether it was not there before.
	Upload func(ctx context.Context, w *Watch) (fingerprint string, fresh bool, err error)
}

var _ Host = (*Remote)(nil)

// Launch creates the instance, pushes the probe into it, or lends it, and starts it. What
// is to be seen before the boot is seen as the image has it, without the probe.
func (r *Remote) Launch(ctx context.Context, w *Watch, before Before) (Guest, error) {
	g := &instance{server: r.Server, probePath: "/icepak-probe", owned: true, files: r.Files, agent: r.Agent.orDefaults()}
	if r.Upload != nil {
		w.Begin(report.Fetch)
		fingerprint, fresh, err := r.Upload(ctx, w)
		if fresh {
			g.image = fingerprint
		}
		if err != nil {
			return g, fmt.Errorf("upload the image: %w", err)
		}
		r.Request.Source = lxd.Source{Fingerprint: fingerprint}
	}
	if err := r.create(ctx, g, w); err != nil {
		return g, err
	}
	g.look(ctx, before)
	err := g.boot(ctx, w, report.Start, r.Probe)
	if g.mayBeForLoan(ctx, err) {
		w.Warn(err.Error() + "; trying once more with the probe inside")
		err = r.unlend(ctx, g, w)
	}
	return g, err
}

// boot starts the guest, as the stage, with the probe in it: a container has it before
// the start, a virtual machine gets it once its agent answers.
func (g *instance) boot(ctx context.Context, w *Watch, stage report.Stage, probe Program) error {
	vm := g.inst.Type() == "virtual-machine"
	switch {
	case vm:
	case g.lent:
		g.use(probe)
	default:
		if err := g.push(ctx, probe); err != nil {
			return err
		}
		if err := pause(ctx, syncTime); err != nil {
			return err
		}
	}
	w.Begin(stage)
	if err := g.start(ctx); err != nil {
		return err
	}
	if vm {
		return g.pushToAgent(ctx, probe)
	}
	return nil
}

// syncTime is what LXD is left between the probe's push and the start. Its program that
// wrote the file still writes everything to the disk, after its answer; a start that
// comes meanwhile waits a whole second before it looks at that again.
const syncTime = 50 * time.Millisecond

// create creates the instance, and lends it the probe if it may and can.
func (r *Remote) create(ctx context.Context, g *instance, w *Watch) error {
	w.Begin(report.Create)
	req := r.Request
	req.Name = r.Name
	req.Fetching = func() { w.Fetching(req.Source.Fingerprint) }
	req.Config = maps.Clone(req.Config)
	if req.Config == nil {
		req.Config = map[string]string{}
	}
	maps.Copy(req.Config, r.Owner.labels(r.Keep))
	if err := r.meetRequirements(ctx, &req); err != nil {
		return err
	}
	progress := func(p lxd.Progress) {
		if p.Stage == "download" {
			w.Begin(report.Fetch)
		} else {
			w.Begin(report.Create)
		}
		w.Progress(p.Percent, p.Text)
	}
	plain := req
	g.lent = r.lend(ctx, &req, g.probePath)
	inst, err := r.Server.Create(ctx, req, progress)
	if g.lent && err != nil && lxd.Refused(err) && !lxd.Full(err) { // a project may forbid such devices
		g.lent = false
		inst, err = r.Server.Create(ctx, plain, progress)
	}
	if err != nil {
		return fmt.Errorf("create the instance: %w", err)
	}
	g.inst = inst
	if inst.Fetched() {
		g.image = req.Source.Fingerprint
	}
	return nil
}

// Running takes an instance that runs already, and leaves it running.
type Running struct {
	Server   *lxd.Server
	Instance *lxd.Instance
	Probe    Program
}

var _ Host = (*Running)(nil)

// Launch pushes the probe into the instance.
func (r *Running) Launch(ctx context.Context, w *Watch, _ Before) (Guest, error) {
	g := &instance{server: r.Server, inst: r.Instance, probePath: "/tmp/icepak-probe-" + newRunID()}
	w.Begin(report.Create)
	if r.Instance.Type() == "virtual-machine" {
		return g, g.place(ctx, r.Probe, g.probePath, "/run/icepak-probe-"+newRunID(), "/icepak-probe-"+newRunID())
	}
	return g, g.push(ctx, r.Probe)
}

// instance is a guest on an LXD server.
type instance struct {
	server    *lxd.Server
	inst      *lxd.Instance // nil where it could not be created
	owned     bool          // launched by us, and so ours to delete
	probePath string
	lent      bool     // the probe is a file of this machine that the server shows to the guest
	probe     []string // its command line
	image     string   // fingerprint of an image that was brought only for this guest
	files     map[string]int64
	running   time.Duration // how long the start took; 0 where it was not started by us
	program   Program
	agent     AgentWait
	life      life
}

// use says which probe is run.
func (g *instance) use(probe Program) {
	g.program, g.probe = probe, append([]string{g.probePath}, probe.Args...)
}

func (g *instance) push(ctx context.Context, probe Program) error {
	g.use(probe)
	if err := g.inst.Push(ctx, g.probePath, bytes.NewReader(probe.Data), 0o755); err != nil {
		return fmt.Errorf("push the probe: %w", err)
	}
	return nil
}

// start starts the instance. That LXD says it did proves nothing yet: whether init
// lives on shows when the probe is run.
func (g *instance) start(ctx context.Context) error {
	g.life = life{}
	began := time.Now()
	err := g.inst.Start(ctx)
	g.running = time.Since(began)
	var failed *lxd.StartError
	switch {
	case errors.As(err, &failed) && failed.ImageFault:
		return &ImageFault{Reason: "the image does not start: " + failed.Reason}
	case err != nil && gpuRefused(err):
		return fmt.Errorf("the server cannot give the instance its GPU: %w", err)
	case err != nil:
		return g.notStarted(ctx, fmt.Errorf("start the instance: %w", err))
	}
	return nil
}

// Diagnose collects the console, LXC's log, whole and its errors alone, and what
// LXD knows of the instance.
func (g *instance) Diagnose(ctx context.Context, w *Watch) []report.Diagnostic {
	if g.inst == nil {
		return nil
	}
	w.Begin(report.Diagnose)
	var all []report.Diagnostic
	for _, piece := range []struct {
		name string
		read func(context.Context) (string, error)
	}{
		{"console", g.inst.Console},
		{"lxc.log", func(ctx context.Context) (string, error) { return g.lxcErrors(ctx), nil }},
		{"lxc-whole.log", func(ctx context.Context) (string, error) { return g.inst.Log(ctx, "lxc.log") }},
		{"qemu.log", func(ctx context.Context) (string, error) { return g.inst.Log(ctx, "qemu.log") }},
		{"instance-config", g.inst.Config},
		{"instance-state.json", g.inst.DescribeState},
	} {
		if text, err := piece.read(ctx); err == nil && strings.TrimSpace(text) != "" {
			all = append(all, report.Diagnostic{Name: piece.name, Text: text})
		}
	}
	return all
}

// Keep removes the image that was brought only for the instance, which does not
// need it any more.
func (g *instance) Keep(ctx context.Context) (string, error) {
	if g.inst == nil || !g.owned {
		return "", nil
	}
	return g.inst.Name(), g.dropImage(ctx)
}

func (g *instance) dropImage(ctx context.Context) error {
	if g.image == "" {
		return nil
	}
	return g.server.DeleteImage(ctx, g.image)
}

// Delete removes the instance, and the image that was brought only for it. Of an
// instance that is not ours, it removes the probe.
func (g *instance) Delete(ctx context.Context, w *Watch) error {
	w.Begin(report.Delete)
	var errs []error
	if g.inst != nil {
		if g.owned {
			errs = append(errs, g.inst.Delete(ctx))
		} else {
			errs = append(errs, g.inst.Remove(ctx, g.probePath))
		}
	}
	return errors.Join(append(errs, g.dropImage(ctx))...)
}
