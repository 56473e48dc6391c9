package spec

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

const (
	maxDepth = 100     // levels of YAML
	maxNodes = 200_000 // values in a file, aliases expanded
)

// A node is a YAML value with its place. Aliases and merge keys are resolved
// and keys are text, so nobody else has to know of them. Values that aliases
// share are shared nodes.
type node struct {
	position
	kind   kind
	tag    string // of a scalar: !!str, !!int, !!float, !!bool, !!null
	value  string // of a scalar, as the file has it
	fields []field
	items  []*node
	size   int // values in it, aliases expanded
	height int // levels in it
}

// grow counts a child.
func (n *node) grow(child *node) {
	n.size += child.size
	n.height = max(n.height, child.height+1)
}

type kind int

const (
	scalar kind = iota
	mapping
	list
)

// A field is a key of a mapping and its value.
type field struct {
	key   *node
	value *node
}

// get returns the value of a key, or nil.
func (n *node) get(key string) *node {
	for _, f := range n.fields {
		if f.key.value == key {
			return f.value
		}
	}
	return nil
}

func (n *node) isNull() bool { return n.kind == scalar && n.tag == "!!null" }

// describe names the value for a message.
func (n *node) describe() string {
	switch {
	case n.kind == mapping:
		return "a mapping"
	case n.kind == list:
		return "a list"
	case n.isNull():
		return "nothing"
	}
	return fmt.Sprintf("%q", shorten(n.value))
}

// shorten bounds what a message quotes of a file.
func shorten(s string) string { return shortenTo(80, s) }

func shortenTo(most int, s string) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// parseNode reads the one YAML document of a text. Where it returns nil, it has
// said why.
func parseNode(name, text string, probs *problems) *node {
	text = fromJSON(text)
	doc, next, err := parseYAML(text)
	switch {
	case errors.Is(err, io.EOF):
		probs.add(position{file: name}, "", "the file is empty")
		return nil
	case err != nil:
		probs.add(syntaxError(name, text, err))
		return nil
	case next != nil:
		probs.add(position{name, next.Line, next.Column}, "", "a file holds one YAML document, and a second one begins here")
		return nil
	}
	b := builder{name: name, probs: probs, built: make(map[*yaml.Node]*node)}
	root := b.build(doc.Content[0])
	if b.fatal {
		return nil
	}
	if root.isNull() {
		probs.add(position{file: name}, "", "the file is empty")
		return nil
	}
	return root
}

// isEmpty tells whether a text has no value in it.
func isEmpty(text string) bool {
	doc, _, err := parseYAML(text)
	return errors.Is(err, io.EOF) || err == nil && doc.Content[0].ShortTag() == "!!null"
}

// parseYAML returns a text's first document, and its second if there is one.
func parseYAML(text string) (doc, next *yaml.Node, err error) {
	// The YAML package panics on a few broken texts.
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("yaml: the text cannot be read")
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(text))
	doc = new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		return nil, nil, err
	}
	next = new(yaml.Node)
	if err := dec.Decode(next); errors.Is(err, io.EOF) {
		return doc, nil, nil
	} else if err != nil {
		return nil, nil, err
	}
	return doc, next, nil
}

// syntaxError turns the YAML package's error into a place and a message, as
// problems.add takes them. The package names the line where the construct
// begins in which it gave up, and no column. The mistake is where the shortest
// beginning of the text ends that fails in the same way.
func syntaxError(name, text string, err error) (at position, hint, format string, msg any) {
	runes := []rune(text)
	n := sort.Search(len(runes), func(i int) bool {
		_, _, e := parseYAML(string(runes[:i]))
		return e != nil && e.Error() == err.Error()
	})
	before := strings.TrimRightFunc(string(runes[:n]), unicode.IsSpace)
	line := before[strings.LastIndex(before, "\n")+1:]
	at = position{name, strings.Count(before, "\n") + 1, len([]rune(line))}
	// What follows the blanks before the mistake may be a tab.
	if rest := string(runes[len([]rune(before)):n]); strings.Contains(rest, "\t") || strings.HasPrefix(line, "\t") {
		hint = "indent with spaces, not with tabs"
	}
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		_, text, _ = strings.Cut(rest, ": ")
	}
	return at, hint, "YAML: %s", text
}

