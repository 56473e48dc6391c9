package report

import (
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Everything that a guest, an image server or LXD says is hostile. It may hold
// escapes that rewrite what the terminal shows, lines that a CI runner takes
// for commands, and any number of bytes.

// escapeStarts are the characters that terminalEscape begins with.
const escapeStarts = "\x1b\u0090\u0098\u009b\u009d\u009e\u009f"

var (
	// terminalEscape matches a whole escape sequence, so that its parameters do
	// not stay behind as text. A string sequence (a window's title) without its
	// end is not one, or it would swallow all that follows.
	terminalEscape = regexp.MustCompile(`(?:\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]` +
		`|(?:\x1b[\]PX^_]|[\x{90}\x{98}\x{9d}-\x{9f}])[^\x07\x1b\x{9c}\n]*(?:\x07|\x1b\\|\x{9c})` +
		`|\x1b[ -/]*[0-~]`)

	// bracketCommand matches ##[error], ##vso[…] and their like. Runners look
	// for them anywhere in a line.
	bracketCommand = regexp.MustCompile(`##(\w*)\[`)

	// colonCommand matches the start of ::error:: at the start of a line.
	// Runners ignore the space before it.
	colonCommand = regexp.MustCompile(`(?m)^([ \t]*):(:+)`)
)

// Clean returns s without what is not text: terminal escapes, control and
// other invisible characters, invalid UTF-8. Lines and tabs stay. Text that a
// CI runner would take for a command is broken up by a space. It does not
// bound the length.
func Clean(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if strings.ContainsAny(s, escapeStarts) { // most text has none, and looking on costs
		s = terminalEscape.ReplaceAllString(s, "")
	}
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			return r
		case r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029':
			return '\n'
		case unicode.IsSpace(r):
			return ' '
		}
		return -1
	}, s)
	if strings.Contains(s, "##") {
		s = bracketCommand.ReplaceAllString(s, "##$1 [")
	}
	if strings.Contains(s, "::") {
		s = colonCommand.ReplaceAllString(s, "$1: $2")
	}
	return s
}

// oneLine returns s cleaned, as one line of at most limit characters.
func oneLine(s string, limit int) string {
	return cut(strings.Join(strings.Fields(Clean(cutBytes(s, 8*limit))), " "), limit)
}

// cut shortens s to at most limit characters, the last of which then says that
// there was more.
func cut(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + "…"
}

// cutBytes returns the first limit bytes of s, whole characters only.
func cutBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// splitLines returns the cleaned lines of s, without blank ones at its ends,
// each of at most lineLimit characters.
func splitLines(s string) []string {
	s = strings.Trim(strings.TrimRightFunc(Clean(s), unicode.IsSpace), "\n")
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = cut(strings.TrimRight(l, " \t"), lineLimit)
	}
	return lines
}

// An asciiWriter replaces what is not ASCII. What is written to it must end
// with whole characters.
type asciiWriter struct{ w io.Writer }

func (a asciiWriter) Write(p []byte) (int, error) {
	var b strings.Builder
	for _, r := range string(p) {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r == '…':
			b.WriteString("...")
		default:
			b.WriteByte('?')
		}
	}
	if _, err := io.WriteString(a.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}
