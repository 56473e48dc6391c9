package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Error is one mistake in a spec, and where it stands.
type Error struct {
	File string
	Line int // from 1
	Col  int // from 1, in characters
	Msg  string
	Hint string // such as: did you mean "exists"?, or empty
}

func (e Error) Error() string {
	s := fmt.Sprintf("%s: %s", position{e.File, e.Line, e.Col}, e.Msg)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Errors are all mistakes of a spec and its includes: file by file in the order
// in which they are read, and in each by position.
type Errors []Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// A position is a place in a file; line and column are from 1.
type position struct {
	file      string
	line, col int
}

func (p position) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.col) }

// problems collects mistakes, each of them once.
type problems struct {
	list Errors
	seen map[Error]bool
	// files are the files read, in order. The value tells whether a template
	// has moved the file's lines, so that positions are not those of the file.
	files map[string]*fileState
}

type fileState struct {
	order int
	moved bool
}

func newProblems() *problems {
	return &problems{seen: make(map[Error]bool), files: make(map[string]*fileState)}
}

// file returns the state of the file of that name.
func (p *problems) file(name string) *fileState {
	f, ok := p.files[name]
	if !ok {
		f = &fileState{order: len(p.files)}
		p.files[name] = f
	}
	return f
}

func (p *problems) add(at position, hint, format string, args ...any) {
	e := Error{at.file, max(at.line, 1), max(at.col, 1), fmt.Sprintf(format, args...), hint}
	if p.file(at.file).moved {
		e.Hint = strings.TrimPrefix(hint+"; in the rendered text: icepak spec render "+at.file, "; ")
	}
	if !p.seen[e] {
		p.seen[e] = true
		p.list = append(p.list, e)
	}
}

// err returns what was collected, sorted, or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Error) int {
		return cmp.Or(
			cmp.Compare(p.file(a.File).order, p.file(b.File).order),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Col, b.Col),
		)
	})
	return p.list
}

// didYouMean is the hint for a name that was probably meant, if there is one.
func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", name)
}
