package spec

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// varsKey is how a file's vars begin. They are read before the file is
// rendered, when it need not be YAML yet, so they are found by their look.
var varsKey = regexp.MustCompile(`(?m)^(?:vars|"vars"|'vars')[ \t]*:(?:[ \t]|$)`)

// varsBlock returns a text with nothing but the file's vars, on the lines on
// which they stand. Without vars it is empty.
func varsBlock(text string) string {
	loc := varsKey.FindStringIndex(text)
	if loc == nil {
		return ""
	}
	lines := strings.SplitAfter(text[loc[0]:], "\n")
	end := 1
	for end < len(lines) && strings.Trim(lines[end][:min(1, len(lines[end]))], " \t\n#}]") == "" {
		end++
	}
	for end > 1 && strings.HasPrefix(lines[end-1], "#") {
		end-- // what follows the vars is not theirs
	}
	return strings.Repeat("\n", strings.Count(text[:loc[0]], "\n")) + strings.Join(lines[:end], "")
}

// readVars reads the vars of a text that has templates. Where it returns false,
// it has said why.
func (l *loader) readVars(name, text string) (map[string]any, bool) {
	block := varsBlock(text)
	if block == "" {
		return nil, true
	}
	if before, _, found := strings.Cut(block, "{{"); found {
		line := strings.Count(before, "\n")
		col := len([]rune(before[strings.LastIndex(before, "\n")+1:]))
		l.probs.add(position{name, line + 1, col + 1}, "", "vars cannot have templates in them: they are read before templates are")
		return nil, false
	}
	before := len(l.probs.list)
	root := parseNode(name, block, l.probs)
	if root == nil {
		return nil, false
	}
	if root.kind != mapping {
		l.want(root, "a mapping with vars")
		return nil, false
	}
	vars := l.vars(root.get("vars"))
	if err := tooLarge(vars); err != nil {
		l.probs.add(root.position, "", "vars: %v", err)
	}
	return vars, len(l.probs.list) == before
}

// vars decodes a file's vars.
func (l *loader) vars(n *node) map[string]any {
	if n == nil || n.isNull() {
		return nil
	}
	if n.kind != mapping {
		l.probs.add(n.position, "", "want a mapping, got %s", n.describe())
		return nil
	}
	vars := make(map[string]any)
	for _, f := range n.fields {
		vars[f.key.value] = l.varValue(f.value)
	}
	return vars
}

// varValue decodes a var. A number that would not be printed as the file has
// it, such as 0644 or 1.10, stays text: templates are there to print.
func (l *loader) varValue(n *node) any {
	switch n.kind {
	case mapping:
		m := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			m[f.key.value] = l.varValue(f.value)
		}
		return m
	case list:
		s := make([]any, len(n.items))
		for i, item := range n.items {
			s[i] = l.varValue(item)
		}
		return s
	}
	v := l.scalar(n)
	if v != nil && fmt.Sprint(v) != n.value {
		if _, isBool := v.(bool); !isBool {
			return n.value
		}
	}
	return v
}

// MergeVars returns base with the vars of top over it. Where both have a map,
// the maps are merged in the same way.
func MergeVars(base, top map[string]any) map[string]any {
	vars := make(map[string]any, len(base)+len(top))
	maps.Copy(vars, base)
	for name, v := range top {
		over, isMap := v.(map[string]any)
		under, wasMap := vars[name].(map[string]any)
		if isMap && wasMap {
			v = MergeVars(under, over)
		}
		vars[name] = v
	}
	return vars
}

// ParseVars reads variables for templates, YAML or JSON, from a text that
// errors name. The error is of type Errors.
func ParseVars(name string, data []byte) (map[string]any, error) {
	l := newLoader(nil, Options{})
	text, ok := l.text(name, data)
	if !ok {
		return nil, l.probs.err()
	}
	if isEmpty(text) {
		return nil, nil
	}
	root := parseNode(name, text, l.probs)
	if root == nil {
		return nil, l.probs.err()
	}
	return l.vars(root), l.probs.err()
}
