package spec

import (
	"encoding/json"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/upmaru/icepak/checks"
)

// fieldOf returns the value of a mapping's key.
func fieldOf(n *yaml.Node, key string) (*yaml.Node, bool) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1], true
		}
	}
	return nil, false
}

// place returns the text with a description at the end of a path of keys, as far
// as there is one, and else with what is missing of it.
func (e *Edit) place(path []string, d checks.Description) (string, error) {
	text := e.text
	if text == "" && strings.HasSuffix(e.name, ".json") {
		text = "{\n}\n"
	}
	if isEmpty(strings.TrimPrefix(text, "\uFEFF")) {
		if text != "" {
			text = strings.TrimRight(text, "\n") + "\n\n" // comments
		}
		return text + writer{step: 2}.entry(0, path[0], nest(path[1:], valueOf(d))), nil
	}
	root, err := rootOf(text)
	if err != nil {
		return "", err
	}
	p := newPage(text, root)
	at := root
	for i, key := range path {
		next, ok := fieldOf(at, key)
		rest := path[i+1:]
		switch {
		case !ok:
			return p.insert(at, key, nest(rest, valueOf(d)))
		case next.Kind == yaml.MappingNode && len(rest) == 0:
			return p.replace(next, renewed(unmasked(text, path), d))
		case next.Kind == yaml.MappingNode:
			at = next
		case next.Kind == yaml.ScalarNode && next.Value == "" && next.Anchor == "" && at.Style&yaml.FlowStyle == 0:
			return p.fill(next, nest(rest, valueOf(d))), nil // a section with nothing in it
		default:
			return "", notEditablef("%s is not written out as a mapping there", key)
		}
	}
	return text, nil
}

// unmasked returns the value at the end of a path as it is, and not as it is
// for its place.
func unmasked(text string, path []string) *yaml.Node {
	doc, _, err := parseYAML(fromJSON(strings.TrimPrefix(text, "\uFEFF")))
	if err != nil {
		return &yaml.Node{Kind: yaml.MappingNode} // it was parsed before
	}
	at := doc.Content[0]
	for _, key := range path {
		at, _ = fieldOf(at, key)
	}
	return at
}

// A page is a text with the places of its values.
type page struct {
	text  string
	lines []string // with their ends
	start []int    // of each line, in bytes
	root  *yaml.Node
	writer
}

func newPage(text string, root *yaml.Node) *page {
	p := &page{text: text, lines: strings.SplitAfter(text, "\n"), root: root}
	offset := 0
	for _, line := range p.lines {
		p.start = append(p.start, offset)
		offset += len(line)
	}
	p.json = json.Valid([]byte(text))
	p.step = stepOf(root)
	return p
}

// stepOf is by how much a file indents what stands in a mapping.
func stepOf(n *yaml.Node) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 && value.Content[0].Line > key.Line &&
			value.Content[0].Column > key.Column {
			return value.Content[0].Column - key.Column
		}
	}
	return 2
}

// offset is where a node begins, in bytes.
func (p *page) offset(n *yaml.Node) int {
	line := p.lines[n.Line-1]
	if n.Line == 1 {
		line = strings.TrimPrefix(line, "\uFEFF")
	}
	runes := []rune(line)
	return p.start[n.Line-1] + len(p.lines[n.Line-1]) - len(string(runes[n.Column-1:]))
}

// insert adds an entry at the end of a mapping.
func (p *page) insert(into *yaml.Node, key string, value *yaml.Node) (string, error) {
	if into.Style&yaml.FlowStyle != 0 {
		return p.insertFlow(into, key, value)
	}
	indent := into.Content[0].Column - 1
	at := p.endOf(into, indent)
	before := p.text[:at]
	if before != "" && !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	if p.spaced(into) {
		before += "\n"
	}
	return before + p.entry(indent, key, value) + p.text[at:], nil
}

// fill writes a value under a key that has none.
func (p *page) fill(null, value *yaml.Node) string {
	line := null.Line - 1
	end := p.start[line] + len(p.lines[line])
	before := p.text[:end]
	if !strings.HasSuffix(before, "\n") {
		before += "\n"
	}
	indent := len(p.lines[line]) - len(strings.TrimLeft(p.lines[line], " "))
	return before + p.block(indent+p.step, value) + p.text[end:]
}

// spaced tells whether a blank line stands before the mapping's last key.
func (p *page) spaced(n *yaml.Node) bool {
	if len(n.Content) < 4 {
		return false
	}
	line := n.Content[len(n.Content)-2].Line - 2
	for line >= 0 && strings.HasPrefix(strings.TrimSpace(p.lines[line]), "#") {
		line--
	}
	return line >= 0 && strings.TrimSpace(p.lines[line]) == ""
}

// endOf is where a block mapping ends whose keys are indented by so much: before
// the next value of the file, less the blank lines and comments that go with that.
func (p *page) endOf(n *yaml.Node, indent int) int {
	line := len(p.lines)
	if next := after(p.root, n); next != nil {
		line = next.Line - 1
	}
	for line > 0 {
		text := strings.TrimRight(p.lines[line-1], " \t\r\n")
		comment := strings.HasPrefix(strings.TrimLeft(text, " "), "#") && len(text)-len(strings.TrimLeft(text, " ")) < indent
		if text != "" && text != "..." && !comment {
			break
		}
		line--
	}
	if line == len(p.lines) {
		return len(p.text)
	}
	return p.start[line]
}

// after returns the first node that comes after all of n's.
func after(root, n *yaml.Node) *yaml.Node {
	inside, passed := false, false
	var next *yaml.Node
	var walk func(*yaml.Node)
	walk = func(at *yaml.Node) {
		if passed && !inside && next == nil {
			next = at
		}
		mine := at == n
		if mine {
			inside, passed = true, true
		}
		for _, c := range at.Content {
			walk(c)
		}
		if mine {
			inside = false
		}
	}
	walk(root)
	return next
}

// replace writes a mapping anew.
func (p *page) replace(old, value *yaml.Node) (string, error) {
	if old.Style&yaml.FlowStyle != 0 {
		from := p.offset(old)
		in, err := p.brackets(from)
		switch {
		case err != nil:
			return "", err
		case in.comments:
			return "", notEditablef("there are comments between the brackets")
		}
		return p.text[:from] + p.flow(value) + p.text[in.end:], nil
	}
	indent := old.Content[0].Column - 1
	from := old.Content[0].Line - 1
	for from > 0 && strings.HasPrefix(strings.TrimSpace(p.lines[from-1]), "#") {
		from-- // the comment of the first key, which is written again
	}
	return p.text[:p.start[from]] + p.block(indent, value) + p.text[p.endOf(old, indent):], nil
}
