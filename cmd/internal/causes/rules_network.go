package causes

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// networkRules are about addresses and routes.
func networkRules() []rule {
	both := ipv4 | ipv6
	return []rule{
		{"a masked network service", ipv4 | dns, line("network-units", `(?m)^(\S+\.service)\s+masked`, "$1 is masked")},
		{"ifupdown's configuration", both, line("journal-network rc.log boot.log console", `(?:ifup|ifquery): (/etc/network/\S+:\d+: [^\r\n]+)`, "$1")},
		{"ifupdown's configuration is gone", both, line("journal-network rc.log", `ifup: couldn't (?:open|read) interfaces file "([^"]+)"`, "ifup cannot read $1")},
		{"no stanza", ipv4, noStanza},
		{"no DHCP client", ipv4, noClient},
		{"networkd's configuration", both, line("journal-network", `(/(?:etc|run|usr/lib)/systemd/network/\S+:\d+): ([^\r\n]+)`, "$1: $2")},
		{"no .network file", both, noNetworkFile},
		{"networkd without udev", both, func(s *scene) []Finding {
			if where, _ := s.program("systemd-udevd"); where == "missing" && s.runs("systemd-networkd") {
				return one("programs", "systemd-networkd waits for systemd-udevd, which is not there")
			}
			return nil
		}},
		{"a lease that was not set", ipv4, unsetLease},
		{"OpenRC starts no network", ipv4, noRunlevel},
		{"nothing configures the network", ipv4, noManager},
		{"no DHCP offers", ipv4, once(
			line("journal-network syslog", `No DHCPOFFERS received`, "no DHCP server answered dhclient: No DHCPOFFERS received"),
			line("journal-network syslog console rc.log", `udhcpc: no lease, failing`, "no DHCP server answered udhcpc: no lease, failing"),
			line("journal-network", `(\S+): DHCPv4 client: (?:timed out|Failed[^\r\n]*)`, "no DHCP server answered systemd-networkd on $1"),
			line("journal-network syslog", `dhcpcd\[\d+\]: (\S+): timed out`, "no DHCP server answered dhcpcd on $1"))},
		{"a DHCP client that cannot run", ipv4, line("journal-network syslog rc.log console", `(?:can't|cannot|unable to) (?:create|open) raw socket[^\r\n]*|(?:udhcpc|dhclient|dhcpcd): (?:not found|Permission denied)[^\r\n]*`, "the DHCP client cannot run: $0")},
		{"a static address", ipv4, staticAddress},
		{"IPv6 is off", ipv6, noIPv6},
		{"router advertisements are ignored", ipv6, noAdvertisements},
		{"no router advertisement", ipv6, noRouter},
		{"a network script", both, whereFailed(line("journal-network", `(?m)(?:ifup|if-up|ifup@\S+)\[\d+\]: (run-parts: [^\r\n]+|[^\r\n]*: (?:not found|No such file or directory))`, "$1"))},
		{"OpenRC's network", both, line("rc.log console rc-status", `(?m)ERROR: (networking|net\.\S+|dhcpcd|NetworkManager)(?:[^\r\n]*)failed to start`, "$1 failed to start")},
		{"a link that is down", both, func(s *scene) []Finding {
			for _, name := range s.links {
				if f := s.link(name); len(f) > 1 && f[1] == "down" {
					return one("links", "%s is down: nothing has brought it up, or it has no carrier", name)
				}
			}
			return nil
		}},
		{"a firewall", both | dns, firewall},
	}
}

// whereFailed looks only where the network's own service has failed: scripts complain of
// much that does no harm.
func whereFailed(find func(*scene) []Finding) func(*scene) []Finding {
	return func(s *scene) []Finding {
		if !strings.Contains(s.evidence["failed-units"], "networking.service") && !strings.Contains(s.evidence["failed-units"], "ifup@") {
			return nil
		}
		return find(s)
	}
}

