package checks

import (
	"slices"
	"strings"
)

// A packageList is what a package manager has on its books. Where packages of
// several architectures can stand side by side, each is listed under its name
// alone and with its architecture.
type packageList struct {
	versions map[string][]string // of what is installed
	partial  map[string]string   // the state of what is there and not installed
	rules    versionRules
}

func newPackageList() packageList {
	return packageList{versions: map[string][]string{}, partial: map[string]string{}}
}

func (p packageList) add(version string, names ...string) {
	for _, name := range names {
		if !slices.Contains(p.versions[name], version) {
			p.versions[name] = append(p.versions[name], version)
		}
	}
}

// absence says of a package that is not installed how it is instead.
func (p packageList) absence(name string) string {
	if state, ok := p.partial[name]; ok {
		return "is not installed: its state is " + state
	}
	return "is not installed"
}

// parseDpkg reads lines of name, architecture, status and version, separated
// by tabs. The status is three words: what is wanted, whether it is broken, and
// what is there. A package that is on hold is installed like any other; one
// that is unpacked, half configured or removed down to its configuration is not.
func parseDpkg(out []byte) packageList {
	found := newPackageList()
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			continue
		}
		name, arch, status, version := f[0], f[1], f[2], f[3]
		switch status {
		case "install ok installed", "hold ok installed":
			found.add(version, name, name+":"+arch)
		default:
			found.partial[name], found.partial[name+":"+arch] = status, status
		}
	}
	return found
}

// parseRPM reads lines of name, architecture and version, separated by tabs.
func parseRPM(out []byte) packageList {
	found := newPackageList()
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) == 3 {
			found.add(f[2], f[0], f[0]+"."+f[1])
		}
	}
	return found
}

// parsePacman reads lines of name and version.
func parsePacman(out []byte) packageList {
	found := newPackageList()
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 2 {
			found.add(f[1], f[0])
		}
	}
	return found
}

// parseAPK reads apk's database of installed packages: paragraphs of letter,
// colon and value, of which P is the name and V the version.
func parseAPK(db []byte) packageList {
	found := newPackageList()
	for paragraph := range strings.SplitSeq(string(db), "\n\n") {
		var name, version string
		for line := range strings.Lines(paragraph) {
			switch key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":"); key {
			case "P":
				name = value
			case "V":
				version = value
			}
		}
		if name != "" && version != "" {
			found.add(version, name)
		}
	}
	return found
}

// errorLines returns the lines of a package manager's output that say what
// went wrong, with the indented ones that go on with them, or all of it where
// no line says so.
func errorLines(output string) string {
	var kept strings.Builder
	goesOn := false
	for line := range strings.Lines(output) {
		indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		if goesOn = indented && goesOn || saysError(line); goesOn {
			kept.WriteString(line)
		}
	}
	if kept.Len() == 0 {
		return output
	}
	return kept.String()
}

func saysError(line string) bool {
	for _, start := range []string{"E:", "Err:", "ERROR", "Error", "error", "fatal", "dpkg: error"} {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	return false
}
