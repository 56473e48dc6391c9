package spec

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/upmaru/icepak/checks"
)

// checkKeys is what a check says besides its sections.
type checkKeys struct {
	Title    string        `json:"title"`
	Needs    []string      `json:"needs"`
	When     When          `json:"when"`
	Required bool          `json:"required"`
	Timeout  time.Duration `json:"timeout"`
	Reboot   bool          `json:"reboot"`
}

// gossfileKeys is what an entry of a gossfile section says.
type gossfileKeys struct {
	Title string         `json:"title"`
	Meta  map[string]any `json:"meta"`
	Skip  bool           `json:"skip"`
	File  string         `json:"file"`
}

// A need is a name in a check's needs, and its place.
type need struct {
	check, name string
	at          position
}

// A body is a check that is being read.
type body struct {
	*Check
	items  map[[2]string]checks.Item // by type and id
	within []within
}

type within struct {
	value checks.Duration
	at    position
}

// sectionNames returns the names of what may stand in a check beside its keys.
func sectionNames() []string {
	names := []string{"gossfile"}
	for _, t := range checks.Types() {
		names = append(names, t.Name)
	}
	return names
}

// checks reads a file's checks.
func (l *loader) checks(f *file, n *node) {
	if n.isNull() {
		return // nothing is asserted, and load says so
	}
	if n.kind != mapping {
		l.want(n, "a mapping of checks")
		return
	}
	for _, field := range n.fields {
		if name := field.key.value; slug(name) != name || name == "" {
			l.probs.add(field.key.position, didYouMean(slug(name)),
				"a check's name is of a-z, 0-9 and -, and begins with a letter or digit, got %q", shorten(name))
			continue
		}
		l.check(f, field.key, field.value, true)
	}
}

var notSlug = regexp.MustCompile(`[^a-z0-9-]+`)

// slug returns a name as a check's name may be.
func slug(name string) string {
	return strings.TrimLeft(notSlug.ReplaceAllString(strings.ToLower(name), "-"), "-")
}

// check reads a check: a named one of a spec, or a goss file, which has
// sections only.
func (l *loader) check(f *file, name, n *node, named bool) {
	if n.kind != mapping && !n.isNull() {
		l.want(n, "a mapping for check "+name.value)
		return
	}
	before := len(l.probs.list)
	c := &Check{Check: checks.Check{Name: name.value}, Source: name.String()}
	b := &body{Check: c, items: make(map[[2]string]checks.Item)}
	sections := n
	if named {
		head := l.checkKeys(c, n)
		sections = &node{position: n.position, kind: mapping}
		for _, field := range n.fields {
			if !slices.Contains(head, field.key.value) {
				sections.fields = append(sections.fields, field)
			}
		}
	}
	l.sections(f, b, sections, named)
	for _, w := range b.within {
		if limit := checks.Duration(c.Timeout).Or(checks.DefaultTimeout); time.Duration(w.value) > limit {
			l.probs.add(w.at, "give the check a longer timeout", "within %s is longer than the check's timeout, %s", w.value, limit)
		}
	}
	if len(c.Items) == 0 && len(l.probs.list) == before {
		l.probs.add(name.position, "", "check %s asserts nothing", c.Name)
	}
	l.addCheck(name, c, n)
}

// checkKeys reads a check's keys other than its sections, and returns their names.
func (l *loader) checkKeys(c *Check, n *node) []string {
	var k checkKeys
	names := keys(attributes(reflect.TypeOf(k)))
	head := &node{position: n.position, kind: mapping}
	for _, field := range n.fields {
		if slices.Contains(names, field.key.value) {
			head.fields = append(head.fields, field)
		}
	}
	l.fields(head, reflect.ValueOf(&k).Elem(), "key", "check "+c.Name)
	l.aboveZero(n.get("timeout"))
	c.Title, c.Needs, c.Timeout, c.Reboot = k.Title, k.Needs, k.Timeout, k.Reboot
	c.When, c.Required = k.When, k.Required
	if when := n.get("when"); when != nil {
		inFull(c.When.Type)
		l.globs(when.get("arch"))
	}
	return names
}

