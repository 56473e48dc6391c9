package checks

import (
	"cmp"
	"strings"
)

// compareRPM orders versions as rpm does for dependencies: by epoch, version and
// release. No epoch is 0; a release counts only where both have one.
func compareRPM(a, b string) int { return compareEVR(a, b, compareRPMPart) }

// compareEVR compares [epoch:]version[-release].
func compareEVR(a, b string, compare func(a, b string) int) int {
	epochA, versionA, releaseA := splitEVR(a)
	epochB, versionB, releaseB := splitEVR(b)
	order := cmp.Or(compareDigits(epochA, epochB), compare(versionA, versionB))
	if order == 0 && releaseA != "" && releaseB != "" {
		return compare(releaseA, releaseB)
	}
	return order
}

func splitEVR(s string) (epoch, version, release string) {
	if digits, rest := cutLeading(s, isDigit); strings.HasPrefix(rest, ":") {
		epoch, s = digits, rest[1:]
	}
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		return epoch, s[:i], s[i+1:]
	}
	return epoch, s, ""
}

// compareRPMPart compares by turns words and numbers; what is between them does
// not count. A tilde is before the end, a caret is after it and before all else.
func compareRPMPart(a, b string) int {
	for a != "" || b != "" {
		_, a = cutLeading(a, separatesRPM)
		_, b = cutLeading(b, separatesRPM)
		tildeA, tildeB := strings.HasPrefix(a, "~"), strings.HasPrefix(b, "~")
		caretA, caretB := strings.HasPrefix(a, "^"), strings.HasPrefix(b, "^")
		switch {
		case tildeA && tildeB || caretA && caretB:
			a, b = a[1:], b[1:]
			continue
		case tildeA, caretB && a == "", caretA && !tildeB && b != "":
			return -1
		case tildeB, caretA && b == "", caretB:
			return +1
		}
		if a == "" || b == "" {
			break
		}
		var order int
		if order, a, b = compareSegment(a, b); order != 0 {
			return order
		}
	}
	return cmp.Compare(len(a), len(b)) // one of them is at its end, or both are
}

func separatesRPM(c byte) bool { return !isDigit(c) && !isLetter(c) && c != '~' && c != '^' }

// compareSegment compares the numbers or the words at the start of a and b,
// neither of which is empty, and returns what is left of them. A number is newer
// than a word.
func compareSegment(a, b string) (order int, restA, restB string) {
	class, compare, other := isLetter, strings.Compare, -1
	if isDigit(a[0]) {
		class, compare, other = isDigit, compareDigits, +1
	}
	segmentA, restA := cutLeading(a, class)
	segmentB, restB := cutLeading(b, class)
	if segmentB == "" {
		return other, restA, restB
	}
	return compare(segmentA, segmentB), restA, restB
}
