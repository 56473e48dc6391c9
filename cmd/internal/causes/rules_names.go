package causes

import (
	"regexp"
	"strings"
)

var (
	silent  = regexp.MustCompile(`(?i)i/o timeout|timed out|connection refused|no servers could be reached|temporary failure|try again|network is unreachable`)
	hosts   = regexp.MustCompile(`(?m)^\s*hosts:([^\r\n#]*)`)
	refused = regexp.MustCompile(`on (\S+?):53: [^\n]*`)
)

// nameRules are about looking names up.
func nameRules() []rule {
	return []rule{
		{"resolv.conf", dns, resolvConf},
		{"resolved does not run", dns, func(s *scene) []Finding {
			for _, server := range s.nameservers() {
				if (server == "127.0.0.53" || server == "127.0.0.54") && s.evidence["processes"] != "" && !s.runs("systemd-resolved") {
					return one("resolv.conf", "/etc/resolv.conf asks %s, where systemd-resolved does not run", server)
				}
			}
			return nil
		}},
		{"nsswitch.conf", dns, func(s *scene) []Finding {
			m := hosts.FindStringSubmatch(s.evidence["nsswitch.conf"])
			if m == nil || strings.Contains(m[1], "dns") || strings.Contains(m[1], "resolve") {
				return nil
			}
			return one("nsswitch.conf", "/etc/nsswitch.conf looks hosts up in %s only, not in dns", strings.Join(strings.Fields(m[1]), ", "))
		}},
		{"a name server that does not answer", dns, func(s *scene) []Finding {
			if !silent.MatchString(s.said) || s.about&^(dns|output0) == ipv4|ipv6 {
				return nil
			}
			for _, server := range s.nameservers() {
				for _, m := range refused.FindAllStringSubmatch(s.said, maxMatches) {
					if strings.Trim(m[1], "[]") == server && silent.MatchString(m[0]) {
						return one("resolv.conf", "the name server %s of /etc/resolv.conf does not answer", server)
					}
				}
			}
			if servers := s.nameservers(); len(servers) == 1 && regexp.MustCompile(`(?i)timed out|temporary failure`).MatchString(s.said) && !strings.HasPrefix(servers[0], "127.") {
				return one("resolv.conf", "the name server %s of /etc/resolv.conf gives no answer", servers[0])
			}
			return nil
		}},
		{"hosts", dns, func(s *scene) []Finding {
			for _, r := range s.failed {
				if r.Type == "dns" && r.ID == "localhost" && !strings.Contains(s.evidence["hosts"], "localhost") {
					return one("hosts", "/etc/hosts does not name localhost")
				}
			}
			return nil
		}},
	}
}

// resolvConf is about the file that says whom to ask.
func resolvConf(s *scene) []Finding {
	const name = "/etc/resolv.conf"
	fact := s.fileFact(name)
	_, target, link := strings.Cut(fact, "-> ")
	target, _, _ = strings.Cut(target, " ")
	switch {
	case fact == "":
		return nil
	case fact == "missing" && s.routed(): // else it is the network that nobody wrote one for
		return one("files", "%s is missing", name)
	case link && strings.HasSuffix(fact, "(dangling)"):
		return one("files", "%s is a dangling link to %s%s", name, target, s.resolved(target))
	case fact != "missing" && len(s.nameservers()) == 0 && s.routed():
		return one("files", "%s names no nameserver", name)
	case !link && len(fact) > 7 && fact[0] == '-' && fact[7] != 'r':
		return one("files", "%s is readable by root only: %s", name, strings.Fields(fact)[0])
	}
	return nil
}

// resolved says of a file that systemd-resolved makes whether that is there.
func (s *scene) resolved(target string) string {
	switch {
	case !strings.Contains(target, "systemd/resolve") || s.evidence["programs"] == "":
		return ""
	case !s.hasProgram("systemd-resolved"):
		return ": systemd-resolved is not there"
	case s.evidence["processes"] != "" && !s.runs("systemd-resolved"):
		return ": systemd-resolved does not run"
	}
	return ""
}