// addCheck adds a check to the spec, and its needs to those to be checked.
func (l *loader) addCheck(name *node, c *Check, n *node) {
	if i, ok := l.byName[c.Name]; ok {
		// A file that is included twice says everything twice.
		other := l.spec.Checks[i]
		if other.Source != c.Source || !sameJSON(other, c) {
			l.probs.add(name.position, "", "check %s is defined twice, first at %s", c.Name, other.Source)
		}
		return
	}
	l.byName[c.Name] = len(l.spec.Checks)
	l.spec.Checks = append(l.spec.Checks, *c)
	if needs := n.get("needs"); needs != nil {
		for i, to := range c.Needs {
			at := needs.position
			if needs.kind == list {
				at = needs.items[i].position
			}
			l.needs = append(l.needs, need{c.Name, to, at})
		}
	}
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// sections reads resource sections into a check's body.
func (l *loader) sections(f *file, b *body, n *node, named bool) {
	for _, field := range n.fields {
		key, value := field.key, field.value
		if t, ok := checks.TypeNamed(key.value); ok {
			l.section(b, t, key, value)
			continue
		}
		if key.value == "gossfile" {
			l.gossfiles(f, b, value)
			continue
		}
		l.unknownSection(b, field, named)
	}
}

func (l *loader) unknownSection(b *body, f field, named bool) {
	known := append(sectionNames(), topKeys...)
	if named {
		known = append(sectionNames(), keys(attributes(reflect.TypeFor[checkKeys]()))...)
	}
	hint := suggest(f.key.value, known)
	if f.value.kind == mapping {
		l.probs.add(f.key.position, hint, "unknown resource type %q", shorten(f.key.value))
	} else {
		l.probs.add(f.key.position, hint, "unknown key %q of check %s", shorten(f.key.value), b.Name)
	}
}

// section reads the resources of one type. An empty section is what is left of
// a template's loop over nothing.
func (l *loader) section(b *body, t checks.Type, key, n *node) {
	if t.Single {
		l.resource(b, t, key, n)
		return
	}
	if n.isNull() {
		return
	}
	if n.kind != mapping {
		l.want(n, "a mapping of "+t.Name+" resources")
		return
	}
	for _, field := range n.fields {
		l.resource(b, t, field.key, field.value)
	}
}

// resource reads one resource. The key is its id, or its type's name where
// there can be only one.
func (l *loader) resource(b *body, t checks.Type, key, n *node) {
	id, what := key.value, t.Name+" "+key.value
	if t.Single {
		id, what = "", t.Name
	} else if id == "" {
		l.probs.add(key.position, "", "a %s has no name", t.Name)
		return
	}
	before := len(l.probs.list)
	item, err := checks.NewItem(t.Name, id)
	if err != nil {
		l.probs.add(key.position, "", "%v", err)
		return
	}
	item.Source = key.String()
	v := reflect.ValueOf(item.Resource).Elem()
	if !n.isNull() {
		asserted := l.fields(n, v, "attribute", t.Name)
		if len(asserted) > 0 {
			item.Sources = make(map[string]string, len(asserted))
		}
		for name, at := range asserted {
			item.Sources[name] = at.String()
		}
	}
	common := v.FieldByName("Common").Interface().(checks.Common)
	if at := n.get("within"); at != nil && common.Within > 0 {
		b.within = append(b.within, within{common.Within, at.position})
	}
	if common.BeforeBoot {
		l.beforeBoot(t, n)
	}
	if whole, ok := item.Resource.(interface{ Mistake() string }); ok && len(l.probs.list) == before && !common.Skip {
		if wrong := whole.Mistake(); wrong != "" {
			l.probs.add(key.position, "", "%s: %s", shorten(what), wrong)
		}
	}
	if len(item.Sources) == 0 && !common.Skip && len(l.probs.list) == before {
		l.probs.add(key.position, "", "%s asserts nothing", shorten(what))
	}
	l.addItem(b, key, item)
}

// addItem adds an item to a check. The same resource from two goss files is
// taken once.
func (l *loader) addItem(b *body, key *node, item checks.Item) {
	k := [2]string{item.Type, item.ID}
	if first, ok := b.items[k]; ok {
		if !sameJSON(first.Resource, item.Resource) {
			l.probs.add(key.position, "", "%s %s is described twice in check %s, and not in the same way: first at %s",
				item.Type, shorten(item.ID), b.Name, first.Source)
		}
		return
	}
	b.items[k] = item
	b.Items = append(b.Items, item)
}

// gossfiles reads the goss files that a gossfile section names into a check.
func (l *loader) gossfiles(f *file, b *body, n *node) {
	if n.isNull() {
		return
	}
	if n.kind != mapping {
		l.want(n, "a mapping of goss files")
		return
	}
	for _, field := range n.fields {
		var k gossfileKeys
		if !field.value.isNull() {
			l.fields(field.value, reflect.ValueOf(&k).Elem(), "attribute", "gossfile")
		}
		if k.Skip {
			continue
		}
		at, ref := field.key, field.key.value
		if k.File != "" {
			at, ref = field.value.get("file"), k.File
		}
		for _, name := range l.expand(f, ref, at) {
			if child := l.child(f, name, at); child != nil {
				l.gossfile(child, b, at)
			}
		}
	}
}

// gossfile reads one goss file into a check.
func (l *loader) gossfile(f *file, b *body, at *node) {
	sections := &node{position: f.root.position, kind: mapping}
	for _, field := range f.root.fields {
		switch key := field.key.value; key {
		case "vars":
		case "image", "instance", "include", "checks":
			l.probs.add(at.position, "use include", "%s has %s, so it is a spec and not a goss file", f.name, key)
			return
		default:
			sections.fields = append(sections.fields, field)
		}
	}
	l.sections(f, b, sections, false)
}
