package spec

import (
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

const maxText = 1 << 20 // bytes of a file, and of what it renders to

// hasTemplates tells whether a text is to be rendered.
func hasTemplates(text string) bool { return strings.Contains(text, "{{") }

// A renderer renders the text of one file.
type renderer struct {
	name    string
	vars    map[string]any
	env     map[string]string
	product product
	read    func(path string) ([]byte, error) // relative to the file
	probs   *problems
	budget  *budget
}

// A product is what templates know of what the spec is used for: nothing where its
// parts are empty.
type product struct{ OS, Release, Arch, Variant string }

func productOf(name string) product {
	parts := strings.Split(name, ":")
	if len(parts) != 4 {
		return product{}
	}
	return product{parts[0], parts[1], parts[2], parts[3]}
}

// render returns the rendered text. Where it returns false, it has said why.
func (r *renderer) render(text string) (string, bool) {
	r.budget = newBudget()
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
	// A template may change its variables, which are not its own.
	data := map[string]any{"Vars": clone(r.vars), "Env": r.env, "Product": r.product}
	if err := t.Execute(&out, data); err != nil {
		r.fail(text, err)
		return "", false
	}
	return out.String(), true
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
	call := template.Must(template.New("").Funcs(template.FuncMap{"step": r.budget.step}).Parse("{{step}}"))
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
	notDefined    = regexp.MustCompile(`^function "(.*)" not defined$`)
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
	if m := notDefined.FindStringSubmatch(msg); m != nil {
		msg, hint = fmt.Sprintf("there is no function %s", m[1]), suggest(m[1], slices.Sorted(maps.Keys(r.functions())))
		if why := leftOut()[m[1]]; why != "" {
			hint = why
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
