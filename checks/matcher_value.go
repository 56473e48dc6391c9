package checks

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// normal brings a value to one of nil, bool, int64, float64, string, []any and
// map[string]any. A whole float is an int64, so that JSON keeps what it is.
func normal(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int64:
		return v
	case int:
		return int64(v)
	case float64:
		return wholeFloat(v)
	case json.Number:
		if n, ok := parseNumber(v.String()); ok {
			return n
		}
		return v.String()
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = normal(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for key := range v {
			m[key] = normal(v[key])
		}
		return m
	}
	return normalKind(reflect.ValueOf(v))
}

// normalKind is normal for named and for less common types.
func normalKind(v reflect.Value) any {
	switch {
	case v.CanInt():
		return v.Int()
	case v.CanUint() && v.Uint() <= math.MaxInt64:
		return int64(v.Uint())
	case v.CanUint():
		return float64(v.Uint())
	case v.CanFloat():
		return wholeFloat(v.Float())
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.Kind() == reflect.String:
		return v.String()
	default:
		return fmt.Sprint(v.Interface())
	}
}

func wholeFloat(f float64) any {
	if f == math.Trunc(f) && math.Abs(f) < 1<<63 {
		return int64(f)
	}
	return f
}

// parseNumber reads a number from text: an int64, or a finite float64.
func parseNumber(s string) (any, bool) {
	s = strings.TrimSpace(s)
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, false
	}
	return wholeFloat(f), true
}

// numberOf is the number that a value is or, as text, says.
func numberOf(v any) (any, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case string:
		return parseNumber(v)
	case []any:
		if len(v) == 1 { // as goss has it: a list of one is that one
			return numberOf(v[0])
		}
	}
	return nil, false
}

// compareNumbers returns -1, 0 or +1. Both are an int64 or a float64.
func compareNumbers(a, b any) int {
	ia, aInt := a.(int64)
	ib, bInt := b.(int64)
	switch {
	case aInt && bInt && ia < ib:
		return -1
	case aInt && bInt && ia > ib:
		return +1
	case aInt && bInt:
		return 0
	}
	fa, fb := toFloat(a), toFloat(b)
	switch {
	case fa < fb:
		return -1
	case fa > fb:
		return +1
	}
	return 0
}

func toFloat(v any) float64 {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v.(float64)
}

// textOf is a value as text; a list is its elements on lines.
func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = textOf(v[i])
		}
		return strings.Join(parts, "\n")
	default:
		return fmt.Sprint(v)
	}
}

// elementsOf is a list, or the lines of a text.
func elementsOf(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case string:
		lines := linesOf(v)
		list := make([]any, len(lines))
		for i := range lines {
			list[i] = lines[i]
		}
		return list, true
	case nil:
		return nil, true
	}
	return nil, false
}

// linesOf splits text; the end of the last line starts no other.
func linesOf(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

// show is a value for a message, short and on one line.
func show(v any) string {
	const most = 80
	if s, ok := v.(string); ok {
		if len(s) > most {
			return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "…"
		}
		return strconv.Quote(s)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(data) > 2*most {
		return strings.ToValidUTF8(string(data[:2*most]), "") + "…"
	}
	return string(data)
}

// showAll is a list for a message, with its first few elements.
func showAll[T any](list []T) string {
	const most = 5
	shown := make([]string, 0, most+1)
	for i, v := range list {
		if i == most {
			shown = append(shown, fmt.Sprintf("%d more", len(list)-most))
			break
		}
		shown = append(shown, show(v))
	}
	return strings.Join(shown, ", ")
}
