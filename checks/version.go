package checks

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// versionRules are a package manager's: how it orders versions.
type versionRules struct {
	manager string
	compare func(a, b string) int // -1, 0 or +1
	valid   func(s string) bool   // nil: it compares any text
}

// A versionConstraint is a version that others are compared with.
type versionConstraint struct{ op, version string }

// oneConstraint is an operator and a version. dpkg's << and >> are < and >.
var oneConstraint = regexp.MustCompile(`^(<<|<=|<|>>|>=|>|==|=|!=)\s*([^\s,<>=!]+)`)

// parseVersionConstraints reads constraints with commas or spaces between them.
func parseVersionConstraints(s string) ([]versionConstraint, error) {
	const between = " \t\n,"
	var list []versionConstraint
	for rest := strings.Trim(s, between); rest != "" || list == nil; rest = strings.TrimLeft(rest, between) {
		m := oneConstraint.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("want constraints such as >= 1.24-2, < 2, got %s", show(s))
		}
		list = append(list, versionConstraint{m[1], m[2]})
		rest = rest[len(m[0]):]
	}
	return list, nil
}

// allows tells whether a version stands to the constraint's as it says.
func (c versionConstraint) allows(order int) bool {
	switch c.op {
	case "<", "<<":
		return order < 0
	case "<=":
		return order <= 0
	case ">", ">>":
		return order > 0
	case ">=":
		return order >= 0
	case "!=":
		return order != 0
	}
	return order == 0
}

// satisfies is whether every version satisfies every constraint.
type satisfies struct {
	constraints []versionConstraint
	text        string
	rules       versionRules
}

func (s satisfies) match(actual any) finding {
	if s.rules.compare == nil {
		return finding{invalid: true, message: "there is no package manager by whose rules to compare"}
	}
	return eachVersion(actual, func(version string) finding {
		for _, c := range s.constraints {
			for _, v := range []string{version, c.version} {
				if s.rules.valid != nil && !s.rules.valid(v) {
					return finding{invalid: true, message: fmt.Sprintf("%s is no version of a package of %s", show(v), s.rules.manager)}
				}
			}
			if !c.allows(s.rules.compare(version, c.version)) {
				return finding{message: fmt.Sprintf("%s does not satisfy %s", show(version), s.text)}
			}
		}
		return finding{ok: true}
	})
}

// eachVersion is the finding of the first version that is not as it should be.
// Where there is none, nothing can be said.
func eachVersion(actual any, check func(version string) finding) finding {
	versions, ok := actual.([]any)
	if !ok {
		versions = []any{actual}
	}
	if len(versions) == 0 {
		return finding{invalid: true, message: "there is no version"}
	}
	for _, v := range versions {
		if f := check(strings.TrimSpace(textOf(v))); !f.ok {
			return f
		}
	}
	return finding{ok: true}
}

// compareDigits compares two whole numbers of any length; nothing is zero.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// cutLeading cuts off the characters at the start that are of a class.
func cutLeading(s string, class func(byte) bool) (leading, rest string) {
	n := 0
	for n < len(s) && class(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func isLetter(c byte) bool { return isLower(c | 0x20) }
