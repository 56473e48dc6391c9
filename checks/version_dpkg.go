package checks

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
)

// compareDpkg orders versions as dpkg does: by epoch, upstream version and
// revision. What is missing of them is as if it were 0.
func compareDpkg(a, b string) int {
	epochA, upstreamA, revisionA := splitDpkg(a)
	epochB, upstreamB, revisionB := splitDpkg(b)
	return cmp.Or(
		compareDigits(epochA, epochB),
		compareDpkgPart(upstreamA, upstreamB),
		compareDpkgPart(revisionA, revisionB),
	)
}

var dpkgVersion = regexp.MustCompile(`^[0-9A-Za-z.+~:-]+$`)

// validDpkg tells whether dpkg takes the text for a version. That the upstream
// version should begin with a digit is only a warning of dpkg's.
func validDpkg(s string) bool {
	epoch, upstream, revision := splitDpkg(s)
	if _, err := strconv.ParseUint(epoch, 10, 31); err != nil && strings.Contains(s, ":") {
		return false
	}
	return dpkgVersion.MatchString(s) && upstream != "" && !strings.Contains(revision, ":") && !strings.HasSuffix(s, "-")
}

func splitDpkg(s string) (epoch, upstream, revision string) {
	if before, after, ok := strings.Cut(s, ":"); ok {
		epoch, s = before, after
	}
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		return epoch, s[:i], s[i+1:]
	}
	return epoch, s, ""
}

// compareDpkgPart compares by turns what is not digits, in dpkg's order, and
// digits, as a number.
func compareDpkgPart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !isDigit(a[0]) || b != "" && !isDigit(b[0]) {
			// The end and a digit are of the same order, so both have a character here
			// where these are equal.
			if order := cmp.Compare(dpkgOrder(a), dpkgOrder(b)); order != 0 {
				return order
			}
			a, b = a[1:], b[1:]
		}
		var numberA, numberB string
		numberA, a = cutLeading(a, isDigit)
		numberB, b = cutLeading(b, isDigit)
		if order := compareDigits(numberA, numberB); order != 0 {
			return order
		}
	}
	return 0
}

// dpkgOrder is the rank of the first character: a tilde is before everything,
// also before the end, and letters are before all else.
func dpkgOrder(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isLetter(s[0]):
		return int(s[0])
	}
	return int(s[0]) + 256
}
