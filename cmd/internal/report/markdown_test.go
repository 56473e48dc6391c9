package report

import (
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

// skeleton returns a Markdown text without its code, by the rules of CommonMark: code
// blocks, and on each line code spans.
func skeleton(doc string) string {
	var b strings.Builder
	block := ""
	for l := range strings.SplitSeq(doc, "\n") {
		ticks := l[:len(l)-len(strings.TrimLeft(l, "`"))]
		switch {
		case block != "":
			if len(ticks) >= len(block) && strings.Trim(l, "` ") == "" {
				block = ""
			}
			continue
		case len(ticks) >= 3 && !strings.Contains(l[len(ticks):], "`"):
			block = ticks
			continue
		}
		for l != "" {
			before, rest, found := strings.Cut(l, "`")
			b.WriteString(before)
			if !found {
				break
			}
			rest = "`" + rest
			open := rest[:len(rest)-len(strings.TrimLeft(rest, "`"))]
			end := spanEnd(rest[len(open):], len(open))
			if end < 0 { // not a span
				b.WriteString(open)
				l = rest[len(open):]
				continue
			}
			b.WriteString("CODE")
			l = rest[len(open)+end:]
		}
		b.WriteByte('\n')
	}
	if block != "" {
		b.WriteString("a block without an end")
	}
	return b.String()
}

// spanEnd is where a code span ends: behind as many backticks as began it.
func spanEnd(s string, n int) int {
	for i := 0; i < len(s); i++ {
		if s[i] != '`' {
			continue
		}
		run := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		if run == n {
			return i + run
		}
		i += run
	}
	return -1
}

func TestCodeHoldsAnyText(t *testing.T) {
	tests := []struct{ name, in, code, cell string }{
		{"text", "a b", "`a b`", "`a b`"},
		{"nothing", " \n", "", ""},
		{"backticks inside", "a``b", "```a``b```", "```a``b```"},
		{"backticks at the ends", "`a`", "`` `a` ``", "`` `a` ``"},
		{"a bar", "a | b", "`a | b`", "`a ¦ b`"},
		{"markup", "<b>*a*</b> @someone", "`<b>*a*</b> @someone`", "`<b>*a*</b> @someone`"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := code(tt.in); got != tt.code {
				t.Errorf("code is %s, want %s", got, tt.code)
			}
			if got := cell(tt.in); got != tt.cell {
				t.Errorf("cell is %s, want %s", got, tt.cell)
			}
		})
	}
}

func TestMarkdownFitsIntoAComment(t *testing.T) {
	s := longValues()
	s.Images[0].Checks[0].Results[0].Output = strings.Repeat(strings.Repeat("x", 200)+"\n", 1000)
	for range 300 {
		s.Images = append(s.Images, s.Images[0])
	}
	out := render(t, "markdown", Options{}, s)
	if n := len(out); n > markdownLimit+100 || n < markdownLimit/2 {
		t.Errorf("%d bytes", n)
	}
	if !strings.HasSuffix(out, "There is more than fits here; the other formats have it all.\n") {
		t.Errorf("nothing says that there is more: …%s", out[len(out)-200:])
	}
	if strings.Contains(skeleton(out), "without an end") {
		t.Error("a block has no end")
	}
}

func TestMarkdownShowsAnImageOfWhichNothingIsKnown(t *testing.T) {
	image := ImageResult{Image: debian, Verdict: checks.Skip, Reason: "nothing is launched", Checks: []CheckResult{skipped("gpu", "no GPU")}}
	out := render(t, "markdown", Options{}, Summary{Verdict: checks.Skip, Images: []ImageResult{image, allPassed().Images[0]}})
	if !strings.Contains(out, "`nothing is launched`") || !strings.Contains(out, "incomplete") {
		t.Errorf("got:\n%s", out)
	}
}

// Where all of a hostile guest's text is code, nothing else depends on it.
func FuzzMarkdownHoldsTextInCode(f *testing.F) {
	f.Add("\x1b[31m\n ::x ##[y]")
	f.Add("```\n# x\n~~~")
	f.Add("a\\|b`c")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > fuzzed {
			return
		}
		s = "x" + s // so that no line of it is empty, and none is like ours
		out := render(t, "markdown", Options{}, everywhere(s))
		assertSafe(t, out)
		if got, want := skeleton(out), skeleton(render(t, "markdown", Options{}, everywhere(harmless))); got != want {
			t.Errorf("got:\n%s\nwant:\n%s\nfrom:\n%s", got, want, out)
		}
	})
}
