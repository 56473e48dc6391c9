package checks

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/antchfx/xpath"
)

// xmlResult is xml: what an XPath expression gives on XML must be this text.
// Nodes are written as XML one after another, and where no result is given, one
// node is enough.
type xmlResult struct {
	xpath, result string
}

func (p *parser) parseXML(arg any) test {
	m, ok := arg.(map[string]any)
	if !ok {
		return p.fail("xml wants a map of xpath and result, got %s", describe(arg))
	}
	var x xmlResult
	for _, key := range slices.Sorted(maps.Keys(m)) {
		p.in(key, func() test {
			value := m[key]
			into, ok := map[string]*string{"xpath": &x.xpath, "result": &x.result}[key]
			if !ok {
				return p.fail("unknown key %q of xml: it has xpath and result", key)
			}
			switch value.(type) {
			case nil, []any, map[string]any:
				return p.fail("want text, got %s", describe(value))
			}
			*into = textOf(value)
			return nil
		})
	}
	if _, err := xpath.Compile(x.xpath); err != nil || x.xpath == "" {
		return p.fail("want an XPath expression, got %s", show(x.xpath))
	}
	return x
}

func (x xmlResult) match(actual any) finding {
	text, ok := actual.(string)
	if !ok {
		return finding{invalid: true, message: show(actual) + " is not XML"}
	}
	root, err := parseXML(text)
	if err != nil {
		return finding{invalid: true, message: "it is not XML: " + err.Error()}
	}
	found, nodes, err := evaluateXPath(root, x.xpath)
	switch {
	case err != nil:
		return finding{invalid: true, message: fmt.Sprintf("%s: %v", x.xpath, err)}
	case nodes && strings.TrimSpace(x.result) == "":
		return finding{ok: found != "", message: "there is no node " + x.xpath}
	}
	return finding{
		ok:      found == x.result || !nodes && sameNumber(found, x.result),
		message: fmt.Sprintf("%s is %s, want %s", x.xpath, show(found), show(x.result)),
	}
}

// sameNumber tells whether two texts are of the same number: 1e6 is 1000000.
func sameNumber(a, b string) bool {
	n, aOK := parseNumber(a)
	m, bOK := parseNumber(b)
	return aOK && bOK && compareNumbers(n, m) == 0
}

// evaluateXPath returns what an expression gives as text, and whether it gives
// nodes. The library panics where a function is given what it cannot take.
func evaluateXPath(root *xmlNode, expression string) (found string, nodes bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	compiled, err := xpath.Compile(expression)
	if err != nil {
		return "", false, err
	}
	switch v := compiled.Evaluate(&xmlCursor{node: root, attr: -1}).(type) {
	case *xpath.NodeIterator:
		var b strings.Builder
		for v.MoveNext() {
			v.Current().(*xmlCursor).write(&b)
		}
		return b.String(), true, nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), false, nil
	default:
		return fmt.Sprint(v), false, nil
	}
}
