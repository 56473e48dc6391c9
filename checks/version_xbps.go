package checks

import (
	"cmp"
	"strings"
)

// compareXBPS orders versions as xbps does: number by number, what is missing
// as 0, and by the revision after the underscore where all else is equal.
func compareXBPS(a, b string) int {
	numbersA, revisionA := splitXBPS(a)
	numbersB, revisionB := splitXBPS(b)
	for i := range max(len(numbersA), len(numbersB)) {
		if order := xbpsNumberAt(numbersA, i).compare(xbpsNumberAt(numbersB, i)); order != 0 {
			return order
		}
	}
	return compareDigits(revisionA, revisionB)
}

// An xbpsNumber is one of those that a version is made of: a whole number of any
// length, or, with no digits, the rank of a word: alpha, beta and rc come before 0.
type xbpsNumber struct {
	rank   int
	digits string
}

func (n xbpsNumber) compare(m xbpsNumber) int {
	return cmp.Or(cmp.Compare(n.rank, m.rank), compareDigits(n.digits, m.digits))
}

func xbpsNumberAt(numbers []xbpsNumber, i int) xbpsNumber {
	if i < len(numbers) {
		return numbers[i]
	}
	return xbpsNumber{}
}

// splitXBPS takes a version apart. A dot and pl are a 0 of their own; a letter is
// a 0 and its place in the alphabet; what is nothing of all that does not count.
func splitXBPS(s string) (numbers []xbpsNumber, revision string) {
	words := []struct {
		name string
		rank int
	}{{"alpha", -3}, {"beta", -2}, {"pre", -1}, {"rc", -1}, {"pl", 0}, {".", 0}}
next:
	for s = strings.ToLower(s); s != ""; {
		if digits, rest := cutLeading(s, isDigit); digits != "" {
			numbers, s = append(numbers, xbpsNumber{digits: digits}), rest
			continue
		}
		for _, w := range words {
			if rest, ok := strings.CutPrefix(s, w.name); ok {
				numbers, s = append(numbers, xbpsNumber{rank: w.rank}), rest
				continue next
			}
		}
		c := s[0]
		s = s[1:]
		switch {
		case c == '_':
			revision, s = cutLeading(s, isDigit)
		case isLower(c):
			numbers = append(numbers, xbpsNumber{}, xbpsNumber{digits: letterDigits(c)})
		}
	}
	return numbers, revision
}

// letterDigits is a lower letter's place in the alphabet, from 1, as digits.
func letterDigits(c byte) string {
	n := c - 'a' + 1
	return string([]byte{'0' + n/10, '0' + n%10})
}
