package spec

import (
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/upmaru/icepak/checks"
)

// target reads what the spec is for and how it is launched. Included files
// have no say in it.
func (l *loader) target(f *file, key, n *node) {
	if f.parent != nil {
		l.probs.add(key.position, "", "%s belongs in the spec that includes this file, %s", key.value, f.parent.name)
		return
	}
	if key.value == "image" {
		l.fields(n, reflect.ValueOf(&l.spec.Image).Elem(), "key", "image")
		for _, field := range n.fields {
			l.globs(field.value)
		}
		return
	}
	in := &l.spec.Instance
	l.fields(n, reflect.ValueOf(in).Elem(), "key", "instance")
	inFull(in.Types)
	if ready := n.get("ready"); ready != nil {
		l.aboveZero(ready.get("timeout"))
	}
}

// inFull writes vm in full.
func inFull(types []string) {
	for i, t := range types {
		if t == "vm" {
			types[i] = "virtual-machine"
		}
	}
}

// each returns the scalars of a list, or the one that stands alone. What else
// there is has been refused before.
func (n *node) each() []*node {
	switch {
	case n == nil || n.isNull() || n.kind == mapping:
		return nil
	case n.kind == scalar:
		return []*node{n}
	}
	return slices.DeleteFunc(slices.Clone(n.items), func(n *node) bool { return n.kind != scalar || n.isNull() })
}

func (l *loader) globs(n *node) {
	for _, each := range n.each() {
		if _, err := path.Match(each.value, ""); err != nil {
			l.probs.add(each.position, "", "%s is no pattern: a [ or \\ is not closed", each.describe())
		}
	}
}

// beforeBoot refuses what cannot be looked at before the boot, and to wait there.
func (l *loader) beforeBoot(t checks.Type, n *node) {
	if !t.BeforeBoot() {
		var able []string
		for _, other := range checks.Types() {
			if other.BeforeBoot() {
				able = append(able, other.Name)
			}
		}
		l.probs.add(n.get("before-boot").position, "before the boot there are only files: "+strings.Join(able, ", "),
			"%s cannot be looked at before the boot", t.Name)
	}
	for _, name := range []string{"within", "retry_count", "retry_delay"} {
		if at := n.get(name); at != nil {
			l.probs.add(at.position, "", "%s does not go with before-boot: nothing changes before the boot", name)
		}
	}
}

// aboveZero refuses a duration of nothing, which would be taken for the default.
func (l *loader) aboveZero(n *node) {
	if n == nil || n.kind != scalar {
		return
	}
	if d, err := checks.ParseDuration(n.value); err == nil && d == 0 {
		l.want(n, "a duration above zero")
	}
}

// checkNeeds refuses needs that no check can meet: unknown ones, and cycles.
func (l *loader) checkNeeds() {
	var names []string
	for _, c := range l.spec.Checks {
		names = append(names, c.Name)
	}
	of := make(map[string][]need)
	for _, n := range l.needs {
		if _, ok := l.byName[n.name]; !ok {
			l.probs.add(n.at, suggest(n.name, names), "check %s needs %q, which is no check", n.check, shorten(n.name))
			continue
		}
		of[n.check] = append(of[n.check], n)
	}
	visited, onChain := make(map[string]bool), make(map[string]bool)
	var chain []string
	var visit func(name string)
	visit = func(name string) {
		visited[name], onChain[name] = true, true
		chain = append(chain, name)
		for _, n := range of[name] {
			switch {
			case onChain[n.name]:
				cycle := append(slices.Clone(chain[slices.Index(chain, n.name):]), n.name)
				l.probs.add(n.at, "", "needs form a cycle: %s", strings.Join(cycle, " → "))
			case !visited[n.name]:
				visit(n.name)
			}
		}
		chain = chain[:len(chain)-1]
		onChain[name] = false
	}
	for _, name := range names {
		if !visited[name] {
			visit(name)
		}
	}
}
