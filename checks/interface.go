package checks

import (
	"context"
	"slices"
)

// Interface is a network interface.
type Interface struct {
	Common
	Name   string  `json:"name,omitempty"`
	Exists Matcher `json:"exists,omitzero" kind:"bool"`
	Addrs  Matcher `json:"addrs,omitzero" kind:"list"` // in CIDR notation
	MTU    Matcher `json:"mtu,omitzero" kind:"int"`
}

// Evaluate asks the kernel.
func (i *Interface) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	list := sys.Interfaces
	if list == nil {
		list = localInterfaces
	}
	ifaces, err := fact(ctx, &sys.facts, "interfaces", list)
	name := i.id(i.Name)
	at := slices.IndexFunc(ifaces, func(n NetInterface) bool { return n.Name == name })
	var found NetInterface
	switch {
	case err != nil:
		r.noPresence("exists", i.Exists, inconclusive{err})
	case at < 0:
		r.presence("exists", i.Exists, false, "no such interface")
	default:
		found = ifaces[at]
		r.presence("exists", i.Exists, true, "")
	}
	r.match("addrs", i.Addrs, found.Addrs)
	r.match("mtu", i.MTU, found.MTU)
	return r.list
}
