package checks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Description is what a spec has to say of a thing for it to hold as the
// thing is now.
type Description struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	// There tells whether it is there: it exists, runs, listens, is installed.
	There      bool        `json:"there"`
	Attributes []Attribute `json:"attributes"` // in the order of the type's
}

// An Attribute is a property and its value: a bool, a number, text, or a list.
type Attribute struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

// A partial resource has properties that its description leaves out, because
// they are large, or change although nothing is wrong.
type partial interface{ undescribed() []string }

// A recorder is a matcher's test that holds for anything, and takes it down.
type recorder struct {
	attribute string
	kind      Kind
	asked     bool
	found     any
}

func (r *recorder) match(actual any) finding {
	r.asked, r.found = true, actual
	return finding{ok: true}
}

// Describe looks at the item's resource, whatever it asserts, and describes
// it. Nothing is installed or started. What of it cannot be looked at is left out;
// where that is all, it is an error.
func (it Item) Describe(ctx context.Context, sys *System) (Description, error) {
	d := Description{Type: it.Type, ID: it.ID}
	recording, recorders, err := it.recording()
	if err != nil {
		return d, err
	}
	list := recording.look(ctx, sys)
	if ctx.Err() != nil {
		return d, inconclusive{context.Cause(ctx)}
	}
	if i := slices.IndexFunc(list, func(r Result) bool { return r.Verdict == Error }); i >= 0 {
		return d, inconclusivef("%s: %s", list[i].Property, list[i].Message)
	}
	flags := 0
	for _, r := range recorders {
		r.take(list)
		yes, isFlag := r.found.(bool)
		d.There = d.There || yes
		if isFlag {
			flags++
		}
		if value := r.value(); value != nil {
			d.Attributes = append(d.Attributes, Attribute{r.attribute, value})
		}
	}
	d.There = d.There || flags == 0
	if len(d.Attributes) == 0 {
		why := "nothing can be said of it"
		if len(list) > 0 {
			why = cmp.Or(list[0].Message, why)
		}
		return d, errors.New(why)
	}
	return d, nil
}

// recording returns the item with a recorder for each property that is described.
func (it Item) recording() (Item, []*recorder, error) {
	r, err := NewItem(it.Type, it.ID)
	if err != nil {
		return r, nil, err
	}
	v := reflect.ValueOf(r.Resource).Elem()
	v.Set(reflect.ValueOf(it.Resource).Elem())
	var leaveOut []string
	if p, ok := r.Resource.(partial); ok {
		leaveOut = p.undescribed()
	}
	var recorders []*recorder
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		field := v.FieldByIndex(f.Index)
		switch {
		case f.Tag.Get("asserts") == "true":
			field.SetZero() // an action
		case f.Type == reflect.TypeFor[Matcher]():
			field.SetZero()
			if !slices.Contains(leaveOut, name) {
				rec := &recorder{attribute: name, kind: Kind(f.Tag.Get("kind"))}
				field.Set(reflect.ValueOf(Matcher{kind: rec.kind, expr: true, test: rec}))
				recorders = append(recorders, rec)
			}
		}
	}
	return r, recorders, nil
}

// take takes down what a result tells, where the matcher was not asked because the
// resource has made another of it.
func (r *recorder) take(list []Result) {
	i := slices.IndexFunc(list, func(res Result) bool { return res.Property == r.attribute && res.Actual != nil })
	if r.asked || i < 0 {
		return
	}
	found := normal(list[i].Actual)
	if all, isList := found.([]any); !isList || len(all) <= maxElements { // else it is not whole
		r.asked, r.found = true, found
	}
}

// value is what was found as a spec says it; nil where there is nothing to say.
func (r *recorder) value() any {
	list, isList := r.found.([]any)
	switch {
	case !r.asked, isList && len(list) == 0:
		return nil
	case r.kind == Text:
		return describeText(textOf(r.found))
	}
	return r.found
}

const (
	maxPatterns    = 100 // of a text that is described
	maxPatternSize = 1000
)

// describeText describes a text by patterns of its lines, as goss does.
func describeText(text string) any {
	if text == "" {
		return ""
	}
	var lines []any
	for _, line := range linesOf(text) {
		line = strings.TrimSpace(line)
		if line == "" || len(line) > maxPatternSize || !utf8.ValidString(line) {
			continue
		}
		if strings.ContainsAny(line[:1], `!/\`) {
			line = `\` + line
		}
		if !slices.Contains(lines, any(line)) && len(lines) < maxPatterns {
			lines = append(lines, line)
		}
	}
	if lines == nil {
		return nil
	}
	return lines
}

// Find describes what goes by the name on the system: a file where the name is a path,
// and else a group, a package, a port, a process with the ports that it listens
// on, a service and a user.
func Find(ctx context.Context, sys *System, name string) ([]Description, error) {
	var all []Description
	for _, typ := range FoundTypes() {
		_, _, noPort := splitPort(name)
		if strings.Contains(name, "/") != (typ == "file") || typ == "port" && noPort != nil {
			continue
		}
		found, err := findAs(ctx, sys, typ, name)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
		if typ != "process" || len(found) == 0 {
			continue
		}
		for _, port := range portsOf(ctx, sys, name) {
			found, err := findAs(ctx, sys, "port", port)
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

// FoundTypes are the types of what Find finds.
func FoundTypes() []string {
	return []string{"file", "group", "package", "port", "process", "service", "user"}
}

// findAs describes the resource of that type where it is there. A system
// without packages, say, has none of that name.
func findAs(ctx context.Context, sys *System, typ, name string) ([]Description, error) {
	item, err := NewItem(typ, name)
	if err != nil {
		return nil, err
	}
	d, err := item.Describe(ctx, sys)
	switch {
	case err != nil && verdictOf(err) == Error:
		return nil, fmt.Errorf("%s: %w", typ, err)
	case err != nil || !d.There:
		return nil, nil
	}
	return []Description{d}, nil
}

// Described names the attributes that descriptions of a type may have.
func Described(typ string) []string {
	item, err := NewItem(typ, "")
	if err != nil {
		return nil
	}
	_, recorders, err := item.recording()
	if err != nil {
		return nil
	}
	names := make([]string, len(recorders))
	for i, r := range recorders {
		names[i] = r.attribute
	}
	return names
}