// managed tells whether a program that manages networks runs.
func (s *scene) managed() bool {
	return slices.ContainsFunc([]string{"systemd-networkd", "NetworkManager", "connmand", "wickedd", "dhcpcd"}, s.runs)
}

// networkManagers are the services that bring networks up.
func networkManagers() []string {
	return []string{"networking", "systemd-networkd", "NetworkManager", "dhcpcd", "connman", "wicked"}
}

// unitState says of a service of the network whether it is enabled.
func (s *scene) unitState(name string) string {
	for line := range strings.Lines(s.evidence["network-units"]) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name+".service" {
			return f[1]
		}
	}
	return ""
}

// enabled tells whether a service that brings networks up is.
func (s *scene) enabled() bool {
	return slices.ContainsFunc(networkManagers(), func(n string) bool { return strings.HasPrefix(s.unitState(n), "enabled") })
}

// client tells whether a DHCP client runs.
func (s *scene) client() bool {
	return slices.ContainsFunc([]string{"dhclient", "udhcpc", "dhcpcd"}, s.runs)
}

var (
	stanza  = regexp.MustCompile(`(?m)^\s*iface\s+(\S+)\s+(\S+)\s+(\S+)`)
	started = regexp.MustCompile(`(?m)^\s*(?:auto|allow-\S+)\s+(.*)$`)
)

// interfaces is the whole configuration of ifupdown, where that is what brings the
// network up.
func (s *scene) interfaces() (text string, ok bool) {
	if !s.hasProgram("ifup") || s.managed() {
		return "", false
	}
	for _, f := range s.sections("network-config") {
		if strings.HasPrefix(f.file, "/etc/network/interfaces") {
			text += f.text + "\n"
			ok = true
		}
	}
	return text, ok
}

// noStanza is about an interface that ifupdown knows nothing of, or does not
// start.
func noStanza(s *scene) []Finding {
	text, ok := s.interfaces()
	if !ok {
		if fact := s.fileFact("/etc/network/interfaces"); fact == "missing" && s.hasProgram("ifup") && !s.managed() && !s.client() {
			return one("files", "/etc/network/interfaces is missing")
		}
		return nil
	}
	var autos []string
	for _, m := range started.FindAllStringSubmatch(text, -1) {
		autos = append(autos, strings.Fields(m[1])...)
	}
	for _, name := range s.links {
		matches := func(pattern string) bool { // ifupdown has patterns as in eth* and /eth*
			ok, err := path.Match(strings.TrimPrefix(pattern, "/"), name)
			return err == nil && ok
		}
		var there, inet bool
		for _, m := range stanza.FindAllStringSubmatch(text, -1) {
			if matches(m[1]) {
				there = true
				inet = inet || m[2] == "inet"
			}
		}
		switch {
		case !there:
			return one("network-config", "%s is in no stanza of /etc/network/interfaces", name)
		case !slices.ContainsFunc(autos, matches):
			return one("network-config", "nothing starts %s: no auto or allow-hotplug line of /etc/network/interfaces names it", name)
		case !inet:
			return one("network-config", "/etc/network/interfaces has no inet stanza for %s, only inet6", name)
		}
	}
	return nil
}

// noClient is about a network that is to be configured by DHCP without a client.
func noClient(s *scene) []Finding {
	if s.client() || s.managed() {
		return nil
	}
	clients := []string{"dhclient", "udhcpc", "dhcpcd"}
	for _, c := range clients {
		if where, ok := s.program(c); ok && strings.HasSuffix(where, "(not executable)") {
			return one("programs", "the DHCP client %s may not be executed", strings.TrimSuffix(where, " (not executable)"))
		}
	}
	if slices.ContainsFunc(clients, s.hasProgram) || !s.hasProgram("ifup") {
		return nil
	}
	text, _ := s.interfaces()
	for _, m := range stanza.FindAllStringSubmatch(text, -1) {
		if m[3] == "dhcp" {
			return one("programs", "no DHCP client: ifup is there but dhclient is not, nor udhcpc or dhcpcd")
		}
	}
	return nil
}

