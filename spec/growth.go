package spec

import (
	"math"
	"reflect"
	"strings"
)

// growth is the most that a function makes of its arguments, where that may be
// many times what they are: nothing is made that would be too large.
func growth(name string, a []reflect.Value) float64 {
	number := func(i int) float64 { return float64(a[i].Int()) }
	length := func(i int) float64 { return float64(len(a[i].String())) }
	count := func(i, in int) float64 { return float64(strings.Count(a[in].String(), a[i].String())) }
	switch name {
	case "repeat":
		return number(0) * length(1)
	case "until":
		return rounds(0, number(0), 1) * valueCost
	case "untilStep":
		return rounds(number(0), number(1), number(2)) * valueCost
	case "seq":
		return seqRounds(a[0]) * valueCost
	case "indent", "nindent":
		return (float64(strings.Count(a[1].String(), "\n")) + 1) * number(0)
	case "replace":
		return count(0, 2) * length(1)
	case "join":
		return length(0) * float64(weightOf(a[1])) / valueCost
	case "split", "splitList", "splitn":
		return count(0, len(a)-1) * 4 * valueCost
	case "wrapWith":
		return length(1) * length(2) / max(number(0), 1)
	case "printf":
		return printfGrowth(a[0].String(), a[1])
	case "randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes":
		return number(0)
	case "regexReplaceAll", "mustRegexReplaceAll", "regexReplaceAllLiteral", "mustRegexReplaceAllLiteral":
		return 2 * (length(1) + 1) * length(2)
	}
	return 0
}

// rounds is how many numbers there are from start to stop. Numbers that a float
// does not hold count as without end: their sum may be none that an int holds.
func rounds(start, stop, step float64) float64 {
	const most = 1 << 53
	if max(math.Abs(start), math.Abs(stop), math.Abs(step)) > most {
		return math.Inf(1)
	}
	return math.Abs(stop-start) / max(math.Abs(step), 1)
}

// seqRounds is rounds for seq: its end, or its start and end, or those with
// the step between them.
func seqRounds(numbers reflect.Value) float64 {
	n := func(i int) float64 { return float64(numbers.Index(i).Int()) }
	switch numbers.Len() {
	case 1:
		return rounds(1, n(0), 1)
	case 2:
		return rounds(n(0), n(1), 1)
	case 3:
		return rounds(n(0), n(2), n(1))
	}
	return 0
}

// printfGrowth takes it that every verb prints every argument, each part of it
// as wide as the largest number in the format.
func printfGrowth(format string, args reflect.Value) float64 {
	const widest = 1e6 // what the fmt package takes at most
	var width, n float64
	for _, c := range format {
		switch {
		case c == '*':
			width = widest
		case c >= '0' && c <= '9':
			n = n*10 + float64(c-'0')
			width = max(width, n)
		default:
			n = 0
		}
	}
	size := float64(weightOf(args))
	return float64(strings.Count(format, "%")) * (min(width, widest)*size/valueCost + 8*size)
}
