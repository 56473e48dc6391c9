package spec

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/upmaru/icepak/checks"
)

// A decoder fills Go values from nodes, by their types and json tags.
type decoder struct {
	probs *problems
	attrs map[reflect.Type]map[string]attribute // known ones
}

func newDecoder() decoder {
	return decoder{newProblems(), make(map[reflect.Type]map[string]attribute)}
}

// An attribute is a field of a struct that a mapping is decoded into.
type attribute struct {
	name     string // its current name
	index    []int
	kind     checks.Kind // of a matcher
	text     string      // the attribute that makes what a matcher is compared with text
	asserts  bool        // an action, which is asserted where it is true
	required bool
	oneOf    []string // all that it may be; nil: anything
}

// attributes returns the attributes of a struct by their names, older names
// too. Fields of embedded structs are its own.
func attributes(t reflect.Type) map[string]attribute {
	attrs := make(map[string]attribute)
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || name == "" || name == "-" {
			continue
		}
		a := attribute{
			name: name, index: f.Index, kind: checks.Kind(f.Tag.Get("kind")), text: f.Tag.Get("text"),
			asserts: f.Tag.Get("asserts") == "true", required: f.Tag.Get("required") == "true",
		}
		if known := f.Tag.Get("oneof"); known != "" {
			a.oneOf = strings.Split(known, ",")
		}
		attrs[name] = a
		if was := f.Tag.Get("was"); was != "" {
			for _, older := range strings.Split(was, ",") {
				attrs[older] = a
			}
		}
	}
	return attrs
}

// fields decodes a mapping into a struct. The noun, such as attribute, and what
// the mapping describes are for messages. It returns the keys of what the
// mapping asserts, which are matchers and actions, by name.
func (d decoder) fields(n *node, v reflect.Value, noun, of string) map[string]*node {
	asserted := make(map[string]*node)
	if n.kind != mapping {
		d.probs.add(n.position, "", "want a mapping for %s, got %s", of, n.describe())
		return asserted
	}
	attrs := d.attrs[v.Type()]
	if attrs == nil {
		attrs = attributes(v.Type())
		d.attrs[v.Type()] = attrs
	}
	given := make(map[string]*node)
	for _, f := range n.fields {
		a, ok := attrs[f.key.value]
		if !ok {
			d.probs.add(f.key.position, suggest(f.key.value, keys(attrs)), "unknown %s %q of %s", noun, shorten(f.key.value), of)
			continue
		}
		if first := given[a.name]; first != nil {
			d.probs.add(f.key.position, "", "%s and %s, at %s, are names of the same %s", f.key.value, first.value, first.position, noun)
			continue
		}
		given[a.name] = f.key
		field := v.FieldByIndex(a.index)
		if is := n.get(a.text); is != nil && is.tag == "!!bool" && d.scalar(is) == true {
			a.kind = checks.Text
		}
		d.value(f.value, field, a)
		for _, each := range f.value.each() {
			d.oneOf(each, a.oneOf)
		}
		if m, ok := field.Interface().(checks.Matcher); ok && m.IsSet() || a.asserts && field.Bool() {
			asserted[a.name] = f.key
		}
	}
	for _, name := range keys(attrs) {
		if attrs[name].required && given[name] == nil {
			d.probs.add(n.position, "", "%s needs %s", of, name)
		}
	}
	return asserted
}

var (
	matcherType  = reflect.TypeFor[checks.Matcher]()
	durationType = reflect.TypeFor[checks.Duration]()
	timeType     = reflect.TypeFor[time.Duration]()
	bytesType    = reflect.TypeFor[checks.Bytes]()
)

// value decodes a node into a value of any type that an attribute may have.
func (d decoder) value(n *node, v reflect.Value, a attribute) {
	if n.isNull() && n.value != "" && v.Type() == matcherType {
		return // null asserts nothing, as goss render writes it; but not what was left empty
	}
	if n.isNull() && (v.Kind() != reflect.Interface || a.required) {
		d.probs.add(n.position, "", "want a value, got nothing")
		return
	}
	switch v.Type() {
	case matcherType:
		d.matcher(n, v, a.kind)
		return
	case durationType, timeType:
		d.duration(n, v)
		return
	case bytesType:
		d.bytes(n, v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.fields(n, v, "key", a.name)
	case reflect.Map:
		d.mapping(n, v, a)
	case reflect.Slice:
		d.list(n, v, a)
	case reflect.Interface:
		if x := d.plain(n); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		d.scalarInto(n, v)
	}
}

func (d decoder) want(n *node, what string) {
	d.probs.add(n.position, "", "want %s, got %s", what, n.describe())
}

func (d decoder) scalarInto(n *node, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if n.kind != scalar {
			d.want(n, "text")
			return
		}
		v.SetString(n.value)
	case reflect.Bool:
		if n.kind != scalar || n.tag != "!!bool" {
			d.want(n, "true or false")
			return
		}
		b, _ := d.scalar(n).(bool)
		v.SetBool(b)
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(n.value, 10, v.Type().Bits())
		if n.kind != scalar || err != nil {
			d.want(n, "a whole number")
			return
		}
		v.SetInt(i)
	default:
		panic(fmt.Sprintf("spec: an attribute cannot be a %s", v.Type()))
	}
}

// oneOf refuses what is not among the known values, where they are known.
func (d decoder) oneOf(n *node, known []string) {
	if len(known) > 0 && !slices.Contains(known, n.value) {
		last := len(known) - 1
		d.probs.add(n.position, suggest(n.value, known), "want %s or %s, got %s",
			strings.Join(known[:last], ", "), known[last], n.describe())
	}
}

func (d decoder) duration(n *node, v reflect.Value) {
	if n.kind != scalar {
		d.want(n, "a duration such as 5s")
		return
	}
	dur, err := checks.ParseDuration(n.value)
	if err != nil {
		d.probs.add(n.position, "", "%v", err)
		return
	}
	v.SetInt(int64(dur))
}

func (d decoder) bytes(n *node, v reflect.Value) {
	size, err := checks.ParseBytes(n.value)
	if n.kind != scalar || err != nil {
		d.want(n, "a size such as 200MiB")
		return
	}
	v.SetInt(int64(size))
}

// list decodes a list. One value alone is a list of one.
func (d decoder) list(n *node, v reflect.Value, a attribute) {
	items := n.items
	switch n.kind {
	case mapping:
		d.want(n, "a list")
		return
	case scalar:
		items = []*node{n}
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		d.value(item, v.Index(i), attribute{name: a.name})
	}
}

func (d decoder) mapping(n *node, v reflect.Value, a attribute) {
	if n.kind != mapping {
		d.want(n, "a mapping")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, f := range n.fields {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(f.value, e, attribute{name: f.key.value})
		v.SetMapIndex(reflect.ValueOf(f.key.value), e)
	}
}

// scalar decodes a scalar by its tag, into nil, bool, int64, float64 or string.
func (d decoder) scalar(n *node) any {
	var v any
	if err := (&yaml.Node{Kind: yaml.ScalarNode, Tag: n.tag, Value: n.value}).Decode(&v); err != nil {
		d.want(n, n.tag)
		return nil
	}
	switch v := v.(type) {
	case int:
		return int64(v)
	case uint64:
		d.probs.add(n.position, "", "the number %s is too large", shorten(n.value))
		return nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			d.probs.add(n.position, "", "want a finite number, got %s", shorten(n.value))
			return nil
		}
	}
	return v
}

// matcher decodes what a property is expected to be.
func (d decoder) matcher(n *node, v reflect.Value, kind checks.Kind) {
	before := len(d.probs.list)
	expr := d.expr(n, slices.Contains([]checks.Kind{checks.String, checks.Text, checks.List, checks.Versions}, kind))
	if len(d.probs.list) > before {
		return
	}
	m, err := checks.ParseMatcher(kind, expr)
	var wrong *checks.MatcherError
	switch {
	case errors.As(err, &wrong):
		d.probs.add(n.follow(wrong.Path), wrong.Hint, "%s", wrong.Msg)
	case err != nil:
		d.probs.add(n.position, "", "%v", err)
	default:
		v.Set(reflect.ValueOf(m))
	}
}

// expr decodes a matcher's expression. Where a property is text, a scalar is
// taken as the file has it: mode 0644 is not 420, nor version 1.10 1.1. What
// sizes are compared with is a number always, and a pattern is always text.
func (d decoder) expr(n *node, asText bool) any {
	switch n.kind {
	case mapping:
		m := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			text := asText
			switch f.key.value {
			case "gjson":
				m["gjson"] = d.paths(f.value)
				continue
			case "gt", "ge", "lt", "le":
				text = asText && isOctal(f.value)
			case "have-len":
				text = false
			case "have-prefix", "have-suffix", "contain-substring", "match-regexp",
				"have-patterns", "have-key", "satisfies", "semver-constraint", "xml":
				text = true
			}
			m[f.key.value] = d.expr(f.value, text)
		}
		return m
	case list:
		s := make([]any, len(n.items))
		for i, item := range n.items {
			s[i] = d.expr(item, asText)
		}
		return s
	}
	if asText && !n.isNull() {
		return n.value
	}
	return d.scalar(n)
}

// plain decodes a value of any kind.
func (d decoder) plain(n *node) any {
	switch n.kind {
	case mapping:
		m := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			m[f.key.value] = d.plain(f.value)
		}
		return m
	case list:
		s := make([]any, len(n.items))
		for i, item := range n.items {
			s[i] = d.plain(item)
		}
		return s
	}
	return d.scalar(n)
}

// paths decodes what gjson looks for. JSON tells numbers from text, and a path may
// have a matcher's name.
func (d decoder) paths(n *node) any {
	if n.kind != mapping {
		return d.expr(n, false)
	}
	m := make(map[string]any, len(n.fields))
	for _, f := range n.fields {
		m[f.key.value] = d.expr(f.value, false)
	}
	return m
}

// isOctal tells whether YAML reads a number as an octal one, such as 0644. A mode
// is compared with it as it is written: the order is the same.
func isOctal(n *node) bool {
	rest, ok := strings.CutPrefix(n.value, "0")
	return ok && n.kind == scalar && rest != "" && (rest[0] == 'o' || rest[0] >= '0' && rest[0] <= '9')
}

// follow returns the place to which a path of keys and indexes leads: that of
// the last key, or of the list's element.
func (n *node) follow(path []string) position {
	at := n.position
	for _, step := range path {
		if i, err := strconv.Atoi(step); err == nil && n.kind == list && i >= 0 && i < len(n.items) {
			n = n.items[i]
			at = n.position
			continue
		}
		i := slices.IndexFunc(n.fields, func(f field) bool { return f.key.value == step })
		if i < 0 {
			break
		}
		at, n = n.fields[i].key.position, n.fields[i].value
	}
	return at
}

// suggest is the hint for a name that is not among the known ones.
func suggest(name string, known []string) string {
	return didYouMean(checks.Suggest(name, known))
}

// keys returns the names of attributes, sorted.
func keys(attrs map[string]attribute) []string {
	return slices.Sorted(maps.Keys(attrs))
}
