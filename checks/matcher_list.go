package checks

import (
	"fmt"
	"strings"
)

type not struct {
	test test
	expr any
}

func (n not) match(actual any) finding {
	f := n.test.match(actual)
	if f.invalid {
		return f
	}
	return finding{ok: !f.ok, message: fmt.Sprintf("it does match %s", show(n.expr))}
}

type and []test

func (a and) match(actual any) finding {
	all := finding{ok: true}
	var messages []string
	for _, t := range a {
		if f := t.match(actual); !f.ok {
			all.ok = false
			all.invalid = all.invalid || f.invalid
			messages = append(messages, f.message)
		}
	}
	all.message = strings.Join(messages, "; ")
	return all
}

type or []test

func (o or) match(actual any) finding {
	var none finding
	var messages []string
	for _, t := range o {
		f := t.match(actual)
		if f.ok {
			return finding{ok: true}
		}
		none.invalid = none.invalid || f.invalid
		messages = append(messages, f.message)
	}
	none.message = "none holds: " + strings.Join(messages, "; ")
	return none
}

// equalList is equal with a list: the same elements in the same order.
type equalList []any

func (e equalList) match(actual any) finding {
	list, ok := elementsOf(actual)
	if !ok {
		return finding{invalid: true, message: show(actual) + " is not a list"}
	}
	for i, want := range e {
		switch {
		case i >= len(list):
			return finding{message: fmt.Sprintf("missing: %s", showAll(e[i:]))}
		case !sameValue(want, list[i]):
			return finding{message: fmt.Sprintf("element %d is %s, want %s", i+1, show(list[i]), show(want))}
		}
	}
	if len(list) > len(e) {
		return finding{message: fmt.Sprintf("extra: %s", showAll(list[len(e):]))}
	}
	return finding{ok: true}
}

func sameValue(want, got any) bool {
	switch want.(type) {
	case nil, []any, map[string]any:
		return equalAny{want}.match(got).ok
	}
	return literal{want, Any}.equal(got)
}

type haveLen struct {
	test test // of the length
	expr any
}

func (h haveLen) match(actual any) finding {
	var n int
	switch v := actual.(type) {
	case string:
		n = len(v)
	case []any:
		n = len(v)
	case map[string]any:
		n = len(v)
	case nil:
	default:
		return finding{invalid: true, message: show(actual) + " has no length"}
	}
	f := h.test.match(int64(n))
	f.message = fmt.Sprintf("its length is %d, want %s", n, show(h.expr))
	return f
}

type haveKey struct {
	test test
	expr any
}

func (h haveKey) match(actual any) finding {
	m, ok := actual.(map[string]any)
	if !ok {
		return finding{invalid: true, message: show(actual) + " is not a map"}
	}
	f := finding{message: "missing key: " + show(h.expr)}
	for key := range m {
		got := h.test.match(key)
		if got.ok {
			return finding{ok: true}
		}
		f.invalid = f.invalid || got.invalid
	}
	return f
}

type containElement struct {
	test test
	expr any
}

func (c containElement) match(actual any) finding {
	list, ok := elementsOf(actual)
	if !ok {
		return finding{invalid: true, message: show(actual) + " is not a list"}
	}
	var f finding
	for _, v := range list {
		got := c.test.match(v)
		if got.ok {
			return finding{ok: true}
		}
		f.invalid = f.invalid || got.invalid
	}
	f.message = "missing: " + show(c.expr)
	return f
}

// elements is contain-elements and a literal list, or consist-of where it is
// exact. Each expected element takes one found element for itself.
type elements struct {
	tests []test
	exprs []any
	exact bool
}

func (e elements) match(actual any) finding {
	list, ok := elementsOf(actual)
	if !ok {
		return finding{invalid: true, message: show(actual) + " is not a list"}
	}
	takenBy, invalid := e.assign(list)
	matched := make([]bool, len(e.tests))
	var extra []any
	for i, t := range takenBy {
		if t >= 0 {
			matched[t] = true
		} else if e.exact {
			extra = append(extra, list[i])
		}
	}
	var missing []any
	for t, ok := range matched {
		if !ok {
			missing = append(missing, e.exprs[t])
		}
	}
	var parts []string
	if len(missing) > 0 {
		parts = append(parts, "missing: "+showAll(missing))
	}
	if len(extra) > 0 {
		parts = append(parts, "extra: "+showAll(extra))
	}
	ok = len(parts) == 0
	return finding{ok: ok, invalid: !ok && invalid, message: strings.Join(parts, "; ")}
}

// assign pairs tests with elements so that as many as possible have a partner
// of their own, and returns for each element its test or -1. It is the method
// of augmenting paths: a test may take an element over if the test that has it
// finds another. It also tells whether a test could not be compared with an
// element.
func (e elements) assign(list []any) (takenBy []int, invalid bool) {
	takenBy = make([]int, len(list))
	for i := range takenBy {
		takenBy[i] = -1
	}
	var take func(t int, seen []bool) bool
	take = func(t int, seen []bool) bool {
		for i, v := range list {
			if seen[i] {
				continue
			}
			if f := e.tests[t].match(v); !f.ok {
				invalid = invalid || f.invalid
				continue
			}
			seen[i] = true
			if takenBy[i] < 0 || take(takenBy[i], seen) {
				takenBy[i] = t
				return true
			}
		}
		return false
	}
	for t := range e.tests {
		take(t, make([]bool, len(list)))
	}
	return takenBy, invalid
}
