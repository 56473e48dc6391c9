package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
)

const (
	maxText  = 1 << 20 // bytes of a file, and of what it renders to
	maxSteps = 100_000 // branches and rounds that a template may take
)

// hasTemplates tells whether a text is to be rendered.
func hasTemplates(text string) bool { return strings.Contains(text, "{{") }

// A renderer renders the text of one file.
type renderer struct {
	name  string
	vars  map[string]any
	env   map[string]string
	read  func(path string) ([]byte, error) // relative to the file
	probs *problems
	steps int
}

// render returns the rendered text. Where it returns false, it has said why.
func (r *renderer) render(text string) (string, bool) {
	r.steps = maxSteps
	t, err := template.New("spec").Option("missingkey=error").Funcs(r.functions()).Parse(text)
	if err != nil {
		r.fail(text, err)
		return "", false
	}
	for _, t := range t.Templates() {
		if t.Tree != nil {
			r.countSteps(t.Root)
		}
	}
	var out limitedBuilder
	data := map[string]any{"Vars": r.vars, "Env": r.env}
	if err := t.Execute(&out, data); err != nil {
		r.fail(text, err)
		return "", false
	}
	return out.String(), true
}

func (r *renderer) functions() template.FuncMap {
	return template.FuncMap{
		"default":            defaultTo,
		"findStringSubmatch": findStringSubmatch,
		"getEnv":             r.getEnv,
		"mkSlice":            func(args ...any) []any { return args },
		"readFile":           r.readFile,
		"regexMatch":         func(pattern, s string) (bool, error) { return regexp.MatchString(pattern, s) },
		"toJson":             toJSON,
		"toLower":            strings.ToLower,
		"toUpper":            strings.ToUpper,
		"step":               r.step,
	}
}

// defaultTo returns the value, or def where there is none or an empty one.
func defaultTo(def any, value ...any) any {
	if len(value) == 0 {
		return def
	}
	if truth, _ := template.IsTrue(value[0]); !truth {
		return def
	}
	return value[0]
}

// toJSON writes a value, such as a list, as YAML can read it on one line.
func toJSON(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

// findStringSubmatch returns the groups of a match by name, or by number as
// text where none has a name.
func findStringSubmatch(pattern, s string) (map[string]any, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	numbered, named := make(map[string]any), make(map[string]any)
	for i, group := range re.FindStringSubmatch(s) {
		numbered[strconv.Itoa(i)] = group
		if name := re.SubexpNames()[i]; name != "" {
			named[name] = group
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	return numbered, nil
}

func (r *renderer) getEnv(name string, def ...string) string {
	if v := r.env[name]; v != "" || len(def) == 0 {
		return v
	}
	return def[0]
}

// readFile returns a file's text without the space around it, as goss does.
func (r *renderer) readFile(path string) (string, error) {
	data, err := r.read(path)
	return strings.TrimSpace(string(data)), err
}

var errSteps = fmt.Errorf("it takes more than %d steps", maxSteps)

// step ends a template that would run for ever, or nearly so.
func (r *renderer) step() (string, error) {
	if r.steps--; r.steps < 0 {
		return "", errSteps
	}
	return "", nil
}

// countSteps puts a call to step at the head of every branch and loop.
func (r *renderer) countSteps(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.IfNode:
			r.countSteps(n.List)
			r.countSteps(n.ElseList)
		case *parse.RangeNode:
			r.countSteps(n.List)
			r.countSteps(n.ElseList)
		case *parse.WithNode:
			r.countSteps(n.List)
			r.countSteps(n.ElseList)
		}
	}
	call := template.Must(template.New("").Funcs(template.FuncMap{"step": r.step}).Parse("{{step}}"))
	l.Nodes = append(call.Root.Nodes, l.Nodes...)
}

// A limitedBuilder refuses text beyond maxText.
type limitedBuilder struct{ strings.Builder }

func (b *limitedBuilder) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxText {
		return 0, fmt.Errorf("the rendered text is larger than %d bytes", maxText)
	}
	return b.Builder.Write(p)
}

var (
	templateError = regexp.MustCompile(`(?s)^template: spec:(\d+)(?::(\d+))?: (.*)$`)
	executing     = regexp.MustCompile(`(?s)^executing "[^"]*" at <(.*?)>: (?:error calling \w+: )?(.*)$`)
	noEntry       = regexp.MustCompile(`map has no entry for key "(.*)"`)
)

// fail reports a mistake that text/template has found in the file's text.
func (r *renderer) fail(text string, err error) {
	at, hint := position{file: r.name}, ""
	msg := err.Error()
	if m := templateError.FindStringSubmatch(msg); m != nil {
		at.line, _ = strconv.Atoi(m[1])
		at.col = columnOf(text, at.line, m[2])
		msg = m[3]
	}
	if m := executing.FindStringSubmatch(msg); m != nil {
		msg = m[1] + ": " + m[2]
		if key := noEntry.FindStringSubmatch(m[2]); key != nil {
			msg = fmt.Sprintf("%s: there is no %q", m[1], key[1])
			hint = suggest(key[1], r.known(m[1]))
		}
	}
	if errors.Is(err, errSteps) {
		at, msg = position{file: r.name}, errSteps.Error()
	}
	r.probs.add(at, hint, "template: %s", shortenTo(400, strings.Join(strings.Fields(msg), " ")))
}

// known returns the names that can stand where an expression has a wrong one.
func (r *renderer) known(expr string) []string {
	if strings.HasPrefix(expr, ".Env.") {
		return slices.Sorted(maps.Keys(r.env))
	}
	return slices.Sorted(maps.Keys(r.vars))
}

// columnOf turns the column of a template error, a byte's offset in its line,
// into one of ours. Without one it is that of the line's first action.
func columnOf(text string, line int, offset string) int {
	lines := strings.Split(text, "\n")
	s := lines[min(max(line, 1), len(lines))-1]
	n, err := strconv.Atoi(offset)
	if err != nil {
		n = max(strings.Index(s, "{{"), 0)
	}
	return len([]rune(s[:min(n, len(s))])) + 1
}

// sameLines tells whether every line without a template still stands where it
// stood, so that positions in the rendered text are those in the file.
func sameLines(text, rendered string) bool {
	before, after := strings.Split(text, "\n"), strings.Split(rendered, "\n")
	if len(before) != len(after) {
		return false
	}
	for i, line := range before {
		if line != after[i] && !strings.Contains(line, "{{") {
			return false
		}
	}
	return true
}
