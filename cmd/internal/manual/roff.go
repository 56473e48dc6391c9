package manual

import (
	"bytes"
	"fmt"
	"strings"
)

// text writes a help text: paragraphs, and blocks whose lines are indented.
func text(b *bytes.Buffer, s string) {
	literal, begun, first := false, false, true
	for line := range strings.Lines(strings.Trim(s, "\n")) {
		line = strings.TrimRight(line, " \n")
		if line == "" {
			if literal {
				b.WriteString(".fi\n")
			}
			literal, begun = false, false
			continue
		}
		indented := strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t")
		if !begun && !first {
			b.WriteString(".PP\n") // the first one is begun by its section
		}
		switch {
		case indented && !literal:
			b.WriteString(".nf\n")
		case !indented && literal:
			b.WriteString(".fi\n")
		}
		literal, begun, first = indented, true, false
		b.WriteString(escape(line) + "\n")
	}
	if literal {
		b.WriteString(".fi\n")
	}
}

// escape makes text, in ASCII, of what roff would take for its own, or typeset as
// something else than a person has to type.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`).Replace(s)
	var b strings.Builder
	if strings.HasPrefix(s, ".") {
		b.WriteString(`\&`)
	}
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}
