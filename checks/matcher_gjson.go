package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// gjsonPaths is gjson: what JSON has at each path must match.
type gjsonPaths []gjsonPath

type gjsonPath struct {
	path string
	test test
}

func (p *parser) parseGJSON(arg any) test {
	paths, ok := arg.(map[string]any)
	switch {
	case !ok:
		return p.fail("gjson wants a map of paths and matchers, got %s", describe(arg))
	case len(paths) == 0:
		return p.fail("gjson without a path asserts nothing")
	}
	var all gjsonPaths
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if path == "" {
			return p.fail("a path of gjson is empty: @this is all of it")
		}
		all = append(all, gjsonPath{path, p.in(path, func() test { return p.parse(Any, paths[path]) })})
	}
	return all
}

// match takes a path that is not there for a mistake, as goss does: that what
// stands at it is not 5 cannot be said either.
func (g gjsonPaths) match(actual any) finding {
	text, ok := actual.(string)
	if !ok || !json.Valid([]byte(text)) { // unlike gjson's own, it bounds how deep it goes
		return finding{invalid: true, message: show(actual) + " is not JSON"}
	}
	all := finding{ok: true}
	var messages []string
	for _, p := range g {
		f := finding{invalid: true, message: "there is no such path"}
		if found := gjson.Get(text, p.path); found.Exists() {
			f = p.test.match(valueOf(found))
		}
		if !f.ok {
			all.ok = false
			all.invalid = all.invalid || f.invalid
			messages = append(messages, fmt.Sprintf("%s: %s", p.path, f.message))
		}
	}
	all.message = strings.Join(messages, "; ")
	return all
}

// valueOf keeps whole numbers whole, which gjson makes floats of.
func valueOf(r gjson.Result) any {
	dec := json.NewDecoder(strings.NewReader(r.Raw))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil { // a count, for instance, stands nowhere in the text
		v = r.Value()
	}
	return normal(v)
}
