package checks

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

var errNoNumber = errors.New("it is no number")

// number is the number that a spec's value says: of seconds for Time, which are
// written as Duration has them, of bytes for Size.
func (k Kind) number(v any) (any, error) {
	switch k {
	case Time:
		d, err := ParseDuration(textOf(v))
		return wholeFloat(time.Duration(d).Seconds()), err
	case Size:
		return parseSize(textOf(v))
	}
	n, ok := numberOf(v)
	if !ok {
		return nil, errNoNumber
	}
	return n, nil
}

// example is what the kind's numbers look like.
func (k Kind) example() string {
	switch k {
	case Time:
		return "a duration such as 5s"
	case Size:
		return "a size such as 200MiB"
	}
	return "a number"
}

// sizeUnits are the units of sizes, the ones for people to read first, from the
// smallest to the largest.
func sizeUnits() []struct {
	name  string
	bytes float64
} {
	return []struct {
		name  string
		bytes float64
	}{
		{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	}
}

// parseSize reads 200MiB, 1.5 GB or a number of bytes.
func parseSize(s string) (any, error) {
	s = strings.TrimSpace(s)
	digits := strings.TrimRight(s, "KMGTkiB ")
	unit := strings.TrimSpace(s[len(digits):])
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
		return nil, errNoNumber
	}
	if unit == "" {
		return wholeFloat(n), nil
	}
	for _, u := range sizeUnits() {
		if u.name == unit {
			n = math.Round(n * u.bytes)
			if math.IsInf(n, 0) {
				break
			}
			return wholeFloat(n), nil
		}
	}
	return nil, errNoNumber
}

// Bytes is a size that an attribute has. It is written as 200MiB, or as a number of
// bytes.
type Bytes int64

// ParseBytes reads a size as a spec writes it.
func ParseBytes(s string) (Bytes, error) {
	switch n, err := parseSize(s); n := n.(type) {
	case int64:
		return Bytes(n), err
	default:
		return 0, fmt.Errorf("want a size such as 200MiB, got %q", s)
	}
}

// show is a value of the kind for a message.
func (k Kind) show(v any) string {
	n, ok := v.(float64)
	if i, isInt := v.(int64); isInt {
		n, ok = float64(i), true
	}
	switch {
	case !ok:
	case k == Time:
		return time.Duration(n * float64(time.Second)).Round(time.Millisecond).String()
	case k == Size:
		return showSize(n)
	}
	return show(v)
}

func showSize(n float64) string {
	units := sizeUnits()[:5]
	i := 0
	for i < len(units)-1 && n >= units[i+1].bytes {
		i++
	}
	return strconv.FormatFloat(math.Round(n/units[i].bytes*10)/10, 'f', -1, 64) + fmt.Sprintf(" %s", units[i].name)
}
