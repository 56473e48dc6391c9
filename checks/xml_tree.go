package checks

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/antchfx/xpath"
)

// Bounds of the XML that is looked at.
const (
	maxXMLNodes = 200_000
	maxXMLDepth = 1000
)

// An xmlNode is an element, a text, a comment, or the root above them all.
// Texts of nothing but space are left out.
type xmlNode struct {
	kind         xpath.NodeType
	prefix, name string
	text         string // of a text or a comment
	attrs        []xml.Attr
	parent       *xmlNode
	children     []*xmlNode
	place        int // among its parent's children
}

// parseXML reads one document.
func parseXML(text string) (*xmlNode, error) {
	dec := xml.NewDecoder(strings.NewReader(text))
	root := &xmlNode{kind: xpath.RootNode}
	at, depth := root, 0
	for count := 0; ; count++ {
		token, err := dec.RawToken()
		switch {
		case errors.Is(err, io.EOF) && at == root && len(root.children) > 0:
			return root, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("it ends too early")
		case err != nil:
			return nil, err
		case count > maxXMLNodes || depth > maxXMLDepth:
			return nil, fmt.Errorf("more than %d nodes, or %d levels", maxXMLNodes, maxXMLDepth)
		}
		switch token := token.(type) {
		case xml.StartElement:
			at = at.add(&xmlNode{kind: xpath.ElementNode, prefix: token.Name.Space, name: token.Name.Local, attrs: token.Attr})
			depth++
		case xml.EndElement:
			if at == root || at.name != token.Name.Local || at.prefix != token.Name.Space {
				return nil, fmt.Errorf("</%s> ends what did not begin", token.Name.Local)
			}
			at = at.parent
			depth--
		case xml.CharData:
			if blank := len(strings.TrimSpace(string(token))) == 0; !blank && at == root {
				return nil, errors.New("there is text outside of its element")
			} else if !blank {
				at.add(&xmlNode{kind: xpath.TextNode, text: string(token)})
			}
		case xml.Comment:
			at.add(&xmlNode{kind: xpath.CommentNode, text: string(token)})
		}
	}
}

func (n *xmlNode) add(child *xmlNode) *xmlNode {
	child.parent, child.place = n, len(n.children)
	n.children = append(n.children, child)
	return child
}

// value is the text in the node.
func (n *xmlNode) value(b *strings.Builder) {
	if n.kind == xpath.TextNode {
		b.WriteString(n.text)
	}
	for _, child := range n.children {
		child.value(b)
	}
}

// write writes the node as XML, with texts trimmed.
func (n *xmlNode) write(b *strings.Builder) {
	switch n.kind {
	case xpath.TextNode:
		b.WriteString(html.EscapeString(strings.TrimSpace(n.text)))
		return
	case xpath.CommentNode:
		fmt.Fprintf(b, "<!--%s-->", n.text)
		return
	case xpath.ElementNode:
		b.WriteString("<" + qualified(n.prefix, n.name))
		for _, a := range n.attrs {
			fmt.Fprintf(b, ` %s="%s"`, qualified(a.Name.Space, a.Name.Local), html.EscapeString(a.Value))
		}
		if len(n.children) == 0 {
			b.WriteString("/>")
			return
		}
		b.WriteString(">")
		defer fmt.Fprintf(b, "</%s>", qualified(n.prefix, n.name))
	}
	for _, child := range n.children {
		child.write(b)
	}
}

func qualified(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + ":" + name
}

// An xmlCursor moves about a tree for XPath.
type xmlCursor struct {
	node *xmlNode
	attr int // the attribute of the node at which it is, or -1
}

var _ xpath.NodeNavigator = (*xmlCursor)(nil)

// write writes where it is as XML; an attribute as if it were an element.
func (c *xmlCursor) write(b *strings.Builder) {
	if c.attr < 0 {
		c.node.write(b)
		return
	}
	fmt.Fprintf(b, "<%s>%s</%[1]s>", c.LocalName(), html.EscapeString(c.Value()))
}

func (c *xmlCursor) NodeType() xpath.NodeType {
	if c.attr >= 0 {
		return xpath.AttributeNode
	}
	return c.node.kind
}

func (c *xmlCursor) LocalName() string {
	if c.attr >= 0 {
		return c.node.attrs[c.attr].Name.Local
	}
	return c.node.name
}

func (c *xmlCursor) Prefix() string {
	if c.attr >= 0 {
		return c.node.attrs[c.attr].Name.Space
	}
	return c.node.prefix
}

func (c *xmlCursor) Value() string {
	switch {
	case c.attr >= 0:
		return c.node.attrs[c.attr].Value
	case c.node.kind == xpath.CommentNode:
		return c.node.text
	}
	var b strings.Builder
	c.node.value(&b)
	return b.String()
}

func (c *xmlCursor) Copy() xpath.NodeNavigator {
	at := *c
	return &at
}

func (c *xmlCursor) MoveTo(other xpath.NodeNavigator) bool {
	at, ok := other.(*xmlCursor)
	if ok {
		*c = *at
	}
	return ok
}

func (c *xmlCursor) MoveToRoot() {
	for c.node.parent != nil {
		c.node = c.node.parent
	}
	c.attr = -1
}

func (c *xmlCursor) MoveToParent() bool {
	switch {
	case c.attr >= 0:
		c.attr = -1
	case c.node.parent != nil:
		c.node = c.node.parent
	default:
		return false
	}
	return true
}

func (c *xmlCursor) MoveToNextAttribute() bool {
	if c.attr+1 >= len(c.node.attrs) {
		return false
	}
	c.attr++
	return true
}

func (c *xmlCursor) MoveToChild() bool {
	if c.attr >= 0 || len(c.node.children) == 0 {
		return false
	}
	c.node = c.node.children[0]
	return true
}

func (c *xmlCursor) MoveToFirst() bool { return c.node.place > 0 && c.sibling(0) }

func (c *xmlCursor) MoveToNext() bool { return c.sibling(c.node.place + 1) }

func (c *xmlCursor) MoveToPrevious() bool { return c.sibling(c.node.place - 1) }

// sibling moves to that child of the node's parent.
func (c *xmlCursor) sibling(place int) bool {
	if c.attr >= 0 || c.node.parent == nil || place < 0 || place >= len(c.node.parent.children) {
		return false
	}
	c.node = c.node.parent.children[place]
	return true
}
