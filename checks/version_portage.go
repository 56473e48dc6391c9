package checks

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// A version of Gentoo's is numbers with dots between them, a letter, suffixes
// and a revision: 1.2.3b_pre4_p5-r6.
var portageVersion = regexp.MustCompile(`^([0-9]+)((?:\.[0-9]+)*)([a-z]?)((?:_(?:alpha|beta|pre|rc|p)[0-9]*)*)(?:-r([0-9]+))?$`)

func validPortage(s string) bool { return portageVersion.MatchString(s) }

// comparePortage orders versions as the Package Manager Specification has it.
// What is no version is before all that are.
func comparePortage(a, b string) int {
	partsA, partsB := portageVersion.FindStringSubmatch(a), portageVersion.FindStringSubmatch(b)
	if partsA == nil || partsB == nil {
		return cmp.Or(cmp.Compare(len(partsA), len(partsB)), strings.Compare(a, b))
	}
	return cmp.Or(
		compareDigits(partsA[1], partsB[1]),
		comparePortageNumbers(partsA[2], partsB[2]),
		strings.Compare(partsA[3], partsB[3]),
		comparePortageSuffixes(partsA[4], partsB[4]),
		compareDigits(partsA[5], partsB[5]),
	)
}

// comparePortageNumbers compares the numbers after the first, each with its dot.
// If one of two begins with 0 they are fractions. Of two lists the longer is newer.
func comparePortageNumbers(a, b string) int {
	numbersA, numbersB := strings.Split(a, ".")[1:], strings.Split(b, ".")[1:]
	return slices.CompareFunc(numbersA, numbersB, func(m, n string) int {
		if m[0] == '0' || n[0] == '0' {
			return strings.Compare(strings.TrimRight(m, "0"), strings.TrimRight(n, "0"))
		}
		return compareDigits(m, n)
	})
}

// comparePortageSuffixes compares suffix by suffix: alpha, beta, pre and rc are
// before the end, and p is after it.
func comparePortageSuffixes(a, b string) int {
	suffixesA, suffixesB := strings.Split(a, "_")[1:], strings.Split(b, "_")[1:]
	for i := range max(len(suffixesA), len(suffixesB)) {
		rankA, numberA := portageSuffixAt(suffixesA, i)
		rankB, numberB := portageSuffixAt(suffixesB, i)
		if order := cmp.Or(cmp.Compare(rankA, rankB), compareDigits(numberA, numberB)); order != 0 {
			return order
		}
	}
	return 0
}

func portageSuffixAt(suffixes []string, i int) (rank int, number string) {
	ranks := []string{"alpha", "beta", "pre", "rc", "", "p"}
	if i >= len(suffixes) {
		return slices.Index(ranks, ""), ""
	}
	name, number := cutLeading(suffixes[i], isLower)
	return slices.Index(ranks, name), number
}
