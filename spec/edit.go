package spec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/upmaru/icepak/checks"
)

// An Edit adds resources to a check of a spec's file. All else in the file stays
// as it is, down to its comments and spaces.
type Edit struct {
	name  string
	opts  Options
	text  string // as it is now
	crlf  bool
	check string // the check that is added to
	spec  *Spec  // as it was; nil where the file was empty
	full  bool   // the file has checks, and so is no goss file
	put   []checks.Description
}

// A NotEditableError says why a file cannot be changed by a program.
type NotEditableError struct{ Reason string }

func (e *NotEditableError) Error() string { return e.Reason }

func notEditablef(format string, args ...any) error {
	return &NotEditableError{fmt.Sprintf(format, args...)}
}

// NewEdit begins to edit the file of that name, whose text is data: nothing where there
// is no file yet. check names the check to add to; it may be empty where there
// is only one. The error is of type Errors where the spec has mistakes, and else a
// *NotEditableError.
func NewEdit(name string, data []byte, check string, opts Options) (*Edit, error) {
	text, crlf := unixLines(string(data))
	e := &Edit{name: name, opts: opts, text: text, crlf: crlf, check: check}
	if isEmpty(strings.TrimPrefix(text, "\uFEFF")) {
		return e, e.begin()
	}
	var err error
	if e.spec, err = Parse(name, data, opts); err != nil {
		return nil, err
	}
	root, err := rootOf(text)
	if err != nil {
		return nil, err
	}
	_, e.full = fieldOf(root, "checks")
	return e, e.choose()
}

// begin makes a new file of an empty one.
func (e *Edit) begin() error {
	e.full = e.check != ""
	if e.full && (slug(e.check) != e.check) {
		return notEditablef("a check's name is of a-z, 0-9 and -, and begins with a letter or digit, got %q", e.check)
	}
	if !e.full {
		e.check = gossName(e.name)
	}
	return nil
}

// choose finds out which check is added to.
func (e *Edit) choose() error {
	var here []string
	for _, c := range e.spec.Checks {
		if strings.HasPrefix(c.Source, e.name+":") {
			here = append(here, c.Name)
		} else if c.Name == e.check {
			return notEditablef("check %s stands at %s: name that file", c.Name, c.Source)
		}
	}
	switch {
	case !e.full && e.check != "" && e.check != gossName(e.name):
		return notEditablef("%s has no checks section: it is one check, %s", e.name, gossName(e.name))
	case !e.full:
		e.check = gossName(e.name)
	case e.check == "" && len(here) == 1:
		e.check = here[0]
	case e.check == "":
		return notEditablef("%s has several checks: name one of %s", e.name, strings.Join(here, ", "))
	case slug(e.check) != e.check:
		return notEditablef("a check's name is of a-z, 0-9 and -, and begins with a letter or digit, got %q", e.check)
	}
	return nil
}

// Spec returns what the file said before; of an empty one, that is nothing.
func (e *Edit) Spec() *Spec { return cmp.Or(e.spec, newSpec()) }

// Item returns the resource of that type and id which the check has.
func (e *Edit) Item(typ, id string) (checks.Item, bool) {
	if e.spec == nil {
		return checks.Item{}, false
	}
	for _, c := range e.spec.Checks {
		for _, item := range c.Items {
			if c.Name == e.check && item.Type == typ && item.ID == id {
				return item, true
			}
		}
	}
	return checks.Item{}, false
}

// Put adds a resource as it is described. One that the file has already is described
// anew: what descriptions say is replaced, and its title, its options and all that
// descriptions never say stay. The error is a *NotEditableError.
func (e *Edit) Put(d checks.Description) error {
	t, ok := checks.TypeNamed(d.Type)
	if !ok {
		return notEditablef("unknown resource type %q", d.Type)
	}
	if item, ok := e.Item(d.Type, d.ID); ok && !strings.HasPrefix(item.Source, e.name+":") {
		return notEditablef("%s %s stands at %s: name that file", d.Type, d.ID, item.Source)
	}
	var path []string
	if e.full {
		path = []string{"checks", e.check}
	}
	path = append(path, d.Type)
	if !t.Single {
		path = append(path, d.ID)
	}
	text, err := e.place(path, d)
	if err != nil {
		return err
	}
	e.text = text
	e.put = append(e.put, d)
	return nil
}

