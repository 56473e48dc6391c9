package checks

import (
	"cmp"
	"context"
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
		if err := sys.installPackage(ctx, name); err != nil {
			r.add(Result{Property: "install", Verdict: verdictOf(err), Message: oneLine(err.Error())})
			withOutput(r.list, err)
		} else {
			r.pass("install", nil)
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
