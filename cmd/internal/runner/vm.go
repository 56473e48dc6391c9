package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/canonical/lxd/shared"
	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// vmReadyTimeout bounds the waits for a virtual machine where its spec names no
// timeout: firmware, boot loader and kernel come before what containers begin with.
const vmReadyTimeout = 5 * time.Minute

// ReadyFor is what is waited for in an instance of the type.
func ReadyFor(r checks.Ready, typ string) checks.Ready {
	if typ == "virtual-machine" {
		r.Timeout = cmp.Or(r.Timeout, checks.Duration(vmReadyTimeout))
	}
	return r
}

// meetRequirements has the request for a virtual machine meet what its image
// requires: LXD refuses to start others. What the spec says itself stays.
func (r *Remote) meetRequirements(ctx context.Context, req *lxd.Request) error {
	if req.Type != "virtual-machine" {
		return nil
	}
	requires, err := r.requirements(ctx, req.Source)
	if err != nil {
		return fmt.Errorf("what the image requires: %w", err)
	}
	_, boot := req.Config["boot.mode"]
	_, secure := req.Config["security.secureboot"]
	if shared.IsFalse(requires["secureboot"]) && !boot && !secure {
		if r.Server.HasExtension("instance_boot_mode") {
			req.Config["boot.mode"] = "uefi-nosecureboot"
		} else {
			req.Config["security.secureboot"] = "false"
		}
	}
	if shared.IsTrue(requires["cdrom_agent"]) && !hasAgentDrive(req.Devices) {
		req.Devices = cloned(req.Devices)
		req.Devices["icepak-agent"] = map[string]string{"type": "disk", "source": "agent:config"}
	}
	return nil
}

// requirements are what the feed says that the image requires, or else the image
// itself, where the server has it.
func (r *Remote) requirements(ctx context.Context, src lxd.Source) (map[string]string, error) {
	all := map[string]string{}
	info, err := r.Server.Image(ctx, src.Fingerprint)
	var missing *lxd.NotFoundError
	if err != nil && !errors.As(err, &missing) {
		return nil, err
	}
	for key, value := range info.Properties {
		if key, ok := strings.CutPrefix(key, "requirements."); ok {
			all[key] = value
		}
	}
	maps.Copy(all, r.Requirements)
	return all, nil
}

func hasAgentDrive(devices map[string]map[string]string) bool {
	for _, d := range devices {
		if d["source"] == "agent:config" {
			return true
		}
	}
	return false
}

// An AgentWait is how patiently a virtual machine's agent is waited for. What is
// zero has a default.
type AgentWait struct {
	Limit   time.Duration // for the agent to come
	Pause   time.Duration // between two looks
	Answer  time.Duration // for the server to answer a request
	Silence time.Duration // for a server that answers none
}

func (a AgentWait) orDefaults() AgentWait {
	return AgentWait{
		Limit:   cmp.Or(a.Limit, vmReadyTimeout),
		Pause:   cmp.Or(a.Pause, time.Second),
		Answer:  cmp.Or(a.Answer, 30*time.Second),
		Silence: cmp.Or(a.Silence, time.Minute),
	}
}

// stopsSeen is how many looks in a row must see a virtual machine stopped: one that
// restarts itself is seen so on the way.
const stopsSeen = 3

// pushToAgent brings the probe into a virtual machine that has just started, once its
// agent answers. Only a server that answers for a guest that does not proves that
// the image is to blame.
func (g *instance) pushToAgent(ctx context.Context, probe Program) error {
	wait := g.agent
	began, heard, stops := time.Now(), time.Now(), 0
	for {
		var slow error // the agent answers, but the probe is not there yet
		state, err := g.state(ctx)
		if err == nil {
			heard = time.Now()
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // the server may be back soon
			if time.Since(heard) > wait.Silence {
				return fmt.Errorf("wait for the virtual machine's agent: %w", err)
			}
		case state.Status == "Stopped":
			if stops++; stops == stopsSeen {
				return &ImageFault{Reason: "the guest stopped by itself, " + cmp.Or(g.lastWords(ctx), "and left no message")}
			}
		case state.Agent:
			stops = 0
			if slow = g.placeInVM(ctx, probe); !isSilence(ctx, slow) {
				return slow
			}
		default:
			stops = 0
		}
		if err == nil && time.Since(began) > wait.Limit {
			return g.noAgent(ctx, slow)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait.Pause):
		}
	}
}

func (g *instance) state(ctx context.Context) (lxd.State, error) {
	ctx, cancel := context.WithTimeout(ctx, g.agent.Answer)
	defer cancel()
	return g.inst.State(ctx)
}

// placeInVM brings the probe to where it is in a container, or else to where it can
// be: a root file system may be read-only, and others may forbid programs, but the
// server's agent itself runs in one of its own.
func (g *instance) placeInVM(ctx context.Context, probe Program) error {
	ctx, cancel := context.WithTimeout(ctx, 4*g.agent.Answer) // the probe has megabytes
	defer cancel()
	return g.place(ctx, probe, "/icepak-probe", "/run/icepak-probe", "/tmp/icepak-probe", "/dev/shm/icepak-probe",
		"/run/"+strings.ReplaceAll(g.agentName(), "-", "_")+"/icepak-probe")
}

// isSilence tells whether the error is of an agent that does not answer, or not in
// time.
func isSilence(ctx context.Context, err error) bool {
	var agent *lxd.AgentError
	return errors.As(err, &agent) || ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded)
}

// noAgent says what may be wrong in a guest whose agent did not come. That one which
// answers is slow may be due to the way there.
func (g *instance) noAgent(ctx context.Context, slow error) error {
	var agent *lxd.AgentError
	if slow != nil && !errors.As(slow, &agent) {
		return fmt.Errorf("the agent answers, but the probe was not there within %s: %w", g.agent.Limit, slow)
	}
	reason := fmt.Sprintf("the agent did not answer within %s: is %s installed and started?", g.agent.Limit, g.agentName())
	if secure, err := g.inst.SecureBoot(ctx); err == nil && secure {
		reason += " Secure boot is on: does the image lack requirements.secureboot=false?"
	}
	return &ImageFault{Reason: reason}
}

// agentName is the program that answers the server in a virtual machine.
func (g *instance) agentName() string {
	if g.server.IsIncus() {
		return "incus-agent"
	}
	return "lxd-agent"
}

// place pushes the probe to the first of the paths where it can be both written and
// run.
func (g *instance) place(ctx context.Context, probe Program, paths ...string) error {
	var errs []error
	for _, path := range paths {
		g.probePath = path
		err := g.push(ctx, probe)
		if err == nil {
			if err = g.greet(ctx); err == nil {
				return nil
			}
			// It would be in the way of nobody.
			_ = g.inst.Remove(ctx, path)
		}
		var agent *lxd.AgentError
		var mute muteError
		if errors.As(err, &agent) || !errors.As(err, &mute) && !lxd.Refused(err) {
			return err
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("the probe runs nowhere in the virtual machine: %w", errors.Join(errs...))
}

// A muteError says that a probe was started, and did not speak.
type muteError string

func (e muteError) Error() string { return string(e) }

// greet runs the probe on nothing, which it has to complain of.
func (g *instance) greet(ctx context.Context) error {
	var answer tail
	end := g.run(ctx, []byte("{}"), &answer)
	if end.err != nil || strings.Contains(answer.String(), `"event":`) {
		return end.err
	}
	return muteError(fmt.Sprintf("%s: exit code %d %s", g.probePath, end.code, lastLine(end.stderr)))
}