// Bytes returns the file's new text. It is certain that the text says what it
// said before and what was put, and nothing else.
func (e *Edit) Bytes() ([]byte, error) {
	text := e.text
	if e.crlf {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if err := e.verify([]byte(text)); err != nil {
		return nil, err
	}
	return []byte(text), nil
}

// verify reads the new text and compares it with the old one.
func (e *Edit) verify(text []byte) error {
	now, err := Parse(e.name, text, e.opts)
	if err != nil {
		return notEditablef("it would no longer be read: %v", err)
	}
	before := sayings(e.Spec())
	after := sayings(now)
	for _, d := range e.put {
		key := [3]string{e.check, d.Type, d.ID}
		item, ok := itemOf(now, key)
		old, existed := e.Item(d.Type, d.ID)
		if !ok || !says(item, d) || existed && !reflect.DeepEqual(unsaid(old), unsaid(item)) {
			return notEditablef("%s %s would not be read as it is written", d.Type, d.ID)
		}
		delete(before, key)
		delete(after, key)
	}
	delete(before, [3]string{e.check})
	delete(after, [3]string{e.check})
	if !reflect.DeepEqual(before, after) {
		return notEditablef("its other resources would be read in another way")
	}
	return nil
}

// sayings returns all that a spec says but where it says it: of each check, and of each
// resource by check, type and id.
func sayings(s *Spec) map[[3]string]string {
	all := map[[3]string]string{{}: asJSON([]any{s.Image, s.Instance})}
	for _, c := range s.Checks {
		head := c
		head.Items, head.Source = nil, ""
		all[[3]string{c.Name}] = asJSON(head)
		for _, item := range c.Items {
			all[[3]string{c.Name, item.Type, item.ID}] = asJSON(item.Resource)
		}
	}
	return all
}

func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func itemOf(s *Spec, key [3]string) (checks.Item, bool) {
	return (&Edit{spec: s, check: key[0]}).Item(key[1], key[2])
}

// says tells whether an item asserts what a description says.
func says(item checks.Item, d checks.Description) bool {
	v := reflect.ValueOf(item.Resource).Elem()
	attrs := attributes(v.Type())
	return !slices.ContainsFunc(d.Attributes, func(a checks.Attribute) bool {
		attr := attrs[a.Name]
		want, err := checks.ParseMatcher(attr.kind, a.Value)
		return err != nil || asJSON(want) != asJSON(v.FieldByIndex(attr.index).Interface())
	})
}

// unsaid is what an item says that descriptions do not.
func unsaid(item checks.Item) map[string]string {
	all := make(map[string]string)
	v := reflect.ValueOf(item.Resource).Elem()
	for _, a := range attributes(v.Type()) {
		if !slices.Contains(checks.Described(item.Type), a.name) {
			all[a.name] = asJSON(v.FieldByIndex(a.index).Interface())
		}
	}
	return all
}

// unixLines returns a text with a newline alone at the end of lines, and whether they
// all ended as on Windows.
func unixLines(text string) (string, bool) {
	n := strings.Count(text, "\r\n")
	if n == 0 || n != strings.Count(text, "\n") {
		return text, false
	}
	return strings.ReplaceAll(text, "\r\n", "\n"), true
}

// rootOf parses a text as it is, templates and all.
func rootOf(text string) (*yaml.Node, error) {
	plain := maskJSON(strings.TrimPrefix(text, "\uFEFF"))
	if strings.ContainsAny(plain, "\r\u0085\u2028\u2029") {
		return nil, notEditablef("its lines end in several ways")
	}
	doc, _, err := parseYAML(plain)
	switch {
	case err != nil && hasTemplates(text):
		return nil, notEditablef("it is YAML only after its templates are carried out")
	case err != nil:
		return nil, notEditablef("it is no YAML: %v", err)
	case doc.Content[0].Kind != yaml.MappingNode:
		return nil, notEditablef("it is no mapping")
	}
	return doc.Content[0], nil
}
