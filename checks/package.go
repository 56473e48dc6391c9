package checks

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
)

// Package is a package of the distribution's package manager.
type Package struct {
	Common
	Name string `json:"name,omitempty"`
	// Install installs it first, as its user would.
	Install   bool    `json:"install,omitempty" asserts:"true"`
	Installed Matcher `json:"installed,omitzero" kind:"bool"`
	Versions  Matcher `json:"versions,omitzero" kind:"versions"`
}

// Evaluate gives a result for each property that is asserted. Where the
// installation failed it still looks whether the package is there.
func (p *Package) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	name := cmp.Or(p.Name, p.Key)
	if p.Install {
		if installed, err := sys.installPackage(ctx, name); err != nil {
			r.add(Result{Property: "install", Verdict: verdictOf(err), Message: oneLine(err.Error())})
			withOutput(r.list, err)
		} else if installed == "" {
			r.pass("install", nil)
		} else {
			r.pass("install", installed)
		}
	}
	if !p.Installed.IsSet() && !p.Versions.IsSet() {
		return r.list
	}
	installed := len(r.list)
	packages, err := sys.packages(ctx)
	if err != nil {
		r.errRest(err)
		r.match("installed", p.Installed, nil)
		r.match("versions", p.Versions, nil)
		withOutput(r.list[installed:], err)
		return r.list
	}
	versions := packages.versions[name]
	r.presence("installed", p.Installed, len(versions) > 0, packages.absence(name))
	r.match("versions", p.Versions.orderedBy(packages.rules), versions)
	return r.list
}

// installPackage installs the package, after the lists of packages have been
// fetched once in the run. It tells what is then installed: "nginx 1.22.1-9", or
// "nginx 1.22.1-9, already installed"; nothing of what is no package's own name, such
// as that of a group of packages.
func (s *System) installPackage(ctx context.Context, name string) (string, error) {
	manager, err := s.packageManager()
	if err != nil {
		return "", err
	}
	before, listErr := s.packages(ctx)
	if err := s.refreshPackages(ctx, manager); err != nil {
		return "", err
	}
	defer s.Refresh() // files, users and services may have come with it
	if err := s.runManager(ctx, manager, manager.install, name); err != nil {
		return "", err
	}
	s.facts.forget("packages")
	after, err := s.packages(ctx)
	if err != nil || listErr != nil {
		return "", nil // what was asked for was done; installed: true asks for more
	}
	versions := after.versions[name]
	switch state := after.partial[name]; {
	case len(versions) == 0 && state != "":
		return "", errors.New(manager.program + " says that it is installed, and its state is " + state)
	case len(versions) == 0:
		return "", nil
	}
	told := name + " " + strings.Join(versions, ", ")
	if slices.Equal(versions, before.versions[name]) {
		told += ", already installed"
	}
	return told, nil
}
