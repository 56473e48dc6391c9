package lxd

import (
	"context"
	"path"
	"strings"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// fullBelow is how little space, in bytes, a storage pool that is full has left: file
// systems keep some to themselves.
const fullBelow = 4 << 20

// FullPool returns the name of the storage pool that the instance's root file system
// is in, if that is full, else nothing. A server that does not tell is believed to
// have room.
func (i *Instance) FullPool(ctx context.Context) string {
	full := ""
	_ = i.server.call(ctx, func(c client.InstanceServer) error {
		found, _, err := c.GetInstance(i.name)
		if err != nil {
			return err
		}
		for _, device := range found.ExpandedDevices {
			if device["type"] != "disk" || device["path"] != "/" {
				continue
			}
			has, err := c.GetStoragePoolResources(device["pool"])
			if err != nil {
				return err
			}
			if space := has.Space; space.Total > 0 && space.Used+fullBelow > space.Total {
				full = device["pool"]
			}
		}
		return nil
	})
	return full
}

// Stopping tells whether the server was asked a moment ago, by whomever, to stop the
// instance since it was started last, and did not have it stop by itself. The server
// remembers for seconds.
func (i *Instance) Stopping(ctx context.Context) bool {
	var all []api.Operation
	err := i.server.call(ctx, func(c client.InstanceServer) (err error) {
		all, err = c.GetOperations()
		return err
	})
	if err != nil {
		return false
	}
	var started, stopped time.Time
	for _, op := range all {
		if !i.concerns(op) {
			continue
		}
		switch op.Description {
		case "Starting instance", "Starting container":
			started = latest(started, op.CreatedAt)
		case "Stopping instance", "Stopping container":
			stopped = latest(stopped, op.CreatedAt)
		}
	}
	return stopped.After(started)
}

// concerns tells whether the operation is one on the instance.
func (i *Instance) concerns(op api.Operation) bool {
	for _, of := range op.Resources {
		for _, url := range of {
			if name, _, _ := strings.Cut(path.Base(url), "?"); name == i.name {
				return true
			}
		}
	}
	return false
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
