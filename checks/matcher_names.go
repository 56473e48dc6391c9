package checks

import "slices"

// Matchers names the matchers that a property of the kind may have.
func Matchers(kind Kind) []string {
	return slices.DeleteFunc(matcherNames(), func(name string) bool { return !suits(kind, name) })
}

// ElementKind is the kind of what a list, or a text's lines, are made of.
func ElementKind(kind Kind) Kind { return elementKind(kind) }
