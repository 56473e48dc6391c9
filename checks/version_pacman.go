package checks

import "cmp"

// comparePacman orders versions as pacman does: by epoch, version and release.
// No epoch is 0; a release counts only where both have one.
func comparePacman(a, b string) int { return compareEVR(a, b, comparePacmanPart) }

// comparePacmanPart is rpm's way of before tilde and caret, except that the number
// of characters between words and numbers counts, and that a word at the end
// makes a version older: 1.0rc is before 1.0, and 1.0.rc after it.
func comparePacmanPart(a, b string) int {
	for a != "" && b != "" {
		betweenA, restA := cutLeading(a, separatesPacman)
		betweenB, restB := cutLeading(b, separatesPacman)
		if restA == "" || restB == "" {
			a, b = restA, restB
			break
		}
		if order := cmp.Compare(len(betweenA), len(betweenB)); order != 0 {
			return order
		}
		var order int
		if order, a, b = compareSegment(restA, restB); order != 0 {
			return order
		}
	}
	switch {
	case a == "" && b == "":
		return 0
	case a == "" && !isLetter(b[0]), a != "" && isLetter(a[0]):
		return -1
	}
	return +1
}

func separatesPacman(c byte) bool { return !isDigit(c) && !isLetter(c) }
