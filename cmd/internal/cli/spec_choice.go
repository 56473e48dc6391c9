package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/upmaru/icepak/images"
	"github.com/upmaru/icepak/spec"
)

// specs finds the spec for a product: the named one, or else one in the folder images,
// or else the built-in one.
type specs struct {
	opts  spec.Options
	named *spec.Spec            // --spec; nil where none is named
	own   []*spec.Spec          // of the folder images
	notes io.Writer             // is told of specs that stand in for built-in ones
	known map[string]*spec.Spec // the built-in ones that were looked for, by distribution; nil: there is none
	noted string                // the product of which notes was told last: its versions come together
}

// load reads the named spec, or those of the folder images, at once, so that their
// mistakes are told before anything is asked of anyone.
func (o *specOptions) load(env *Env) (*specs, error) {
	opts, err := o.options(env)
	if err != nil {
		return nil, err
	}
	s := &specs{opts: opts, notes: env.Err}
	if o.file != "" {
		s.named, err = spec.Load(o.file, opts)
	} else {
		s.own, err = ownSpecs(opts)
	}
	if err != nil {
		return nil, specError(err)
	}
	return s, nil
}

// specError is the error of a spec of whoever runs this: its mistakes as they are, or
// a usage error where it cannot be read.
func specError(err error) error {
	if mistakes := (spec.Errors{}); errors.As(err, &mistakes) {
		return mistakes
	}
	return usageError{err: fmt.Errorf("spec: %w", err)}
}

// saysForWhat and saysChecks tell a spec from what else is called images/*.yaml, such as
// a definition that images are built from, and from what specs include.
var (
	saysForWhat = regexp.MustCompile(`(?m)^image[ \t]*:`)
	saysChecks  = regexp.MustCompile(`(?m)^(checks|include)[ \t]*:`)
)

// ownSpecs loads the specs in the folder images that say which distribution they are
// for. Mistakes of all of them are told together.
func ownSpecs(opts spec.Options) ([]*spec.Spec, error) {
	names, err := filepath.Glob("images/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*spec.Spec
	var mistakes spec.Errors
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if !saysForWhat.Match(data) || !saysChecks.Match(data) {
			continue
		}
		s, err := spec.Load("./"+name, opts)
		var more spec.Errors
		switch {
		case errors.As(err, &more):
			mistakes = append(mistakes, more...)
		case err != nil:
			return nil, err
		case len(s.Image.OS) > 0:
			all = append(all, s)
		}
	}
	if len(mistakes) > 0 {
		return nil, mistakes
	}
	return all, nil
}

// builtinFiles has the built-in specs by the names that they have in icepak's
// repository: images/debian.yaml.
type builtinFiles struct{}

func (builtinFiles) Open(name string) (fs.File, error) {
	inside, ok := strings.CutPrefix(name+"/", "images/")
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return images.FS().Open(path.Clean(inside))
}

func builtinSpec(name string, opts spec.Options) (*spec.Spec, error) {
	s, err := spec.LoadFS(builtinFiles{}, name, opts)
	if err != nil {
		return nil, fmt.Errorf("built-in spec: %w", err)
	}
	return s, nil
}

// builtinSpecs loads the specs that icepak brings along.
func builtinSpecs(opts spec.Options) ([]*spec.Spec, error) {
	names, err := fs.Glob(builtinFiles{}, "images/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*spec.Spec
	for _, name := range names {
		s, err := builtinSpec(name, opts)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// forProduct returns the spec for the product os:release:arch:variant, which is
// empty where it is not known.
func (s *specs) forProduct(product string) (*spec.Spec, error) {
	if product == "" {
		if s.named == nil {
			return nil, usageError{err: errors.New("which distribution this is cannot be told"), hint: "name a spec with --spec"}
		}
		return s.named, nil
	}
	builtin, err := s.builtinFor(product)
	if err != nil {
		return nil, err
	}
	opts := s.opts
	opts.Product = product
	own, err := s.ownFor(product)
	switch {
	case err != nil:
		return nil, err
	case own == nil && builtin == nil:
		all, err := builtinSpecs(spec.Options{})
		return nil, cmp.Or(err, noSpec(product, all))
	case own == nil:
		return spec.LoadFS(builtinFiles{}, builtin.Path, opts)
	}
	if builtin != nil && s.noted != product && !sameText(own, builtin) {
		s.noted = product
		fmt.Fprintf(s.notes, "%s is tested with %s, not with the built-in spec\n", product, own.Path)
	}
	// A pipe, say, cannot be read again.
	again, err := spec.Parse(own.Path, []byte(own.Files[0].Text), opts)
	if err != nil {
		return nil, specError(err)
	}
	return again, nil
}

// builtinFor returns the built-in spec for the product, or nil. It is in the file that
// has its distribution's name: to read them all takes longer than to find out what else
// a run has to know.
func (s *specs) builtinFor(product string) (*spec.Spec, error) {
	name, _, _ := strings.Cut(product, ":")
	found, known := s.known[name]
	if !known {
		names, err := fs.Glob(builtinFiles{}, "images/*.yaml")
		if err != nil {
			return nil, err
		}
		if file := "images/" + name + ".yaml"; slices.Contains(names, file) {
			// Which one it is depends on no variable.
			if found, err = builtinSpec(file, spec.Options{}); err != nil {
				return nil, err
			}
		}
		if s.known == nil {
			s.known = map[string]*spec.Spec{}
		}
		s.known[name] = found
	}
	if found == nil || !found.Match(product) {
		return nil, nil
	}
	return found, nil
}

// sameText tells whether a spec is another one's copy, as in icepak's own repository.
func sameText(a, b *spec.Spec) bool {
	return slices.EqualFunc(a.Files, b.Files, func(a, b spec.File) bool { return a.Text == b.Text })
}

// ownFor returns the product's spec that is not a built-in one, or nil.
func (s *specs) ownFor(product string) (*spec.Spec, error) {
	if s.named != nil {
		if !s.named.Match(product) {
			return nil, usagef("%s is not for %s: see its image section", s.named.Path, product)
		}
		return s.named, nil
	}
	var found *spec.Spec
	for _, own := range s.own {
		switch {
		case !own.Match(product):
		case found != nil:
			return nil, usageError{err: fmt.Errorf("%s and %s are both for %s", found.Path, own.Path, product), hint: "name one of them with --spec"}
		default:
			found = own
		}
	}
	return found, nil
}

// noSpec is the error of a product that no spec is for. It says which releases there are
// of its distribution, or which distributions.
func noSpec(product string, all []*spec.Spec) error {
	err := usageError{
		err:  fmt.Errorf("there is no built-in spec for %s", product),
		hint: "name a spec with --spec, or put one into the folder images",
	}
	os, _, _ := strings.Cut(product, ":")
	var known []string
	for _, s := range all {
		if spec.MatchAny(s.Image.OS, os) {
			err.err = fmt.Errorf("%w: %s is for the releases %s as %s", err.err, s.Path,
				strings.Join(s.Image.Release, ", "), strings.Join(s.Image.Variant, ", "))
			return err
		}
		known = append(known, s.Image.OS...)
	}
	err.err = fmt.Errorf("%w: there are those for %s", err.err, strings.Join(known, ", "))
	return err
}

// forMachine returns the spec for this machine, which must be named: the built-in
// ones install packages, which nobody wants by accident.
func (s *specs) forMachine() (*spec.Spec, error) {
	if s.named == nil {
		return nil, usageError{err: errors.New("--local needs --spec"), hint: "as in icepak test --local --spec examples/host.yaml"}
	}
	return s.named, nil
}
