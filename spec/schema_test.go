package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/upmaru/icepak/checks"
)

// compiled returns the language's schema, or the part of it at the fragment.
func compiled(t *testing.T, fragment string) *jsonschema.Schema {
	t.Helper()
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("spec.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("spec.json" + fragment)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain is a value as a YAML language server sees it.
func plain(t *testing.T, n *node) any {
	t.Helper()
	data, err := json.Marshal(plainGo(n))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func plainGo(n *node) any {
	switch n.kind {
	case mapping:
		m := map[string]any{}
		for _, f := range n.fields {
			m[f.key.value] = plainGo(f.value)
		}
		return m
	case list:
		s := []any{}
		for _, item := range n.items {
			s = append(s, plainGo(item))
		}
		return s
	}
	return newDecoder().scalar(n)
}

func parsed(t *testing.T, name, text string) any {
	t.Helper()
	probs := newProblems()
	n := parseNode(name, text, probs)
	if n == nil {
		t.Fatal(probs.err())
	}
	return plain(t, n)
}

func TestTheSchemaHoldsForEverySpec(t *testing.T) {
	s := compiled(t, "")
	var files []string
	for _, pattern := range []string{"testdata/ok/*.yaml", "testdata/ok/*/*.y*ml", "testdata/edit/*.yaml", "../examples/*.yaml", "../examples/*/*.yaml", "../images/*.yaml", "../images/*/*.yaml"} {
		files = append(files, testFiles(t, pattern)...)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := Render(file, testOptions)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(parsed(t, file, string(text))); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheSchemaRefusesWhatIsWrong(t *testing.T) {
	s := compiled(t, "")
	for _, text := range []string{
		"files: {/a: {exists: true}}",
		"file: [/a]",
		"file: {/a: {}}",
		"file: {/a: {exsts: true}}",
		"file: {/a: {exists: maybe}}",
		"file: {/a: {title: x}}",
		"file: {/a: {exists: {equal: 1}}}",
		"file: {/a: {mode: [a, b]}}",
		"file: {/a: {size: big}}",
		"file: {/a: {size: {gtt: 5}}}",
		"file: {/a: {size: {gt: 5, lt: 9}}}",
		"file: {/a: {size: {}}}",
		"file: {/a: {size: {have-len: 1}}}",
		"file: {/a: {contents: [[a]]}}",
		"file: {/a: {contents: {have-patterns: x}}}",
		"user: {root: {groups: {consist-of: wheel}}}",
		"user: {root: {uid: {and: {gt: 1}}}}",
		"user: {root: {shell: {not: {have-prefix: [a]}}}}",
		"user: {root: {exists: true, within: soon}}",
		"user: {root: {exists: true, retry_count: many}}",
		"command: {ls: {exit-status: 0, env: [A=1]}}",
		"nvidia-smi: {a: {gpus: [x]}}",
		"command: {ls: {exit-status: 0, before-boot: true}}",
		"find: {/a: {count: 0, type: fifo}}",
		"find: {/a: {count: 0, larger: big}}",
		"image: {agrees: maybe, os: x}\nuser: {root: {exists: true}}",
		"gossfile: [x.yaml]",
		"gossfile: {x.yaml: {skp: true}}",
		"checks: {a: {user: {root: {exists: true}}}}\nuser: {root: {exists: true}}",
		"checks: {A b: {user: {root: {exists: true}}}}",
		"checks: {a: {title: nothing}}",
		"checks: {a: {user: {root: {exists: true}}, neds: [b]}}",
		"checks: {a: {user: {root: {exists: true}}, required: 1}}",
		"checks: {a: {user: {root: {exists: true}}, timeout: {}}}",
		"checks: {a: {user: {root: {exists: true}}, when: {gpu: intel}}}",
		"checks: {a: {user: {root: {exists: true}}, when: {type: lxc}}}",
		"imagge: {os: debian}\nuser: {root: {exists: true}}",
		"image: {os: {}}\nuser: {root: {exists: true}}",
		"instance: {types: [vmm]}\nuser: {root: {exists: true}}",
		"instance: {ready: {network: [ipv5]}}\nuser: {root: {exists: true}}",
		"instance: {config: [a]}\nuser: {root: {exists: true}}",
		"include: {a: b}\nuser: {root: {exists: true}}",
		"vars: [a]\nuser: {root: {exists: true}}",
	} {
		t.Run(text, func(t *testing.T) {
			if s.Validate(parsed(t, "x.yaml", text)) == nil {
				t.Error("the schema takes it")
			}
			if _, err := Parse("x.yaml", []byte(text), Options{}); err == nil {
				t.Error("the loader takes it: the test is wrong")
			}
		})
	}
}

// The schema must not refuse a matcher that holds, and should refuse what does
// not parse, but for regular expressions and the like.
func TestTheSchemaAndTheParserAgreeOnMatchers(t *testing.T) {
	literals := []string{"a", "5", "'5'", "1.5", "true", "''", "[]", "[a]", "[5]", "['']", "[true, b]", "[[a]]", "[{equal: a}]", "[{equals: a}]", "{}", "{a: b}", "~"}
	var samples []string
	for _, name := range append(checks.Matchers(checks.Any), "have-nothing") {
		for _, arg := range append(literals, "{have-prefix: a}", "{gt: 5}", "{not: {equal: true}}", "-1", "'>=1.0'") {
			samples = append(samples, fmt.Sprintf("{%s: %s}", name, arg))
		}
	}
	samples = append(append(samples, literals...), "{gt: 1, lt: 2}", "{and: [{gt: 5}, {not: 7}]}", "{or: [a, {match-regexp: b}]}")
	for _, kind := range kindsOf(t) {
		s := compiled(t, "#/$defs/property-"+string(kind))
		known := schemas{}
		for _, sample := range samples {
			d := newDecoder()
			n := parseNode("x", "m: "+sample, d.probs).get("m")
			d.value(n, reflect.New(matcherType).Elem(), attribute{kind: kind})
			parses, holds := len(d.probs.list) == 0, s.Validate(plain(t, n)) == nil
			loose := sample == "~" || strings.Contains(sample, "semver-constraint") || len(n.fields) == 1 && len(known.argument(kind, n.fields[0].key.value)) == 0
			switch {
			case parses && !holds:
				t.Errorf("%s: %s parses, and the schema refuses it", kind, sample)
			case !parses && holds && !loose:
				t.Errorf("%s: %s does not parse (%v), and the schema takes it", kind, sample, d.probs.list)
			}
		}
	}
}

// kindsOf returns the kinds of matchers that there are.
func kindsOf(t *testing.T) []checks.Kind {
	t.Helper()
	seen := map[checks.Kind]bool{}
	var kinds []checks.Kind
	for _, typ := range checks.Types() {
		for _, a := range attributes(reflect.TypeOf(typ.New()).Elem()) {
			if a.kind != "" && !seen[a.kind] {
				seen[a.kind] = true
				kinds = append(kinds, a.kind)
			}
		}
	}
	return kinds
}
