package checks

import "context"

// Matching compares what the spec itself has, which makes sense with templates.
type Matching struct {
	Common
	Content any `json:"content" required:"true"`
	// AsReader makes the content text, as if it were a file's: a list is then of
	// patterns.
	AsReader bool    `json:"as-reader,omitempty"`
	Matches  Matcher `json:"matches,omitzero" kind:"any" text:"as-reader"`
}

// Evaluate looks at nothing of the guest's. A pass does not show the content: a
// template may have read it from a file.
func (m *Matching) Evaluate(context.Context, *System) []Result {
	var r results
	content := normal(m.Content)
	if m.AsReader {
		content = textOf(content)
	}
	if r.match("matches", m.Matches, content) && len(r.list) > 0 {
		r.last().Actual = nil
	}
	return r.list
}

func (*Matching) needsFilesOnly() {}
