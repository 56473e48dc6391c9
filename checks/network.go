package checks

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// Network is how a network interface is connected. Its key is the interface's
// name, or a glob, as e*, for the first that it matches. Unlike Interface it asks what works, not what is configured: an
// address counts only when the guest can use it to talk to other networks.
type Network struct {
	Common
	Name        string  `json:"name,omitempty"`
	IPv4        Matcher `json:"ipv4,omitzero" kind:"bool"`
	IPv6        Matcher `json:"ipv6,omitzero" kind:"bool"`
	Gateway4    Matcher `json:"gateway4,omitzero" kind:"bool"`
	Gateway6    Matcher `json:"gateway6,omitzero" kind:"bool"`
	Nameservers Matcher `json:"nameservers,omitzero" kind:"list"`
}

// A Link is a network interface as the kernel knows it.
type Link struct {
	Name     string
	Loopback bool
	Down     bool // switched off, or without a carrier
	Addrs    []LinkAddr
	// Gateway4 and Gateway6 say that a default route leads through it.
	Gateway4, Gateway6 bool
}

// A LinkAddr is an address of a Link and its state.
type LinkAddr struct {
	Addr       netip.Addr
	Tentative  bool // its uniqueness is still tested
	Duplicate  bool // the test found another host that has it
	Deprecated bool // its preferred lifetime is over
}

// flaw says why other networks cannot be reached from the address, or is empty.
func (a LinkAddr) flaw() string {
	switch {
	case a.Addr.IsLinkLocalUnicast():
		return "link-local"
	case !a.Addr.IsGlobalUnicast():
		return "not global"
	case a.Duplicate:
		return "duplicate"
	case a.Tentative:
		return "tentative"
	case a.Deprecated:
		return "deprecated"
	}
	return ""
}

// of tells whether the address is of the family: ipv4, ipv6.
func (a LinkAddr) of(family string) bool {
	return family == "ipv4" && a.Addr.Is4() || family == "ipv6" && a.Addr.Is6()
}

// has tells whether the link has a usable address of the family.
func (l Link) has(family string) bool {
	return !l.Down && slices.ContainsFunc(l.Addrs, func(a LinkAddr) bool { return a.of(family) && a.flaw() == "" })
}

// lacks says what the link has instead of a usable address of the family.
func (l Link) lacks(family string) string {
	if l.Down {
		return "the link is down"
	}
	var has []string
	for _, a := range l.Addrs {
		if a.of(family) {
			has = append(has, fmt.Sprintf("%s (%s)", a.Addr, a.flaw()))
		}
	}
	if len(has) == 0 {
		return "has no " + family + " address"
	}
	return "has no usable " + family + " address: " + strings.Join(has, ", ")
}

// Evaluate gives a result for each property that is asserted.
func (n *Network) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	link, err := sys.link(ctx, cmp.Or(n.Name, n.Key))
	if err != nil {
		r.errRest(err)
	}
	for _, family := range []struct {
		address, gateway string
		wants, wantsWay  Matcher
		way              bool
	}{
		{"ipv4", "gateway4", n.IPv4, n.Gateway4, link.Gateway4},
		{"ipv6", "gateway6", n.IPv6, n.Gateway6, link.Gateway6},
	} {
		has := link.has(family.address)
		if !r.match(family.address, family.wants, has) && err == nil && !has {
			r.explain(link.lacks(family.address))
		}
		if !r.match(family.gateway, family.wantsWay, family.way) && err == nil && !family.way {
			r.explain("no default " + family.address + " route leads through it")
		}
	}
	r.find("nameservers", n.Nameservers, func() (any, error) { return sys.nameservers() })
	return r.list
}

// ListLinks lists the links as the kernel has them now.
func (s *System) ListLinks() ([]Link, error) { return s.links() }

// links lists the links.
func (s *System) links() ([]Link, error) {
	read := s.Links
	if read == nil {
		read = readLinks
	}
	links, err := read()
	if err != nil {
		return nil, inconclusive{err}
	}
	return links, nil
}

// link returns the link of that name, or the first whose name the glob matches. The
// loopback interface has to be named.
func (s *System) link(ctx context.Context, name string) (Link, error) {
	links, err := fact(ctx, &s.facts, "links", s.links)
	if err != nil {
		return Link{}, err
	}
	names := make([]string, len(links))
	for i, l := range links {
		if ok, _ := path.Match(name, l.Name); l.Name == name || ok && !l.Loopback {
			return l, nil
		}
		names[i] = l.Name
	}
	return Link{}, fmt.Errorf("no such interface; there are %s", strings.Join(names, ", "))
}

// nameservers lists the servers that names are looked up from. Where
// resolv.conf names the stub of systemd-resolved, they are those that the stub
// asks.
func (s *System) nameservers() ([]string, error) {
	servers, err := s.resolvConf("/etc/resolv.conf")
	if err != nil {
		return nil, err
	}
	for _, server := range servers {
		if server == "127.0.0.53" || server == "127.0.0.54" {
			return s.resolvConf("/run/systemd/resolve/resolv.conf")
		}
	}
	return servers, nil
}

func (s *System) resolvConf(name string) ([]string, error) {
	data, err := readBounded(s.FS, fsPath(name), maxSystemFile)
	if err != nil {
		return nil, err
	}
	return parseResolvConf(data), nil
}

// parseResolvConf returns the addresses of the nameserver lines.
func parseResolvConf(data []byte) []string {
	servers := []string{}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "nameserver" {
			servers = append(servers, f[1])
		}
	}
	return servers
}