var networkKey = regexp.MustCompile(`(?m)^\s*(Name|DHCP|IPv6AcceptRA|LinkLocalAddressing|Unmanaged)\s*=\s*([^\r\n]*)$`)

// noNetworkFile is about what systemd-networkd was told of an interface.
func noNetworkFile(s *scene) []Finding {
	if !s.runs("systemd-networkd") || s.runs("NetworkManager") || len(s.links) == 0 {
		return nil
	}
	for _, f := range s.sections("network-config") {
		if !strings.HasSuffix(f.file, ".network") {
			continue
		}
		values, named := map[string]string{}, false
		for _, m := range networkKey.FindAllStringSubmatch(f.text, -1) {
			named = named || m[1] == "Name"
			values[m[1]] = strings.ToLower(strings.TrimSpace(m[2]))
		}
		if named && !slices.ContainsFunc(strings.Fields(values["Name"]), func(glob string) bool {
			ok, err := path.Match(glob, s.links[0])
			return err == nil && ok
		}) {
			continue
		}
		return s.networkFile(f, values)
	}
	if s.evidence["network-config"] == "" && s.evidence["programs"] == "" {
		return nil
	}
	return one("network-config", "%s matches no .network file: systemd-networkd leaves it alone", s.links[0])
}

// networkFile says what a .network file keeps the interface from.
func (s *scene) networkFile(f section, values map[string]string) []Finding {
	static := strings.Contains(f.text, "Address=")
	off := func(v string) bool { return v == "no" || v == "false" || v == "0" || v == "off" }
	dhcp, given := values["DHCP"]
	switch {
	case s.about&ipv4 != 0 && !static && (!given || off(dhcp)):
		return one("network-config", "%s asks for no DHCP and has no Address", f.file)
	case s.about&ipv4 != 0 && !static && (dhcp == "ipv6" || dhcp == "v6"):
		return one("network-config", "%s says DHCP=%s: nothing asks for IPv4", f.file, dhcp)
	case s.about&ipv6 != 0 && off(values["IPv6AcceptRA"]):
		return one("network-config", "%s says IPv6AcceptRA=%s", f.file, values["IPv6AcceptRA"])
	case s.about&ipv6 != 0 && (off(values["LinkLocalAddressing"]) || values["LinkLocalAddressing"] == "ipv4"):
		return one("network-config", "%s says LinkLocalAddressing=%s", f.file, values["LinkLocalAddressing"])
	}
	return nil
}

// noManager is about a guest in which nothing brings the network up.
func noManager(s *scene) []Finding {
	if s.evidence["processes"] == "" || s.evidence["programs"] == "" || s.managed() || s.client() || len(s.links) == 0 {
		return nil
	}
	if f := s.link(s.links[0]); f == nil || slices.ContainsFunc(f, func(w string) bool { return strings.Count(w, ".") == 3 }) {
		return nil // it is not there, or has an address
	}
	for _, unit := range networkManagers() {
		if s.unitState(unit) == "disabled" && (unit != "networking" || s.hasProgram("ifup")) && !s.enabled() {
			return one("network-units", "%s.service is disabled, and nothing else configures the network", unit)
		}
	}
	if s.enabled() || s.hasProgram("ifup") {
		return nil // what it has done is in its log
	}
	if where, ok := s.program("udhcpc"); ok {
		return one("processes", "nothing runs a DHCP client: %s is there", where)
	}
	if s.hasProgram("systemd-networkd") || s.hasProgram("NetworkManager") || s.hasProgram("dhcpcd") || s.hasProgram("dhclient") {
		return one("processes", "no program that configures networks runs")
	}
	return one("programs", "nothing is there that configures the network: no ifup, systemd-networkd, NetworkManager, dhcpcd or udhcpc")
}

