package spec

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// fromJSON returns a text that is JSON as one that YAML's parser reads, line
// by line the same. It takes JSON for the most part, but no tabs between values,
// no \/, no character in two halves and none that cannot be printed.
func fromJSON(text string) string {
	return rewriteJSON(text, func(r rune, _ int) string { return escape(r) })
}

// maskJSON is fromJSON with every value in its old place: what would be longer or
// shorter is crossed out.
func maskJSON(text string) string {
	return rewriteJSON(text, func(r rune, width int) string {
		if s := escape(r); utf8.RuneCountInString(s) == width {
			return s
		}
		return strings.Repeat("x", width)
	})
}

// rewriteJSON writes each character of texts that are JSON anew, given the
// characters that it was written with. Other texts stay as they are.
func rewriteJSON(text string, write func(r rune, width int) string) string {
	if !json.Valid([]byte(text)) {
		return text
	}
	var b strings.Builder
	inString := false
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			inString = !inString
		case c == '\t' && !inString:
			b.WriteByte(' ')
			i++
			continue
		case c == '\\':
			r, n := unescape(text[i:])
			if r == 0 { // YAML has it too
				b.WriteString(text[i : i+n])
			} else {
				b.WriteString(write(r, n))
			}
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		b.WriteString(write(r, 1))
		i += n
	}
	return b.String()
}

// unescape reads the escape sequence at a string's start, and its length. The
// character is zero where YAML has the same sequence.
func unescape(s string) (rune, int) {
	switch {
	case s[1] == '/':
		return '/', 2
	case s[1] != 'u':
		return 0, 2
	}
	r := hexRune(s[2:6])
	if !utf16.IsSurrogate(r) {
		return 0, 6
	}
	if len(s) >= 12 && s[6:8] == `\u` {
		if whole := utf16.DecodeRune(r, hexRune(s[8:12])); whole != '\uFFFD' {
			return whole, 12
		}
	}
	return '\uFFFD', 6
}

func hexRune(digits string) rune {
	n, _ := strconv.ParseUint(digits, 16, 32) // the text is valid JSON
	return rune(n)
}

// escape is a character as YAML's parser takes it in a quoted text.
func escape(r rune) string {
	switch {
	case r == 0x7F, r >= 0x80 && r < 0xA0, r == 0x2028, r == 0x2029, r == 0xFEFF, r == 0xFFFE, r == 0xFFFF:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return string(r)
}
