package checks

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// literal is a plain value: true, 5, "foo".
type literal struct {
	want any
	kind Kind
}

func (l literal) match(actual any) finding {
	if l.equal(actual) {
		return finding{ok: true}
	}
	f := finding{message: fmt.Sprintf("want %s, got %s", l.kind.show(l.want), l.kind.show(actual))}
	want, isText := l.want.(string)
	switch got := textOf(actual); {
	case !isText || l.kind == List || l.kind == Versions:
	case got == want+"\n":
		f.message, f.odd = "it ends with a newline that is not expected", true
	case strings.Contains(got, "\n") || strings.Contains(want, "\n"):
		f.message, f.odd = firstDifference(want, got), true
	}
	return f
}

func (l literal) equal(actual any) bool {
	switch want := l.want.(type) {
	case bool:
		return actual == want
	case string:
		if actual == nil {
			return false
		}
		got := textOf(actual)
		if got == want {
			return true
		}
		// A spec says stdout: 15 for a program that prints a line of it.
		_, isNumber := parseNumber(want)
		return l.kind == Text && isNumber && strings.TrimSpace(got) == strings.TrimSpace(want)
	default:
		n, ok := numberOf(actual)
		return ok && compareNumbers(n, want) == 0
	}
}

// firstDifference names the first line in which two texts differ.
func firstDifference(want, got string) string {
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range wants {
		switch {
		case i >= len(gots):
			return fmt.Sprintf("line %d is missing: %s", i+1, show(wants[i]))
		case wants[i] != gots[i]:
			return fmt.Sprintf("line %d is %s, want %s", i+1, show(gots[i]), show(wants[i]))
		}
	}
	return fmt.Sprintf("line %d is extra: %s", len(wants)+1, show(gots[len(wants)]))
}

// equalAny is equal for a map or nil.
type equalAny struct{ want any }

func (e equalAny) match(actual any) finding {
	if reflect.DeepEqual(e.want, actual) {
		return finding{ok: true}
	}
	return finding{message: fmt.Sprintf("want %s, got %s", show(e.want), show(actual))}
}

// compare is gt, ge, lt and le.
type compare struct {
	name string
	than any
	kind Kind
}

func (c compare) match(actual any) finding {
	n, ok := numberOf(actual)
	if !ok {
		return finding{invalid: true, message: fmt.Sprintf("%s is not a number", show(actual))}
	}
	order := compareNumbers(n, c.than)
	holds, words := false, ""
	switch c.name {
	case "gt":
		holds, words = order > 0, "greater than"
	case "ge":
		holds, words = order >= 0, "at least"
	case "lt":
		holds, words = order < 0, "less than"
	case "le":
		holds, words = order <= 0, "at most"
	}
	return finding{ok: holds, message: fmt.Sprintf("%s is not %s %s", c.kind.show(n), words, c.kind.show(c.than))}
}

// affix is have-prefix, have-suffix and contain-substring.
type affix struct{ name, text string }

func (a affix) match(actual any) finding {
	s := textOf(actual)
	holds, words := false, ""
	switch a.name {
	case "have-prefix":
		holds, words = strings.HasPrefix(s, a.text), "start with"
	case "have-suffix":
		holds, words = strings.HasSuffix(s, a.text), "end with"
	case "contain-substring":
		holds, words = strings.Contains(s, a.text), "contain"
	}
	return finding{ok: holds, message: fmt.Sprintf("%s does not %s %s", show(s), words, show(a.text))}
}

type matchRegexp struct{ re *regexp.Regexp }

func (m matchRegexp) match(actual any) finding {
	s := textOf(actual)
	if m.re.MatchString(s) {
		return finding{ok: true}
	}
	return finding{message: fmt.Sprintf("%s does not match /%s/", show(s), m.re)}
}

type semverConstraint struct {
	constraint *semver.Constraints
	text       string
}

func (s semverConstraint) match(actual any) finding {
	return eachVersion(actual, func(text string) finding {
		version, ok := parseVersion(text)
		if !ok {
			return finding{invalid: true, message: fmt.Sprintf(
				"%s is not a semantic version, such as 1.2.3: compare a package's with satisfies, another with match-regexp", show(text))}
		}
		if !s.constraint.Check(version) {
			return finding{message: fmt.Sprintf("%s does not satisfy %s", show(text), s.text)}
		}
		return finding{ok: true}
	})
}

// versionForm is up to three numbers, with what semantic versioning allows
// after them.
var versionForm = regexp.MustCompile(`^v?[0-9]+(\.[0-9]+){0,2}(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// revisionForm is what only looks like a pre-release: a package's revision, as
// in 1.24.0-2, 2.36-9+deb12u14 or Alpine's 1.36.1-r5. It is newer than the
// version without it, while a pre-release is older, so semver would get it wrong.
var revisionForm = regexp.MustCompile(`^[^-+]*-(r?[0-9]+$|[0-9])`)

func parseVersion(s string) (*semver.Version, bool) {
	if !versionForm.MatchString(s) || revisionForm.MatchString(s) {
		return nil, false
	}
	v, err := semver.NewVersion(s)
	return v, err == nil
}
