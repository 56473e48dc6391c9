package spec

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/upmaru/icepak/checks"
)

// Schema returns the JSON Schema (draft 2020-12) of the language, made of the
// resource types and their attributes as they are. What it refuses is a mistake;
// cycles, templates and what one value means for another it does not know.
func Schema() ([]byte, error) {
	s := schemas{}
	root := schema{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "icepak's specs",
		"description": "A spec has checks; a file without them is a goss file, and one check.",
		"type":        "object",
		// Beside checks stands only what is no resource.
		"if":                   schema{"required": []string{"checks"}},
		"then":                 schema{"propertyNames": schema{"enum": topKeys}},
		"additionalProperties": false,
	}
	properties := s.sections()
	properties["image"] = s.object(reflect.TypeFor[Image]())
	properties["instance"] = s.object(reflect.TypeFor[Instance]())
	properties["vars"] = schema{"type": []string{"object", "null"}}
	properties["include"] = s.of(reflect.TypeFor[[]string](), attribute{})
	properties["checks"] = schema{
		"type":                 []string{"object", "null"},
		"propertyNames":        schema{"pattern": "^[a-z0-9][a-z0-9-]*$"},
		"additionalProperties": s.ref("check", s.check),
	}
	root["properties"], root["$defs"] = properties, s
	return json.MarshalIndent(root, "", "  ")
}

// A schema is a part of a JSON Schema.
type schema map[string]any

// schemas are the parts that have a name.
type schemas map[string]schema

// ref refers to the part of that name, which is made once.
func (s schemas) ref(name string, of func() schema) schema {
	if s[name] == nil {
		s[name] = schema{} // it may refer to itself
		s[name] = of()
	}
	return schema{"$ref": "#/$defs/" + name}
}

func (s schemas) check() schema {
	properties := s.sections()
	asserts := requireOne(slices.Sorted(maps.Keys(properties)))
	maps.Copy(properties, s.properties(reflect.TypeFor[checkKeys]()))
	return schema{"type": "object", "properties": properties, "additionalProperties": false, "anyOf": asserts}
}

// sections are the resource types as they stand in a check.
func (s schemas) sections() schema {
	sections := schema{"gossfile": schema{
		"type":                 []string{"object", "null"},
		"additionalProperties": schema{"anyOf": []schema{{"type": "null"}, s.object(reflect.TypeFor[gossfileKeys]())}},
	}}
	for _, t := range checks.Types() {
		one := s.ref("resource-"+t.Name, func() schema { return s.resource(t) })
		if t.Single {
			sections[t.Name] = one
		} else {
			sections[t.Name] = schema{"type": []string{"object", "null"}, "additionalProperties": one}
		}
	}
	return sections
}

// resource is a resource, which asserts something or is skipped.
func (s schemas) resource(t checks.Type) schema {
	typ := reflect.TypeOf(t.New()).Elem()
	attrs := attributes(typ)
	names := slices.DeleteFunc(keys(attrs), func(name string) bool { return attrs[name].kind == "" && !attrs[name].asserts })
	object := s.object(typ)
	if !t.BeforeBoot() {
		delete(object["properties"].(schema), "before-boot")
	}
	object["anyOf"] = append(requireOne(names), schema{"required": []string{"skip"}})
	return object
}

func requireOne(names []string) []schema {
	var any []schema
	for _, name := range names {
		any = append(any, schema{"required": []string{name}})
	}
	return any
}

// object is a mapping that is decoded into a struct.
func (s schemas) object(t reflect.Type) schema {
	object := schema{"type": "object", "properties": s.properties(t), "additionalProperties": false}
	var required []string
	for name, a := range attributes(t) {
		if t.FieldByIndex(a.index).Tag.Get("required") == "true" {
			required = append(required, name)
		}
	}
	if required != nil {
		slices.Sort(required)
		object["required"] = required
	}
	return object
}

func (s schemas) properties(t reflect.Type) schema {
	properties := schema{}
	for name, a := range attributes(t) {
		field := t.FieldByIndex(a.index)
		of := s.of(field.Type, a)
		if name != a.name {
			of = schema{"allOf": []schema{of}, "deprecated": true, "description": "an older name of " + a.name}
		}
		properties[name] = of
	}
	return properties
}

// of is the value of an attribute of that type.
func (s schemas) of(t reflect.Type, a attribute) schema {
	switch t {
	case matcherType:
		return s.property(a.kind)
	case durationType, timeType:
		return s.ref("duration", duration)
	case bytesType:
		return numeric(checks.Size)
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.object(t)
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": s.of(t.Elem(), attribute{})}
	case reflect.Slice:
		one := s.of(t.Elem(), a)
		return schema{"anyOf": []schema{one, {"type": "array", "items": one}}}
	case reflect.Interface:
		return schema{}
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return schema{"type": "integer"}
	}
	if len(a.oneOf) > 0 {
		return schema{"enum": a.oneOf}
	}
	return scalars()
}

// scalars are what is taken as text.
func scalars() schema { return schema{"type": []string{"string", "number", "boolean"}} }

func duration() schema {
	return schema{
		"description": fmt.Sprintf("such as %s, or milliseconds", 90*time.Second),
		"anyOf": []schema{
			{"type": "integer", "minimum": 0},
			{"type": "string", "pattern": `^\+?([0-9]+|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`},
		},
	}
}
