package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/upmaru/icepak/checks"
)

// NewGossJSON returns a Reporter that writes goss's JSON document to w when the
// run is over, indented where it is to be pretty. What goss has no word for is
// told in its words: an error is a failed result with err set, and meta, which
// is the spec's own in goss, says which image and which check a result is of.
func NewGossJSON(w io.Writer, pretty bool) Reporter {
	return &gossReporter{w: w, pretty: pretty, ended: make(map[gossKey]time.Time)}
}

type gossReporter struct {
	w      io.Writer
	pretty bool
	ended  map[gossKey]time.Time
}

// A gossKey tells results apart.
type gossKey struct {
	image                    imageKey
	check, typ, id, property string
}

// Event notes when a result was found, which the result itself does not know.
func (g *gossReporter) Event(e Event) error {
	if e.Kind == ResultFound && e.Image != nil && e.Result != nil {
		g.ended[gossKey{e.Image.key(), e.Check, e.Result.Type, e.Result.ID, e.Result.Property}] = e.Time
	}
	return nil
}

func (g *gossReporter) Close(s Summary) error {
	d := &document{g.w, "goss JSON", func(s Summary) ([]byte, error) {
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		if g.pretty {
			enc.SetIndent("", "    ")
		}
		if err := enc.Encode(g.document(s)); err != nil {
			return nil, err
		}
		return inert(out.Bytes()), nil
	}}
	return d.Close(s)
}

// The structs below are goss's document. Its keys are in alphabetical order, as
// goss's are.
type gossDocument struct {
	Results []gossResult `json:"results"`
	Summary gossSummary  `json:"summary"`
}

type gossSummary struct {
	Failed        int           `json:"failed-count"`
	Skipped       int           `json:"skipped-count"`
	Line          string        `json:"summary-line"`
	Tests         int           `json:"test-count"`
	TotalDuration time.Duration `json:"total-duration"`
}

type gossResult struct {
	Duration    time.Duration     `json:"duration"`
	End         time.Time         `json:"end-time"`
	Err         *string           `json:"err"`
	Match       gossMatch         `json:"matcher-result"`
	Meta        map[string]string `json:"meta"`
	Property    string            `json:"property"`
	ID          string            `json:"resource-id"`
	Type        string            `json:"resource-type"`
	Result      int               `json:"result"`
	Skipped     bool              `json:"skipped"`
	Start       time.Time         `json:"start-time"`
	Successful  bool              `json:"successful"`
	Line        string            `json:"summary-line"`
	LineCompact string            `json:"summary-line-compact"`
	Title       string            `json:"title"`
}

func (g *gossReporter) document(s Summary) gossDocument {
	doc := gossDocument{Results: []gossResult{}}
	list := findings(s)
	for _, f := range list {
		doc.Results = append(doc.Results, g.result(f, s))
	}
	c := count(list)
	doc.Summary = gossSummary{
		Failed: c.Failed + c.Errors, Skipped: c.Skipped, Tests: c.Total, TotalDuration: max(0, s.Duration),
		Line: fmt.Sprintf("Count: %d, Failed: %d, Skipped: %d, Duration: %.3fs",
			c.Total, c.Failed+c.Errors, c.Skipped, max(0, s.Duration).Seconds()),
	}
	return doc
}

func (g *gossReporter) result(f finding, s Summary) gossResult {
	end := s.Started
	meta := make(map[string]string)
	if f.image != nil {
		if at, ok := g.ended[gossKey{f.image.key(), f.check, f.Type, f.ID, f.Property}]; ok {
			end = at
		}
		meta["image"] = bounded(f.image.String())
	}
	if f.check != "" {
		meta["check"] = bounded(f.check)
	}
	r := gossResult{
		Duration: max(0, f.Duration), End: end.UTC(), Start: end.Add(-max(0, f.Duration)).UTC(),
		Meta: meta, Property: f.Property, ID: bounded(f.ID), Type: gossType(f.Type), Title: bounded(f.Title),
		Skipped: f.Verdict == checks.Skip, Successful: !faulty(f.Verdict),
	}
	switch {
	case r.Skipped:
		r.Result = 2
	case !r.Successful:
		r.Result = 1
	}
	if !r.Successful && (known(f.Verdict) == checks.Error || f.Actual == nil && f.Message != "") {
		message := bounded(f.Message)
		r.Err = &message
	} else {
		r.Match = newGossMatch(f.Result)
	}
	head := r.Type + ": " + r.ID + ": " + r.Property + ":"
	r.Line = gossLine(head, r, f.Result, "\n")
	r.LineCompact = gossLine(head, r, f.Result, " ")
	return r
}

// gossType is the name of a type in goss's results, that of its Go type.
func gossType(name string) string {
	switch name {
	case "dns", "http":
		return strings.ToUpper(name)
	}
	var b strings.Builder
	for part := range strings.SplitSeq(name, "-") {
		r, n := utf8.DecodeRuneInString(part)
		if n > 0 {
			b.WriteString(string(unicode.ToUpper(r)) + part[n:])
		}
	}
	return b.String()
}

// gossLine puts a result into goss's words, on lines or on one.
func gossLine(head string, r gossResult, result checks.Result, sep string) string {
	value := func(v any) string {
		text := quotedValue(v)
		if sep == "\n" {
			return "    " + text
		}
		return text
	}
	switch {
	case r.Skipped:
		return head + " skipped"
	case r.Err != nil:
		text := strings.Join(strings.Fields(*r.Err), " ")
		if sep == "\n" {
			text = "    " + text
		}
		return head + sep + "Error" + sep + text
	case r.Successful:
		return head + " " + r.Match.Message + ": " + quotedValue(r.Match.Expected)
	}
	parts := []string{head, "Expected", value(r.Match.Actual), r.Match.Message, value(r.Match.Expected)}
	if sep == "\n" {
		if d := explain(result, 60, 1).Difference; len(d) > 0 {
			parts = append(parts, "diff", "    "+strings.Join(d, "\n    "))
		}
	}
	if r.Match.Missing != nil {
		parts = append(parts, "the missing elements were", value(r.Match.Missing))
	}
	if r.Match.Extra != nil {
		parts = append(parts, "the extra elements were", value(r.Match.Extra))
	}
	return strings.Join(parts, sep)
}

// quotedValue is a value as JSON.
func quotedValue(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
