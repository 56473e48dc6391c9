package lxd

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// Config describes how the instance is configured, its profiles included, a
// setting on each line. Values that people put secrets into are left out: what is
// given to cloud-init, environments, raw configuration.
func (i *Instance) Config(ctx context.Context) (string, error) {
	found, err := i.server.instance(ctx, i.server.project, i.name)
	if err != nil {
		return "", i.wrap("config", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\ntype: %s\narchitecture: %s\nprofiles: %s\nlocation: %s\n",
		found.Name, found.Type, found.Architecture, strings.Join(found.Profiles, ", "), found.Location)
	for _, key := range slices.Sorted(maps.Keys(found.ExpandedConfig)) {
		value := found.ExpandedConfig[key]
		if private(key) {
			value = "…"
		}
		fmt.Fprintf(&b, "config %s: %q\n", key, value)
	}
	for _, name := range slices.Sorted(maps.Keys(found.ExpandedDevices)) {
		device := found.ExpandedDevices[name]
		fmt.Fprintf(&b, "device %s:", name)
		for _, key := range slices.Sorted(maps.Keys(device)) {
			fmt.Fprintf(&b, " %s=%q", key, device[key])
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

func private(key string) bool {
	if strings.HasPrefix(key, "user.icepak.") {
		return false
	}
	return slices.ContainsFunc([]string{"user.", "cloud-init.", "environment.", "raw."}, func(p string) bool { return strings.HasPrefix(key, p) })
}

// DescribeState describes, as JSON, what the server knows of the running instance: its
// status, process, addresses, and what it uses of memory and disk.
func (i *Instance) DescribeState(ctx context.Context) (string, error) {
	var state *api.InstanceState
	err := i.server.call(ctx, func(c client.InstanceServer) (err error) {
		state, _, err = c.GetInstanceState(i.name)
		return err
	})
	if err != nil {
		return "", i.wrap("state", err)
	}
	text, err := json.MarshalIndent(state, "", "  ")
	return string(text), i.wrap("state", err)
}
