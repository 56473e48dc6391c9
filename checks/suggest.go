package checks

import (
	"strings"
	"unicode/utf8"
)

// Suggest returns the known name that is nearest to name, or "" where none is
// near enough to be what was meant.
func Suggest(name string, known []string) string {
	fold := func(s string) string {
		return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(s))
	}
	best, least := "", 1+max(1, utf8.RuneCountInString(name)/3)
	for _, k := range known {
		if d := editDistance(fold(name), fold(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// editDistance counts the letters to insert, drop, change or swap with the
// next one to make b of a.
func editDistance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, last := []int(nil), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := range s {
		row := make([]int, len(t)+1)
		row[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(t)]
}
