package causes

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/upmaru/icepak/checks"
)

// A scene is a failure with its evidence.
type scene struct {
	evidence map[string]string
	failed   []checks.Result
	said     string // what the failed results say: messages, outputs, and texts found
	about    topic
	links    []string // the interfaces at issue
	units    []string // the services at issue
}

func newScene(results []checks.Result, evidence map[string]string) *scene {
	s := &scene{evidence: evidence, about: output0}
	var said strings.Builder
	for _, r := range results {
		if r.Verdict != checks.Fail && r.Verdict != checks.Error {
			continue
		}
		s.failed = append(s.failed, r)
		s.about |= s.topicOf(r)
		said.WriteString(r.Message + "\n" + r.Output + "\n")
		if text, ok := r.Actual.(string); ok {
			said.WriteString(text + "\n")
		}
	}
	s.said = said.String()
	for _, lead := range leads() {
		if lead.pattern.MatchString(s.said) {
			s.about |= lead.to
		}
	}
	if len(s.links) == 0 {
		s.links = s.allLinks()
	}
	// Without a server to ask, names are a matter of how the network came up.
	if s.about&dns != 0 && len(s.nameservers()) == 0 {
		s.about |= ipv4
	}
	return s
}

// topicOf is what a failed result is about by its type.
func (s *scene) topicOf(r checks.Result) topic {
	switch r.Type {
	case "network", "interface":
		s.links = add(s.links, s.linkNamed(r.ID))
		switch r.Property {
		case "ipv4", "gateway4":
			return ipv4
		case "ipv6", "gateway6":
			return ipv6
		case "nameservers":
			return dns
		}
		return ipv4 | ipv6
	case "addr", "http":
		return reaching(r.ID)
	case "dns":
		return dns
	case "package":
		return packages
	case "service":
		s.units = add(s.units, unitOf(r.ID))
		return services
	case "process", "port":
		return services
	case "boot":
		return boot | services
	case "mount":
		return disk | files
	case "clock":
		return clock
	case "nvidia-smi", "amd-smi", "rocm-smi":
		return gpu
	case "file", "find", "accounts", "user", "group":
		return files
	}
	return 0
}

// linkNamed is the interface that a resource looks at: a glob is for the first that it
// matches.
func (s *scene) linkNamed(id string) string {
	if !strings.ContainsAny(id, `*?[\`) {
		return id
	}
	for _, name := range s.allLinks() {
		if ok, err := path.Match(id, name); err == nil && ok {
			return name
		}
	}
	return ""
}

// reaching is what a failure to reach an address is about: the guest itself, or the
// network.
func reaching(id string) topic {
	u, err := url.Parse(id)
	if err != nil {
		return 0
	}
	host, secure := u.Hostname(), topic(0)
	if u.Scheme == "https" {
		secure = tls
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case host == "localhost", err == nil && addr.IsLoopback():
		return services | secure
	case err != nil:
		return ipv4 | ipv6 | dns | secure
	case addr.Is4():
		return ipv4 | secure
	}
	return ipv6 | secure
}

type lead struct {
	pattern *regexp.Regexp
	to      topic
}

// leads say by what a check has printed what else it is about.
var leads = sync.OnceValue(func() []lead {
	var all []lead
	for _, l := range []struct {
		pattern string
		to      topic
	}{
		{`(?i)temporary failure (in name )?resol|could not resolve|couldn't resolve|name or service not known|no such host|server misbehaving|bad address|temporary error \(try again|lookup \S+( on \S+)?:`, dns},
		{`(?i)network is unreachable|no route to host|cannot assign requested address`, ipv4 | ipv6},
		{`(?i)no space left on device|disk full|not enough free (disk )?space|don't have enough free space|read-only file ?system|disk quota exceeded|write error`, disk},
		{`(?i)certificate|x509|\bSSL\b|\bTLS\b|error adding trust anchors|CAfile`, tls},
		{`(?i)not live until|not (yet )?valid( yet|,| until)|is expired|has expired|in the future`, clock},
		{`(?i)cannot allocate memory|out of memory|oom|signal: killed|\bKilled\b|exit (code )?137`, memory},
		{`(?i)failed to start|job for \S+ failed|invoke-rc\.d|is masked|not running|script subprocess returned error`, services},
		{`(?i)setlocale|locale|LC_ALL`, locale},
		{`(?m)^E: |dpkg|\bapt(-get)?\b|\bdnf\b|\bzypper\b|\bpacman\b|\bapk (add|update)\b|unable to select packages`, packages},
		{`(?i)nvidia|nvml`, gpu},
		{`(?i)permission denied|temporary file`, files},
	} {
		all = append(all, lead{regexp.MustCompile(l.pattern), l.to})
	}
	return all
})

// at returns the texts of the pieces that the name matches, with their names in
// order: output, a piece's name, or one that ends with a star.
func (s *scene) at(where string) (names, texts []string) {
	prefix, star := strings.CutSuffix(where, "*")
	switch {
	case where == output:
		return []string{output}, []string{s.said}
	case !star:
		if text := s.evidence[where]; text != "" {
			return []string{where}, []string{text}
		}
		return nil, nil
	}
	for name := range s.evidence {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		texts = append(texts, s.evidence[name])
	}
	return names, texts
}

// maxMatches bounds how often one pattern is looked for in one piece.
const maxMatches = 20

// line is a rule's find that says something for each match of a pattern in the
// pieces: what it says holds $1 for what a group has matched, and $unit for the
// rest of the name of a piece whose name ends with a star in where.
func line(where, pattern, say string) func(*scene) []Finding {
	re := regexp.MustCompile(pattern)
	return func(s *scene) []Finding {
		var found []Finding
		for _, place := range strings.Fields(where) {
			names, texts := s.at(place)
			for i, text := range texts {
				unit := strings.TrimPrefix(names[i], strings.TrimSuffix(place, "*"))
				if place == "journal-*" && (!strings.Contains(unit, ".") || !s.concerns(unit)) {
					continue // not a service's, or not that of one that is at issue
				}
				say := strings.ReplaceAll(say, "$unit", strings.ReplaceAll(unit, "$", "$$"))
				for _, m := range re.FindAllStringSubmatchIndex(text, maxMatches) {
					found = append(found, Finding{string(re.ExpandString(nil, say, text, m)), names[i]})
				}
			}
		}
		return found
	}
}

// concerns tells whether the service is one that is at issue: all are where none
// is named.
func (s *scene) concerns(unit string) bool {
	return len(s.units) == 0 || slices.Contains(s.units, unit)
}

// once returns at most the first of what the finds find.
func once(finds ...func(*scene) []Finding) func(*scene) []Finding {
	return func(s *scene) []Finding {
		for _, find := range finds {
			if found := find(s); len(found) > 0 {
				return found[:1]
			}
		}
		return nil
	}
}

// one is a finding, if there is anything to say.
func one(piece, format string, args ...any) []Finding {
	return []Finding{{fmt.Sprintf(format, args...), piece}}
}

// unitOf is the name of a service's unit.
func unitOf(service string) string {
	if strings.Contains(service, ".") {
		return service
	}
	return service + ".service"
}

func add(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
