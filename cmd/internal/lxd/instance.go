package lxd

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// An Instance is a container or a virtual machine on a server.
type Instance struct {
	server       *Server
	name         string
	architecture string
	typ          string
	properties   map[string]string
	image        string // the image's fingerprint, or empty
	gpu          bool   // it has a device of that type
	fetched      bool
	lines        atomic.Pointer[lines] // for the first command after the start, or nil
}

// Name returns the instance's name.
func (i *Instance) Name() string { return i.name }

// Architecture returns the instance's architecture: amd64, arm64. It is empty for one
// that Create has returned, which has not asked.
func (i *Instance) Architecture() string { return i.architecture }

// Type returns the instance's type: container, virtual-machine.
func (i *Instance) Type() string { return i.typ }

// ImageProperties returns the properties of the image that the instance was
// made from, such as os, release and variant; nil for one that Create has returned.
func (i *Instance) ImageProperties() map[string]string { return i.properties }

// Fetched tells whether the server fetched the image to create the instance.
func (i *Instance) Fetched() bool { return i.fetched }

func (i *Instance) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s: %w", i.name, what, err)
}

// Status returns what the instance is: Running, Stopped, Error …
func (i *Instance) Status(ctx context.Context) (string, error) {
	found, err := i.server.instance(ctx, i.server.project, i.name)
	if err != nil {
		return "", i.wrap("status", err)
	}
	return found.Status, nil
}

// A State is what an instance is at the moment.
type State struct {
	Status string // Running, Stopped, Frozen, Error …
	// Init is the process that the guest runs in, on the server: another one each
	// time it is started. It is zero where none runs.
	Init int64
	// Agent tells that the guest answers the server. A virtual machine does not
	// until its agent has started.
	Agent bool
}

// State returns what the instance is, and which of its starts this is.
func (i *Instance) State(ctx context.Context) (State, error) {
	var now State
	err := i.server.call(ctx, func(c client.InstanceServer) error {
		found, _, err := c.GetInstanceState(i.name)
		if err == nil {
			now = State{Status: found.Status, Init: found.Pid, Agent: found.Processes >= 0}
		}
		return err
	})
	return now, i.wrap("state", err)
}

// SecureBoot tells whether the virtual machine boots only what is signed.
func (i *Instance) SecureBoot(ctx context.Context) (bool, error) {
	found, err := i.server.instance(ctx, i.server.project, i.name)
	if err != nil {
		return false, i.wrap("configuration", err)
	}
	if mode := found.ExpandedConfig["boot.mode"]; mode != "" {
		return mode == "uefi-secureboot", nil
	}
	secure := found.ExpandedConfig["security.secureboot"]
	return secure != "false", nil
}

// Start starts the instance. A failure is a *StartError. A success does not
// mean that the guest stays up: Status tells.
func (i *Instance) Start(ctx context.Context) error {
	if i.typ == string(api.InstanceTypeContainer) { // what else starts may take minutes to run a command
		i.hold(i.server.dial(execSockets))
	}
	start := api.InstanceStatePut{Action: "start", Timeout: -1}
	err := i.server.run(ctx, func(c client.InstanceServer) (client.Operation, error) {
		return c.UpdateInstanceState(i.name, start, "")
	})
	if err == nil {
		return nil
	}
	i.hold(nil)
	if ctx.Err() != nil {
		return i.wrap("start", err)
	}
	log, logErr := i.Log(ctx, "lxc.log")
	if logErr != nil {
		log = ""
	}
	failed := &StartError{Err: err, Log: log, Reason: InitFault(log)}
	i.judge(ctx, failed)
	return i.wrap("start", failed)
}

// initError is LXC's line about an init that it cannot execute.
var initError = regexp.MustCompile(`(No such file or directory|Exec format error|Permission denied) - Failed to exec "(/[^"]*)"`)

// InitFault returns what LXC's log says of an init that cannot be executed, or nothing.
func InitFault(log string) string {
	m := initError.FindStringSubmatch(log)
	switch {
	case m == nil:
		return ""
	case m[1] == "Exec format error":
		return fmt.Sprintf("the image's %s: exec format error: it is of another architecture, or no program", m[2])
	}
	return fmt.Sprintf("the image's %s: %s", m[2], strings.ToLower(m[1]))
}

// judge finds out whether the image is to blame for a start that failed. A
// permission can be denied by the host as well, so that the file must show it; and
// a file that is there although the kernel does not find it asks for another one.
func (i *Instance) judge(ctx context.Context, failed *StartError) {
	m := initError.FindStringSubmatch(failed.Log)
	if m == nil {
		return
	}
	mode, there := i.modeOf(ctx, m[2])
	switch {
	case m[1] == "Permission denied":
		failed.ImageFault = there && mode&0o111 == 0
	case m[1] == "No such file or directory" && there:
		failed.ImageFault = true
		failed.Reason = fmt.Sprintf("the image's %s: the loader or interpreter that it asks for is missing", m[2])
	default:
		failed.ImageFault = true
	}
}

// hold keeps connections for the next command, and closes those that it had.
func (i *Instance) hold(next *lines) {
	if had := i.lines.Swap(next); had != nil {
		had.close()
	}
}

// Delete stops the instance by force and deletes it.
func (i *Instance) Delete(ctx context.Context) error {
	i.hold(nil)
	return i.server.DeleteInstance(ctx, i.server.project, i.name)
}