// staticAddress is about an interface that was given an address of its own.
func staticAddress(s *scene) []Finding {
	text, ok := s.interfaces()
	if !ok {
		return nil
	}
	for _, name := range s.links {
		block := regexp.MustCompile(`(?ms)^\s*iface\s+` + regexp.QuoteMeta(name) + `\s+inet\s+static\b(.*?)(?:^\s*(?:iface|auto|allow-|mapping|source)|\z)`).FindStringSubmatch(text)
		if block == nil {
			continue
		}
		if !regexp.MustCompile(`(?m)^\s*gateway\s`).MatchString(block[1]) {
			return one("network-config", "/etc/network/interfaces gives %s a static address without a gateway", name)
		}
		return one("network-config", "/etc/network/interfaces gives %s a static address instead of DHCP", name)
	}
	return nil
}

var (
	disables = regexp.MustCompile(`(?m)disable_ipv6\s*=\s*1`)
	ignores  = regexp.MustCompile(`(?m)accept_ra\s*=\s*0`)
)

// noIPv6 is about IPv6 that was switched off.
func noIPv6(s *scene) []Finding {
	if strings.Contains(s.evidence["network-sysctl"], "net/ipv6 missing") {
		return one("network-sysctl", "the kernel has no IPv6 (ipv6.disable=1, or it is not built in)")
	}
	for _, name := range append([]string{"all"}, s.links...) {
		key := "net/ipv6/conf/" + name + "/disable_ipv6"
		if s.sysctl(key) == "1" {
			return one("network-sysctl", "IPv6 is disabled: %s = 1%s", dotted(key), in(s.fileWith("network-config", disables)))
		}
	}
	return nil
}

// noAdvertisements is about an interface that does not listen to routers. Programs
// that listen themselves switch the kernel's own listening off.
func noAdvertisements(s *scene) []Finding {
	if s.managed() {
		return nil
	}
	for _, name := range s.links {
		key := "net/ipv6/conf/" + name + "/accept_ra"
		if s.sysctl(key) == "0" {
			return one("network-sysctl", "%s ignores router advertisements: %s = 0%s", name, dotted(key), in(s.fileWith("network-config", ignores)))
		}
		if key := "net/ipv6/conf/" + name + "/autoconf"; s.sysctl(key) == "0" {
			return one("network-sysctl", "%s takes no address from router advertisements: %s = 0", name, dotted(key))
		}
	}
	return nil
}

// noRouter is about an interface that is ready and was told nothing.
func noRouter(s *scene) []Finding {
	for _, name := range s.links {
		f := s.link(name)
		local, others := false, false
		for _, w := range f {
			if strings.HasPrefix(w, "fe80:") {
				local = true
			} else if strings.Contains(w, ":") {
				others = true
			}
		}
		if local && !others && !slices.Contains(f, "default-ipv6-route") && !s.managed() && s.sysctl("net/ipv6/conf/"+name+"/accept_ra") == "1" {
			return one("links", "%s has only its link-local IPv6 address: no router advertisement came", name)
		}
	}
	return nil
}

func dotted(key string) string { return strings.ReplaceAll(key, "/", ".") }

var inputChain = regexp.MustCompile(`(?s)table (\w+ \S+) \{[^{}]*?(?:\{[^{}]*\}[^{}]*?)*?chain (\S+) \{\s*type filter hook (input|output) [^{};]*; policy drop;`)

// firewall is about rules that drop all that they do not know.
func firewall(s *scene) []Finding {
	var found []Finding
	for _, m := range inputChain.FindAllStringSubmatch(s.evidence["firewall"], 4) {
		found = append(found, Finding{fmt.Sprintf("the image's firewall drops %s: nft table %s, chain %s, policy drop", m[3], m[1], m[2]), "firewall"})
	}
	return found
}
