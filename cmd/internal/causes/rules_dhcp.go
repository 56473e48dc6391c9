package causes

import (
	"regexp"
	"slices"
	"strings"
)

var (
	lease        = regexp.MustCompile(`udhcpc: lease of (\S+) obtained|dhclient(?:\[\d+\])?: (?:DHCPACK of|bound to) (\S+)`)
	clientScript = regexp.MustCompile(`(?m)(?:udhcpc|dhclient)\b.* -sf? (/\S+)`)
	openRCNet    = regexp.MustCompile(`(?m)^\s+(networking|net\.\S+|dhcpcd|NetworkManager|connman|systemd-networkd|ifupdown-ng)\s`)
)

// unsetLease is about a DHCP client that got an address, whose script did not give it
// to the interface.
func unsetLease(s *scene) []Finding {
	if len(s.links) == 0 {
		return nil
	}
	fields := s.link(s.links[0])
	if fields == nil {
		return nil
	}
	for _, place := range []string{"journal-network", "syslog", "rc.log", "console"} {
		m := lease.FindStringSubmatch(s.evidence[place])
		if m == nil {
			continue
		}
		address := m[1] + m[2]
		if slices.Contains(fields, address) {
			return nil
		}
		script := "its script"
		if named := clientScript.FindStringSubmatch(s.evidence["processes"]); named != nil {
			script += " " + named[1]
		} else if strings.Contains(m[0], "dhclient") {
			script += " dhclient-script"
		}
		return one(place, "the DHCP client has a lease of %s, but %s has not set the address: it is missing, or does not work", address, script)
	}
	return nil
}

// noRunlevel is about a system of OpenRC's that no runlevel starts a network of.
func noRunlevel(s *scene) []Finding {
	status := s.evidence["rc-status"]
	if !strings.Contains(status, "Runlevel: default") || openRCNet.MatchString(status) || s.client() || s.managed() {
		return nil
	}
	return one("rc-status", "no runlevel of OpenRC has a service for the network, such as networking")
}
