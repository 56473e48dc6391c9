// Package spec reads icepak's specs: YAML files that say what an image must be
// like. Decoding is strict, and reports every mistake of a file at once with
// its position.
//
// A file with {{ in it is a template of text/template, and is rendered before
// it is decoded. Templates see .Vars, .Env and the functions of goss and of
// sprig. They can read files of the machine that they are rendered on, and no more
// than a bounded part of its memory; nothing of a spec is executed there.
package spec

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/upmaru/icepak/checks"
)

// A Spec is one file, rendered, decoded, and with its includes.
type Spec struct {
	Path     string // as it was named, for people
	Image    Image
	Instance Instance
	Checks   []Check // in the file's order, included ones where they are included
	Files    []File  `json:"-"` // what it was read from: itself, and what that includes, in order
}

// A File is a text that a spec was read from.
type File struct {
	Name     string
	Text     string // as it stands in the file
	Rendered string // with its templates carried out
}

// An Image says which products a spec is for. Every list holds globs; an empty
// list means any.
type Image struct {
	OS      []string `json:"os"`
	Release []string `json:"release"`
	Arch    []string `json:"arch"`
	Variant []string `json:"variant"`
}

// An Instance says how the image is launched.
type Instance struct {
	Types    []string                     `json:"types" oneof:"container,virtual-machine,vm"` // empty: what the version has
	Profiles []string                     `json:"profiles"`                                   // empty: default
	Config   map[string]string            `json:"config"`
	Devices  map[string]map[string]string `json:"devices"`
	Ready    checks.Ready                 `json:"ready"`
}

// A Check is a check with what decides whether it is run.
type Check struct {
	checks.Check
	When     When
	Required bool   // a check skipped by its When fails the promotion
	Source   string // file:line:col
}

// When is the condition of a check. Its zero value always holds.
type When struct {
	GPU  string   `json:"gpu" oneof:"nvidia,amd,any"` // the remote has such a GPU
	Type []string `json:"type" oneof:"container,virtual-machine,vm"`
	Arch []string `json:"arch"` // globs
}

// Options are what a spec's templates see.
type Options struct {
	Vars map[string]any    // over the file's own vars
	Env  map[string]string // for .Env and getEnv
	// Product is what the spec is used for, os:release:arch:variant, for .Product;
	// empty where that is not known.
	Product string
}

// newSpec returns a spec that says nothing yet.
func newSpec() *Spec {
	return &Spec{Instance: Instance{Ready: checks.Ready{System: true}}}
}

// Match tells whether the spec is for a product, which is named
// os:release:arch:variant.
func (s *Spec) Match(product string) bool {
	parts := strings.Split(product, ":")
	if len(parts) != 4 {
		return false
	}
	for i, globs := range [][]string{s.Image.OS, s.Image.Release, s.Image.Arch, s.Image.Variant} {
		if len(globs) > 0 && !MatchAny(globs, parts[i]) {
			return false
		}
	}
	return true
}

// MatchAny tells whether one of the globs matches the name.
func MatchAny(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool {
		ok, _ := path.Match(glob, name)
		return ok
	})
}

// An UnknownCheckError is a name that none of a spec's checks has.
type UnknownCheckError struct {
	Name       string
	Suggestion string   // the name that was probably meant, or empty
	Known      []string // the names that there are
}

func (e *UnknownCheckError) Error() string {
	return fmt.Sprintf("unknown check %q", e.Name)
}

// Select leaves in the spec only the named checks and those that they need, in
// the spec's order. Its error is an *UnknownCheckError, and the spec then stays
// as it is.
func (s *Spec) Select(names []string) error {
	known := make(map[string]Check, len(s.Checks))
	var order []string
	for _, c := range s.Checks {
		known[c.Name] = c
		order = append(order, c.Name)
	}
	chosen := make(map[string]bool)
	for todo := slices.Clone(names); len(todo) > 0; todo = todo[1:] {
		name := todo[0]
		c, ok := known[name]
		if !ok {
			return &UnknownCheckError{name, checks.Suggest(name, order), order}
		}
		if !chosen[name] {
			chosen[name] = true
			todo = append(todo, c.Needs...)
		}
	}
	s.Checks = slices.DeleteFunc(slices.Clone(s.Checks), func(c Check) bool { return !chosen[c.Name] })
	return nil
}
