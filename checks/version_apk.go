package checks

import (
	"cmp"
	"slices"
	"strings"
)

// An apkPart is one of the parts of a version of Alpine's, which are, in this
// order: 1.2.3 a _alpha 1 ~1234abcd -r1.
type apkPart struct {
	kind apkKind
	text string
	rank int // of a suffix: below zero where it is of a pre-release
}

// An apkKind is a kind of part. Where two versions are equal up to parts of
// different kinds, the one whose part is of the later kind is the older.
type apkKind int

const (
	apkFirst apkKind = iota
	apkNumber
	apkLetter
	apkSuffix
	apkSuffixNumber
	apkHash
	apkRevision
	apkEnd
	apkInvalid // nothing is known of what follows
)

// apkSuffixes are ranked by their place; a version without one is between rc and cvs.
func apkSuffixes() []string {
	return []string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}
}

// compareAPK orders versions as apk does.
func compareAPK(a, b string) int {
	partA, restA := nextAPK(-1, a)
	partB, restB := nextAPK(-1, b)
	for partA.kind == partB.kind && partA.kind < apkEnd {
		if order := partA.compare(partB); order != 0 {
			return order
		}
		partA, restA = nextAPK(partA.kind, restA)
		partB, restB = nextAPK(partB.kind, restB)
	}
	switch {
	case partA.kind == partB.kind:
		return 0
	case partA.kind == apkSuffix && partA.rank < 0:
		return -1
	case partB.kind == apkSuffix && partB.rank < 0:
		return +1
	}
	return cmp.Compare(partB.kind, partA.kind)
}

// validAPK tells whether apk takes the text for a version.
func validAPK(s string) bool {
	part, rest := nextAPK(-1, s)
	for part.kind < apkEnd {
		part, rest = nextAPK(part.kind, rest)
	}
	return part.kind == apkEnd
}

// compare compares two parts of the same kind.
func (p apkPart) compare(q apkPart) int {
	switch p.kind {
	case apkNumber:
		// Digits after a leading zero are a fraction: 1.05 is before 1.5.
		if p.text[0] == '0' || q.text[0] == '0' {
			return strings.Compare(p.text, q.text)
		}
		return compareDigits(p.text, q.text)
	case apkFirst, apkSuffixNumber, apkRevision:
		return compareDigits(p.text, q.text)
	case apkSuffix:
		return cmp.Compare(p.rank, q.rank)
	}
	return strings.Compare(p.text, q.text)
}

// nextAPK cuts the next part off; before is the kind of the last one, below zero
// at the start.
func nextAPK(before apkKind, s string) (part apkPart, rest string) {
	switch {
	case before < 0:
		return numberAPK(apkFirst, s)
	case s == "":
		return apkPart{kind: apkEnd}, ""
	case isLower(s[0]) && before <= apkNumber:
		return apkPart{kind: apkLetter, text: s[:1]}, s[1:]
	case s[0] == '.' && before <= apkNumber:
		return numberAPK(apkNumber, s[1:])
	case isDigit(s[0]) && before == apkSuffix:
		return numberAPK(apkSuffixNumber, s)
	case s[0] == '_' && before <= apkSuffixNumber:
		name, rest := cutLeading(s[1:], isLower)
		if i := slices.Index(apkSuffixes(), name); i >= 0 && name != "" {
			return apkPart{apkSuffix, name, i - slices.Index(apkSuffixes(), "")}, rest
		}
	case s[0] == '~' && before < apkHash:
		if hash, rest := cutLeading(s[1:], isHex); hash != "" {
			return apkPart{kind: apkHash, text: hash}, rest
		}
	case strings.HasPrefix(s, "-r") && before < apkRevision:
		return numberAPK(apkRevision, s[2:])
	}
	return apkPart{kind: apkInvalid}, ""
}

func numberAPK(kind apkKind, s string) (part apkPart, rest string) {
	digits, rest := cutLeading(s, isDigit)
	if digits == "" {
		return apkPart{kind: apkInvalid}, ""
	}
	return apkPart{kind: kind, text: digits}, rest
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }
