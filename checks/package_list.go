package checks

import (
	"slices"
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
