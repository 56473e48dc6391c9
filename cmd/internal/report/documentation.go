package report

import (
	"io"
	"strings"
)

// NewDocumentation returns a Reporter that writes to w, when the run is over,
// every result under its image and its check, then what did not pass, and how
// many there are.
func NewDocumentation(w io.Writer, opts TextOptions) Reporter {
	if opts.ASCII {
		w = asciiWriter{w}
	}
	look := newStyle(opts.ASCII, opts.Color)
	return &document{w, "documentation", func(s Summary) ([]byte, error) {
		list := findings(s)
		var b strings.Builder
		var before finding
		for i, f := range list {
			if i == 0 || f.image != before.image {
				if i > 0 {
					b.WriteByte('\n')
				}
				b.WriteString(look.bold.Sprint(finding{image: f.image}.where()) + "\n")
				before.check = ""
			}
			if f.check != before.check {
				b.WriteString("  " + oneLine(f.check, nameLimit) + "\n")
			}
			b.WriteString("    " + findingLine(f, look) + "\n")
			before = f
		}
		b.WriteString("\n\n" + notPassed(list, look) + closing(s, list, look))
		return []byte(b.String()), nil
	}}
}
