package spec

import (
	"github.com/upmaru/icepak/checks"
)

// property is what an attribute of the kind may be expected to be: a matcher, or what
// asserts nothing: an empty list, and null, which goss render writes.
func (s schemas) property(kind checks.Kind) schema {
	return s.ref("property-"+string(kind), func() schema {
		may := []schema{s.matcher(kind), {"type": "null"}}
		if numeric := numeric(kind) != nil; kind != checks.Bool && !numeric {
			may = append(may, schema{"type": "array", "maxItems": 0})
		}
		return schema{"anyOf": may}
	})
}

// matcher is a literal, or an expression.
func (s schemas) matcher(kind checks.Kind) schema {
	return s.ref("matcher-"+string(kind), func() schema {
		return schema{"anyOf": append(s.literals(kind), s.expression(kind))}
	})
}

// literals are what stands for itself.
func (s schemas) literals(kind checks.Kind) []schema {
	switch kind {
	case checks.Bool:
		return []schema{{"type": "boolean"}}
	case checks.Int, checks.Time, checks.Size:
		return []schema{numeric(kind)}
	case checks.String:
		return []schema{scalars()}
	case checks.Text:
		return []schema{scalars(), patternList()}
	}
	return []schema{scalars(), {"type": "array", "items": s.matcher(checks.ElementKind(kind)), "minItems": 1}}
}

// expression is one matcher with its argument.
func (s schemas) expression(kind checks.Kind) schema {
	return s.ref("expression-"+string(kind), func() schema {
		arguments := schema{}
		for _, name := range checks.Matchers(kind) {
			arguments[name] = s.argument(kind, name)
		}
		return schema{"type": "object", "properties": arguments, "additionalProperties": false, "minProperties": 1, "maxProperties": 1}
	})
}

// numeric is a number, or one that is written as text: a duration or a size, say. It
// is nil for kinds that are none.
func numeric(kind checks.Kind) schema {
	switch kind {
	case checks.Int:
		return schema{"anyOf": []schema{{"type": "number"}, {"type": "string", "pattern": `^\s*[-+]?[0-9.]`}}}
	case checks.Time:
		return duration()
	case checks.Size:
		return schema{
			"description": "such as 200MiB, or bytes",
			"anyOf":       []schema{{"type": "number", "minimum": 0}, {"type": "string", "pattern": `^\s*\+?[0-9.]`}},
		}
	}
	return nil
}

func patternList() schema {
	return schema{"type": "array", "items": nonEmpty(), "minItems": 1}
}

// nonEmpty is text, but not the empty one.
func nonEmpty() schema {
	s := scalars()
	s["minLength"] = 1
	return s
}

// argument is what stands behind a matcher's name. Of one that is not known here it may
// be anything.
func (s schemas) argument(kind checks.Kind, name string) schema {
	element := checks.ElementKind(kind)
	switch name {
	case "not":
		return s.matcher(kind)
	case "and", "or":
		return schema{"type": "array", "items": s.matcher(kind), "minItems": 1}
	case "contain-element":
		return s.matcher(element)
	case "contain-elements":
		return schema{"type": "array", "items": s.matcher(element), "minItems": 1}
	case "consist-of":
		return schema{"type": "array", "items": s.matcher(element)}
	case "have-len":
		return schema{"anyOf": []schema{{"type": "integer", "minimum": 0}, s.expression(checks.Int)}}
	case "have-key":
		return s.matcher(checks.String)
	case "have-patterns":
		return patternList()
	case "gt", "ge", "lt", "le":
		if of := numeric(kind); of != nil {
			return of
		}
		return numeric(checks.Int)
	case "have-prefix", "have-suffix", "contain-substring", "match-regexp", "semver-constraint":
		return nonEmpty()
	case "equal":
		return s.equal(kind)
	}
	return schema{}
}

func (s schemas) equal(kind checks.Kind) schema {
	switch kind {
	case checks.Bool:
		return schema{"type": "boolean"}
	case checks.Int, checks.Time, checks.Size:
		return numeric(kind)
	case checks.Any:
		return schema{}
	}
	return schema{"anyOf": []schema{scalars(), {"type": "array"}}}
}
