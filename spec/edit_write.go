package spec

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/upmaru/icepak/checks"
)

// A writer writes values as a file has them.
type writer struct {
	step int  // spaces by which what is in a mapping is indented
	json bool // the file is JSON
}

// entry writes a key with its value on lines indented by so much.
func (w writer) entry(indent int, key string, value *yaml.Node) string {
	return w.block(indent, mappingOf(textNode(key), value))
}

// block writes a mapping on lines indented by so much.
func (w writer) block(indent int, n *yaml.Node) string {
	var b strings.Builder
	for line := range strings.Lines(w.encode(n)) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(strings.Repeat(" ", indent))
		}
		b.WriteString(line)
	}
	return b.String()
}

// flow writes a mapping in brackets on one line.
func (w writer) flow(n *yaml.Node) string {
	if w.json {
		return escapeTemplates(string(jsonOf(n)))
	}
	in := withoutComments(n)
	in.Style = yaml.FlowStyle
	return strings.TrimSuffix(w.encode(in), "\n")
}

// withoutComments drops what stands after the brackets, which stays there.
func withoutComments(n *yaml.Node) *yaml.Node {
	c := *n
	c.HeadComment, c.LineComment, c.FootComment = "", "", ""
	c.Content = make([]*yaml.Node, len(n.Content))
	for i := range n.Content {
		c.Content[i] = withoutComments(n.Content[i])
	}
	return &c
}

// flowEntry writes a key with its value as it stands between brackets: on one line, or, in
// JSON with an indent, on several.
func (w writer) flowEntry(indent int, key string, value *yaml.Node) string {
	whole := mappingOf(textNode(key), value)
	if !w.json || indent < 0 {
		return strings.TrimSuffix(strings.TrimPrefix(w.flow(whole), "{"), "}")
	}
	var b bytes.Buffer
	prefix := strings.Repeat(" ", max(indent-w.step, 0))
	if err := json.Indent(&b, jsonOf(whole), prefix, strings.Repeat(" ", w.step)); err != nil {
		return string(jsonOf(whole)) // it has just been written
	}
	return escapeTemplates(strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(b.String(), "{"), "}")))
}

func (w writer) encode(n *yaml.Node) string {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(w.step)
	_ = enc.Encode(n) // a buffer takes everything, and a node can be written
	return escapeTemplates(b.String())
}

// escapeTemplates writes a text so that it is no template, and is the same once it is
// carried out as one.
func escapeTemplates(text string) string { return strings.ReplaceAll(text, "{{", "{{`{{`}}") }

// jsonOf writes a value in the order of its keys.
func jsonOf(n *yaml.Node) []byte {
	var b bytes.Buffer
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			b.WriteString(", ")
			b.Write(jsonValue(n.Content[i].Value))
			b.WriteString(": ")
			b.Write(jsonOf(n.Content[i+1]))
		}
		return []byte("{" + strings.TrimPrefix(b.String(), ", ") + "}")
	case yaml.SequenceNode:
		for _, c := range n.Content {
			b.WriteString(", ")
			b.Write(jsonOf(c))
		}
		return []byte("[" + strings.TrimPrefix(b.String(), ", ") + "]")
	}
	var v any
	_ = n.Decode(&v) // a scalar of a type that there is
	return jsonValue(v)
}

func jsonValue(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func mappingOf(content ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: content}
}

func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	_ = n.Encode(s) // which quotes what YAML might read as anything but text
	return n
}

// nest puts a value at the end of a path of keys.
func nest(path []string, value *yaml.Node) *yaml.Node {
	for _, key := range slices.Backward(path) {
		value = mappingOf(textNode(key), value)
	}
	return value
}

// valueOf is a description as a file has it.
func valueOf(d checks.Description) *yaml.Node {
	n := mappingOf()
	for _, a := range d.Attributes {
		n.Content = append(n.Content, textNode(a.Name), attributeNode(a.Value))
	}
	return n
}

func attributeNode(v any) *yaml.Node {
	if f, ok := v.(float64); ok && f == float64(int64(f)) { // as JSON has brought it
		v = int64(f)
	}
	if list, ok := v.([]any); ok {
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range list {
			n.Content = append(n.Content, attributeNode(item))
		}
		return n
	}
	n := &yaml.Node{}
	_ = n.Encode(v) // a bool, a number or text
	return n
}

// renewed is a resource's mapping with what a description says in the place of what one
// said before.
func renewed(old *yaml.Node, d checks.Description) *yaml.Node {
	n := *old
	n.Content, n.Anchor, n.HeadComment, n.FootComment = nil, "", "", ""
	t, ok := checks.TypeNamed(d.Type)
	if !ok {
		return &n
	}
	attrs := attributes(reflect.TypeOf(t.New()).Elem())
	left := slices.Clone(d.Attributes)
	for i := 0; i+1 < len(old.Content); i += 2 {
		key, value := old.Content[i], old.Content[i+1]
		name := attrs[key.Value].name
		at := slices.IndexFunc(left, func(a checks.Attribute) bool { return a.Name == name })
		switch {
		case at >= 0:
			fresh := attributeNode(left[at].Value)
			fresh.LineComment = value.LineComment
			if sameNode(value, fresh) {
				fresh = value
			}
			n.Content = append(n.Content, key, fresh)
			left = slices.Delete(left, at, at+1)
		case !slices.Contains(checks.Described(d.Type), name):
			n.Content = append(n.Content, key, value)
		}
	}
	for _, a := range left {
		n.Content = append(n.Content, textNode(a.Name), attributeNode(a.Value))
	}
	return &n
}

// sameNode tells whether two values are the same, however they are written.
func sameNode(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Value == b.Value &&
		slices.EqualFunc(a.Content, b.Content, sameNode)
}