// A builder makes nodes of the YAML package's ones.
type builder struct {
	name  string
	probs *problems
	built map[*yaml.Node]*node // whole ones
	fatal bool                 // the tree is not whole
}

func (b *builder) build(y *yaml.Node) *node {
	n := &node{position: position{b.name, y.Line, y.Column}, tag: "!!null", size: 1, height: 1}
	switch y.Kind {
	case yaml.AliasNode:
		target, ok := b.built[y.Alias]
		if !ok {
			return b.fail(n, "alias *%s stands inside the value that it names", shorten(y.Value))
		}
		return target
	case yaml.MappingNode:
		n.kind = mapping
		b.mapping(n, y)
	case yaml.SequenceNode:
		n.kind = list
		for _, c := range y.Content {
			item := b.build(c)
			n.items = append(n.items, item)
			n.grow(item)
		}
	default:
		n.value = y.Value
		n.tag = y.ShortTag()
	}
	b.checkTag(n, y)
	if n.size > maxNodes {
		n = b.fail(n, "more than %d values, aliases expanded", maxNodes)
	} else if n.height > maxDepth {
		n = b.fail(n, "values are nested more than %d deep", maxDepth)
	}
	b.built[y] = n
	return n
}

// fail reports what makes the tree useless, and stands in for the value.
func (b *builder) fail(n *node, format string, args ...any) *node {
	b.fatal = true
	b.probs.add(n.position, "", format, args...)
	return &node{position: n.position, tag: "!!null", size: 1, height: 1}
}

// checkTag refuses tags such as !secret and !!binary, which mean nothing here.
// Dates and YAML 1.1's other inventions are text.
func (b *builder) checkTag(n *node, y *yaml.Node) {
	switch tag := y.ShortTag(); {
	case n.kind == mapping && tag == "!!map", n.kind == list && tag == "!!seq":
	case n.kind != scalar:
		b.probs.add(n.position, "", "unknown tag %s", shorten(tag))
	case tag == "!!timestamp", tag == "!!merge":
		n.tag = "!!str"
	case tag == "!!str", tag == "!!int", tag == "!!float", tag == "!!bool", tag == "!!null":
	default:
		b.probs.add(n.position, "", "unknown tag %s", shorten(tag))
		n.tag = "!!str"
	}
}

func (b *builder) mapping(n *node, y *yaml.Node) {
	at := make(map[string]*node) // keys of this mapping itself
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		key := &node{position: position{b.name, y.Content[i].Line, y.Content[i].Column}, tag: "!!str", value: k.Value}
		value := b.build(v)
		n.size++
		n.grow(value)
		switch {
		case k.Kind != yaml.ScalarNode:
			b.probs.add(key.position, "", "a key is plain text, not %s", map[yaml.Kind]string{
				yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list"}[k.Kind])
		case k.ShortTag() == "!!merge":
			merged = append(merged, b.merges(value)...)
		case at[key.value] != nil:
			b.probs.add(key.position, "", "duplicate key %q, first at %s", shorten(key.value), at[key.value].position)
		default:
			at[key.value] = key
			n.fields = append(n.fields, field{key, value})
		}
	}
	if n.size > maxNodes {
		return // build refuses it
	}
	// A mapping's own keys win over merged ones, and earlier merged ones over later.
	for _, m := range merged {
		for _, f := range m.fields {
			if at[f.key.value] == nil {
				at[f.key.value] = f.key
				n.fields = append(n.fields, f)
			}
		}
	}
}

// merges returns the mappings that a merge key (<<) names.
func (b *builder) merges(value *node) []*node {
	sources := []*node{value}
	if value.kind == list {
		sources = value.items
	}
	for _, s := range sources {
		if s.kind != mapping {
			b.probs.add(s.position, "", "want a mapping to merge, got %s", s.describe())
			return nil
		}
	}
	return sources
}
