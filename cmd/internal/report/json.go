package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/upmaru/icepak/checks"
)

// jsonLimit bounds each text of the JSON report, in bytes.
const jsonLimit = 64 << 10

// NewJSON returns a Reporter that writes one JSON document to w when the run is
// over: docs/report.schema.json describes it. Durations are in seconds.
func NewJSON(w io.Writer) Reporter {
	return &document{w, "JSON", func(s Summary) ([]byte, error) {
		data, err := EncodeJSON(s)
		return append(data, '\n'), err
	}}
}

// EncodeJSON returns the document that NewJSON writes.
func EncodeJSON(s Summary) ([]byte, error) {
	data, err := json.MarshalIndent(newJSONRun(s), "", "  ")
	return inert(data), err
}

// The structs below are the document. Changing them changes its schema; what
// breaks a reader needs a new schemaVersion.
const schemaVersion = 1

type jsonRun struct {
	SchemaVersion int            `json:"schema_version"`
	Version       string         `json:"icepak_version"`
	Verdict       checks.Verdict `json:"verdict"`
	Started       time.Time      `json:"started"`
	Duration      jsonSeconds    `json:"duration_s"`
	Totals        jsonTotals     `json:"totals"`
	Images        []jsonImage    `json:"images"`
	Warnings      []string       `json:"warnings"`
}

type jsonTotals struct {
	Images     Count `json:"images"`
	Checks     Count `json:"checks"`
	Promotions int   `json:"promotions"`
	Promoted   int   `json:"promoted"`
}

type jsonImage struct {
	Image
	Verdict     checks.Verdict   `json:"verdict"`
	Reason      string           `json:"reason,omitempty"`
	Failed      Stage            `json:"failed_stage,omitempty"`
	Causes      []string         `json:"causes,omitempty"`
	Checks      []jsonCheck      `json:"checks"`
	Stages      []jsonStage      `json:"stages"`
	Kept        string           `json:"kept,omitempty"`
	Run         string           `json:"run,omitempty"`
	Promotion   string           `json:"promotion,omitempty"`
	Diagnostics []jsonDiagnostic `json:"diagnostics,omitempty"`
	Artifacts   string           `json:"artifacts,omitempty"`
}

type jsonCheck struct {
	Name string `json:"name"`
	jsonVerdict
	Results []jsonResult `json:"results"`
}

// A jsonVerdict is a check's, without the results that it rests on.
type jsonVerdict struct {
	Title    string         `json:"title,omitempty"`
	Source   string         `json:"source,omitempty"`
	Verdict  checks.Verdict `json:"verdict"`
	Reason   string         `json:"reason,omitempty"`
	Passed   int            `json:"passed"`
	Total    int            `json:"total"`
	Duration jsonSeconds    `json:"duration_s"`
	Earlier  bool           `json:"earlier,omitempty"`
	Posted   string         `json:"posted,omitempty"`
	Causes   []string       `json:"causes,omitempty"`
}

type jsonResult struct {
	Type     string         `json:"type"`
	ID       string         `json:"id"`
	Property string         `json:"property"`
	Title    string         `json:"title,omitempty"`
	Verdict  checks.Verdict `json:"verdict"`
	Expected any            `json:"expected,omitempty"`
	Actual   any            `json:"actual,omitempty"`
	Message  string         `json:"message,omitempty"`
	Output   string         `json:"output,omitempty"`
	Duration jsonSeconds    `json:"duration_s"`
	Source   string         `json:"source,omitempty"`
	When     checks.Moment  `json:"when,omitempty"`
}

type jsonStage struct {
	Stage    Stage       `json:"stage"`
	Duration jsonSeconds `json:"duration_s"`
}

type jsonDiagnostic struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// jsonSeconds is a duration as a number of seconds, to the millisecond.
type jsonSeconds float64

func newSeconds(d time.Duration) jsonSeconds {
	return jsonSeconds(math.Round(max(0, d).Seconds()*1000) / 1000)
}

func newJSONRun(s Summary) jsonRun {
	t := Totals(s)
	run := jsonRun{
		SchemaVersion: schemaVersion,
		Version:       s.Version,
		Verdict:       known(s.Verdict),
		Started:       s.Started.UTC(),
		Duration:      newSeconds(s.Duration),
		Totals:        jsonTotals(t),
		Images:        []jsonImage{},
		Warnings:      append([]string{}, s.Warnings...),
	}
	for _, image := range s.Images {
		run.Images = append(run.Images, newJSONImage(image))
	}
	return run
}

func newJSONImage(r ImageResult) jsonImage {
	image := jsonImage{
		Image:     r.Image,
		Verdict:   known(r.Verdict),
		Reason:    bounded(r.Reason),
		Failed:    r.Failed,
		Causes:    causeLines(r.Causes),
		Artifacts: r.Artifacts,
		Checks:    []jsonCheck{},
		Stages:    []jsonStage{},
		Kept:      r.Kept,
		Run:       r.Run,
		Promotion: bounded(r.Promotion),
	}
	for _, c := range r.Checks {
		image.Checks = append(image.Checks, newJSONCheck(c))
	}
	for _, st := range r.Stages {
		image.Stages = append(image.Stages, jsonStage{st.Stage, newSeconds(st.Duration)})
	}
	for _, d := range r.Diagnostics {
		image.Diagnostics = append(image.Diagnostics, jsonDiagnostic{d.Name, bounded(d.Text)})
	}
	return image
}

func newJSONCheck(c CheckResult) jsonCheck {
	check := jsonCheck{
		Name: c.Name,
		jsonVerdict: jsonVerdict{
			Title:    c.Title,
			Source:   c.Source,
			Verdict:  known(c.Verdict),
			Reason:   bounded(c.Reason),
			Passed:   c.Passed,
			Total:    c.Total,
			Duration: newSeconds(c.Duration),
			Earlier:  c.Earlier,
			Posted:   c.Posted,
			Causes:   causeLines(c.Causes),
		},
		Results: []jsonResult{},
	}
	for _, r := range c.Results {
		check.Results = append(check.Results, jsonResult{
			Type:     r.Type,
			ID:       r.ID,
			Property: r.Property,
			Title:    r.Title,
			Verdict:  known(r.Verdict),
			Expected: boundedValue(r.Expected),
			Actual:   boundedValue(r.Actual),
			Message:  bounded(r.Message),
			Output:   bounded(r.Output),
			Duration: newSeconds(r.Duration),
			Source:   r.Source,
			When:     knownMoment(r.When),
		})
	}
	return check
}

// bounded cuts a text that is too long for the document.
func bounded(s string) string {
	if len(s) <= jsonLimit {
		return s
	}
	return cutBytes(s, jsonLimit) + "…"
}

// boundedValue is v where it is short enough, and else the start of its text.
func boundedValue(v any) any {
	if v == nil {
		return nil
	}
	p := plain(v)
	if s, ok := p.(string); ok {
		return bounded(s)
	}
	if text := inline(p); len(text) > jsonLimit {
		return bounded(text)
	}
	return p
}

// inert returns a JSON document that means the same and can be printed
// anywhere: characters that do not print are escaped, and so is what makes a CI
// runner's command.
func inert(doc []byte) []byte {
	doc = bracketCommand.ReplaceAll(doc, []byte(`##$1\u005b`))
	var b bytes.Buffer
	for _, r := range string(doc) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}
