package spec

import (
	"cmp"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// file adds what a file says to the spec.
func (l *loader) file(f *file) {
	isSpec := f.root.get("checks") != nil
	body := &node{position: f.root.position, kind: mapping}
	for _, field := range f.root.fields {
		key, value := field.key, field.value
		switch key.value {
		case "vars":
			// They were read before.
		case "image", "instance":
			l.target(f, key, value)
		case "include":
			l.include(f, value)
		case "checks":
			l.checks(f, value)
		default:
			if isSpec {
				l.unknownTopKey(key)
			} else {
				body.fields = append(body.fields, field)
			}
		}
	}
	if len(body.fields) > 0 {
		l.check(f, &node{position: body.position, value: gossName(f.name)}, body, false)
	}
}

// gossName is the name of the check that a goss file is.
func gossName(file string) string {
	return cmp.Or(slug(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))), "goss")
}

var topKeys = []string{"image", "instance", "vars", "include", "checks"}

func (l *loader) unknownTopKey(key *node) {
	if slices.Contains(sectionNames(), key.value) {
		l.probs.add(key.position, "", "%s belongs in a check, not beside checks", key.value)
		return
	}
	l.probs.add(key.position, suggest(key.value, topKeys), "unknown key %q", shorten(key.value))
}

// include reads the files that an include names, one or a list.
func (l *loader) include(f *file, n *node) {
	var refs []string
	l.value(n, reflect.ValueOf(&refs).Elem(), attribute{})
	for i, ref := range refs {
		at := n
		if n.kind == list {
			at = n.items[i]
		}
		for _, included := range l.expand(f, ref, at) {
			if child := l.child(f, included, at); child != nil {
				l.file(child)
			}
		}
	}
}

// expand returns the names of the files that a reference in a file stands for.
func (l *loader) expand(f *file, ref string, at *node) []string {
	if ref == "" {
		l.probs.add(at.position, "", "want a file's name, got nothing")
		return nil
	}
	name := l.files.join(f.name, ref)
	if !isPattern(ref) {
		return []string{name}
	}
	names, err := l.files.glob(name)
	switch {
	case err != nil:
		l.probs.add(at.position, "", "%q is no pattern for files: %v", shorten(ref), err)
	case len(names) == 0:
		l.probs.add(at.position, "", "no file matches %q", shorten(ref))
	}
	return names
}

// child opens a file that another includes. Where it returns nil, it has said
// why.
func (l *loader) child(parent *file, name string, at *node) *file {
	chain := []string{name}
	for p := parent; p != nil; p = p.parent {
		chain = append([]string{p.name}, chain...)
		if filepath.Clean(p.name) == filepath.Clean(name) {
			l.probs.add(at.position, "", "includes form a cycle: %s", strings.Join(chain, " → "))
			return nil
		}
	}
	if len(chain) > maxIncludes+1 {
		l.probs.add(at.position, "", "includes are nested more than %d deep", maxIncludes)
		return nil
	}
	if l.count++; l.count > maxFiles {
		if l.count == maxFiles+1 {
			l.probs.add(at.position, "", "more than %d files are included", maxFiles)
		}
		return nil
	}
	data, err := l.read(name)
	if err != nil {
		l.probs.add(at.position, "", "%v", err)
		return nil
	}
	return l.open(name, data, parent)
}
