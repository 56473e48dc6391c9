package report

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain text stays", "Grüße, 世界 ✓\n\tx", "Grüße, 世界 ✓\n\tx"},
		{"colours", "\x1b[1;31mred\x1b[0m", "red"},
		{"cursor and screen", "a\x1b[2J\x1b[1;1Hb\x1bcc", "abc"},
		{"a window's title", "a\x1b]0;title\x07b\x1b]2;title\x1b\\c", "abc"},
		{"a title without its end hides nothing", "a\x1b]0;rest of line\nnext", "a0;rest of line\nnext"},
		{"eight-bit escapes", "a\u009b31mb\u009d0;t\u009cc", "abc"},
		{"an escape cut off", "a\x1b[", "a"},
		{"an escape made by another's removal", "\x1b\x1b[0m[31mx", "[31mx"},
		{"carriage returns", "10%\r20%\r\ndone", "10%\n20%\ndone"},
		{"control characters", "a\x00\x08\x7fb\vc", "ab c"},
		{"right-to-left overrides and zero-width", "a\u202eb\u2066c\u200bd\ufeffe", "abcde"},
		{"invalid UTF-8", "a\xff\xfeb", "a�b"},
		{"a workflow command", "::error::x", ": :error::x"},
		{"a workflow command behind space", "a\n \t\u00a0::set-output name=a::b", "a\n \t : :set-output name=a::b"},
		{"a workflow command in pieces", ":\x00:error::x", ": :error::x"},
		{"colons inside a line", "std::string ::x", "std::string ::x"},
		{"old commands anywhere", "a ##[error]b ##vso[task]c ##teamcity[x", "a ## [error]b ##vso [task]c ##teamcity [x"},
		{"what looks like one", "##_[x ##a_1[", "##_ [x ##a_1 ["},
		{"old commands in pieces", "#\x1b[0m#\x00[error]", "## [error]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Clean(tt.in); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// assertSafe fails the test where s holds what must not be printed.
func assertSafe(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %q", s)
	}
	for _, r := range s {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			t.Errorf("%U in %q", r, s)
		}
	}
	for l := range strings.Lines(s) {
		if strings.HasPrefix(strings.TrimSpace(l), "::") {
			t.Errorf("a workflow command: %q", l)
		}
	}
	if m := regexp.MustCompile(`##\w*\[`).FindString(s); m != "" {
		t.Errorf("a runner's command: %q in %q", m, s)
	}
}

func FuzzClean(f *testing.F) {
	f.Add(hostile)
	f.Add("::\x1b[0m:: ##\u202e[x")
	f.Fuzz(func(t *testing.T, s string) {
		got := Clean(s)
		assertSafe(t, got)
		if again := Clean(got); again != got {
			t.Errorf("cleaned twice: %q, once: %q", again, got)
		}
		line := oneLine(s, 40)
		assertSafe(t, line)
		if strings.Contains(line, "\n") || utf8.RuneCountInString(line) > 40 {
			t.Errorf("not a line of 40: %q", line)
		}
	})
}
