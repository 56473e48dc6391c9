package simplestreams

import (
	"cmp"
	"slices"
	"strings"
)

// near returns the up to three candidates that want is most likely a misspelling
// of, the nearest first.
func near(want string, candidates []string) []string {
	type match struct {
		name     string
		distance int
	}
	var matches []match
	limit := (len(want) + 3) / 4
	for _, c := range candidates {
		switch {
		case len(c) > 200: // a feed is free to hold such names
		case strings.HasPrefix(strings.ToLower(c), want+":"):
			matches = append(matches, match{c, 0}) // a key's first parts
		case len(c) <= len(want)+limit && len(c) >= len(want)-limit:
			if d := distance(want, strings.ToLower(c)); d <= limit {
				matches = append(matches, match{c, d})
			}
		}
	}
	slices.SortStableFunc(matches, func(a, b match) int { return cmp.Compare(a.distance, b.distance) })
	var names []string
	for _, m := range matches[:min(len(matches), 3)] {
		names = append(names, m.name)
	}
	return names
}

// distance is the number of bytes to insert, delete or replace between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
