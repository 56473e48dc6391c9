package causes

import (
	"path"
	"regexp"
	"strconv"
	"strings"
)

// What follows reads the pieces that the probe makes itself.

// fileFact is what is known of a file: its mode and owner, and where a link leads.
// It is empty where nobody looked.
func (s *scene) fileFact(name string) string {
	for line := range strings.Lines(s.evidence["files"]) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// program is where a program is, and whether it was looked for and found.
func (s *scene) program(name string) (where string, ok bool) {
	for line := range strings.Lines(s.evidence["programs"]) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			where = strings.TrimSpace(rest)
			return where, where != "missing"
		}
	}
	return "", false
}

func (s *scene) hasProgram(name string) bool {
	_, ok := s.program(name)
	return ok
}

// runs tells whether a process of that name is there.
func (s *scene) runs(name string) bool {
	for line := range strings.Lines(s.evidence["processes"]) {
		f := strings.Fields(line)
		if len(f) > 4 && f[2] != "Z" && (path.Base(f[4]) == name || len(f) > 5 && path.Base(f[4]) == "busybox" && f[5] == name) {
			return true
		}
	}
	return false
}

// nameservers are those of resolv.conf.
func (s *scene) nameservers() []string {
	var all []string
	for line := range strings.Lines(s.evidence["resolv.conf"]) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			all = append(all, f[1])
		}
	}
	return all
}

// link is an interface's line among the kernel's.
func (s *scene) link(name string) (fields []string) {
	for line := range strings.Lines(s.evidence["links"]) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			return f
		}
	}
	return nil
}

// allLinks are the interfaces that there are, but for the loopback.
func (s *scene) allLinks() []string {
	var all []string
	for line := range strings.Lines(s.evidence["links"]) {
		if name, _, ok := strings.Cut(line, " "); ok && name != "lo" && len(all) < 4 {
			all = append(all, name)
		}
	}
	return all
}

// routed tells whether some interface leads to other networks.
func (s *scene) routed() bool {
	links := s.evidence["links"]
	return links == "" || strings.Contains(links, "default-ipv4-route")
}

// sysctl is a kernel parameter of the network, or empty.
func (s *scene) sysctl(name string) string {
	for line := range strings.Lines(s.evidence["network-sysctl"]) {
		if rest, ok := strings.CutPrefix(line, name+" = "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// A section is one of the files that a piece holds.
type section struct{ file, text string }

var sectionHeader = regexp.MustCompile(`(?m)^==> ([^\r\n]+) <==$`)

// sections takes a piece of several files apart.
func (s *scene) sections(piece string) []section {
	text := s.evidence[piece]
	var all []section
	marks := sectionHeader.FindAllStringSubmatchIndex(text, -1)
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		all = append(all, section{text[m[2]:m[3]], text[m[1]:end]})
	}
	return all
}

// fileWith is the first file of a piece with a match, or empty.
func (s *scene) fileWith(piece string, pattern *regexp.Regexp) string {
	for _, f := range s.sections(piece) {
		if pattern.MatchString(f.text) {
			return f.file
		}
	}
	return ""
}

// in says in which file something stands, behind a text.
func in(file string) string {
	if file == "" {
		return ""
	}
	return " (" + file + ")"
}

// A mount is a mounted file system as the probe measured it.
type mount struct {
	point, typ      string
	readOnly        bool
	bytes, free     uint64
	used, inodeUsed int // percent; -1 where it has no such number
}

func (s *scene) mounts() []mount {
	var all []mount
	for line := range strings.Lines(s.evidence["filesystems"]) {
		f := strings.Fields(line)
		if len(f) != 9 || !strings.HasPrefix(f[0], "/") {
			continue
		}
		m := mount{point: f[0], typ: f[1], readOnly: f[2] == "ro", used: percent(f[5]), inodeUsed: percent(f[8])}
		m.bytes, _ = strconv.ParseUint(f[3], 10, 64) // what is no number is none
		m.free, _ = strconv.ParseUint(f[4], 10, 64)
		all = append(all, m)
	}
	return all
}

func percent(s string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	if err != nil {
		return -1
	}
	return n
}
