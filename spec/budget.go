package spec

import (
	"reflect"
	"regexp/syntax"
	"slices"
	"strings"
)

const (
	maxSteps   = 100_000   // branches and rounds that a template may take
	maxValue   = 8 << 20   // bytes of a value in a template
	maxWork    = 128 << 20 // bytes that its functions take and make, in all
	maxPattern = 1000      // bytes of a regular expression
	valueCost  = 32        // bytes that a value takes besides its text
)

// A budget is what a template may spend. A spec comes from elsewhere, and
// must not use up the host's memory and time: {{repeat 1000000000 "x"}} is as
// little a spec as a text that doubles in every round.
type budget struct {
	steps int
	work  int
}

func newBudget() *budget { return &budget{maxSteps, maxWork} }

// A budgetError is the end of a template that has spent too much.
type budgetError string

func (e budgetError) Error() string { return string(e) }

const (
	errSteps   = budgetError("it takes more than 100000 steps")
	errWork    = budgetError("its functions take and make more than 128 MiB in all")
	errValue   = budgetError("a value is larger than 8 MiB")
	errNested  = budgetError("a value is nested more than 100 deep")
	errPattern = budgetError("a regular expression is longer than 1000 bytes")
)

// step ends a template that would run for ever, or nearly so.
func (b *budget) step() (string, error) {
	if b.steps--; b.steps < 0 {
		return "", errSteps
	}
	return "", nil
}

// bounded returns the function so that it works within the budget. What it
// refuses it panics with, which the template package turns into an error.
func (b *budget) bounded(name string, f any) any {
	v := reflect.ValueOf(f)
	call := v.Call
	if v.Type().IsVariadic() {
		call = v.CallSlice
	}
	return reflect.MakeFunc(v.Type(), func(args []reflect.Value) []reflect.Value {
		b.spend(args...)
		if made := growth(name, args); made > maxValue {
			panic(errValue)
		}
		if takesPattern(name) {
			b.match(args[0].String(), args[1].String())
		}
		results := call(unshared(name, args))
		b.spend(results[0])
		return results
	}).Interface()
}

// spend counts values of which each, and all at once, are within bounds.
func (b *budget) spend(values ...reflect.Value) {
	left := maxValue
	for _, v := range values {
		left = weigh(v, left, maxDepth)
	}
	b.charge(maxValue - left)
}

func (b *budget) charge(n int) {
	if b.work -= n; b.work < 0 {
		panic(errWork)
	}
}

// weigh returns what of left is left after a value, which counts as often as it
// would be printed.
func weigh(v reflect.Value, left, depth int) int {
	left -= valueCost
	switch {
	case depth == 0:
		panic(errNested)
	case left < 0:
		panic(errValue)
	}
	switch v.Kind() {
	case reflect.String:
		left -= v.Len()
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() && v.Elem().Kind() != reflect.Struct {
			left = weigh(v.Elem(), left, depth-1)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			left -= v.Len()
			break
		}
		for i := range v.Len() {
			left = weigh(v.Index(i), left, depth-1)
		}
	case reflect.Map:
		for iter := v.MapRange(); iter.Next(); {
			left = weigh(iter.Value(), weigh(iter.Key(), left, depth-1), depth-1)
		}
	case reflect.Struct: // a time, a version
		left -= 8 * valueCost
	}
	if left < 0 {
		panic(errValue)
	}
	return left
}

// tooLarge says why a value is none for templates, or nothing.
func tooLarge(v any) (err error) {
	defer func() {
		if e, ok := recover().(budgetError); ok {
			err = e
		}
	}()
	weigh(reflect.ValueOf(v), maxValue, maxDepth)
	return nil
}

func weightOf(v reflect.Value) int { return maxValue - weigh(v, maxValue, maxDepth) }

func takesPattern(name string) bool {
	return strings.Contains(name, "egex") && name != "regexQuoteMeta" || name == "findStringSubmatch"
}

// match charges for a regular expression, which takes a step for each of its
// instructions at each of the text's characters.
func (b *budget) match(pattern, text string) {
	if len(pattern) > maxPattern {
		panic(errPattern)
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		panic(err)
	}
	b.charge(len(prog.Inst) * (len(text) + valueCost))
}

// unshared returns the arguments of a function that puts them into a list or
// a map as copies, but for a map that it is there to change. A map that stood in many places
// could grow after it was weighed, in all of them at once.
func unshared(name string, args []reflect.Value) []reflect.Value {
	copied := slices.Clone(args)
	switch name {
	case "append", "concat", "dict", "list", "mkSlice", "mustAppend", "mustPrepend", "mustPush",
		"pluck", "prepend", "push", "tuple":
		for i := range args {
			copied[i] = cloneValue(args[i])
		}
	case "merge", "mergeOverwrite", "mustMerge", "mustMergeOverwrite", "set":
		last := len(args) - 1
		copied[last] = cloneValue(args[last])
	}
	return copied
}

func cloneValue(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	if x := clone(v.Interface()); x != nil {
		c.Set(reflect.ValueOf(x))
	}
	return c
}

// clone copies a value with the maps and lists in it.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return cloneMap(v)
	case []map[string]any:
		list := make([]map[string]any, len(v))
		for i := range v {
			list[i] = cloneMap(v[i])
		}
		return list
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = clone(v[i])
		}
		return list
	}
	return v
}

func cloneMap(m map[string]any) map[string]any {
	c := make(map[string]any, len(m))
	for key := range m {
		c[key] = clone(m[key])
	}
	return c
}
