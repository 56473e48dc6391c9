package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/upmaru/icepak/checks"
)

//go:embed page.html.tmpl
var pageSource string

// pageTemplate parses the page once, and only where it is asked for.
var pageTemplate = sync.OnceValues(func() (*template.Template, error) {
	return template.New("page").Parse(pageSource)
})

// NewHTML returns a Reporter that writes one page to w when the run is over. It
// needs no other file and no script.
func NewHTML(w io.Writer) Reporter {
	return &document{w, "HTML", func(s Summary) ([]byte, error) {
		t, err := pageTemplate()
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		if err := t.Execute(&out, newPage(s)); err != nil {
			return nil, err
		}
		return []byte(Clean(out.String())), nil
	}}
}

// The structs below are what the template shows. Their texts are one line each,
// cleaned, and are escaped by the template.
type page struct {
	Verdict    pageVerdict
	Numbers    string
	Started    string
	Version    string
	Promotions []string // why a version was not promoted, where no image says it
	Warnings   []string
	Columns    []string // the names of all checks; empty where there is but one image
	Images     []pageImage
}

// A pageVerdict is a verdict's class, its sign, and its word.
type pageVerdict struct{ Class, Mark, Word string }

type pageImage struct {
	ID                            string
	Verdict                       pageVerdict
	Product, Serial, Type, Remote string
	Fault                         string
	Causes                        []string
	Promotion                     string
	Facts                         []string // of no weight
	Time                          string
	Open                          bool
	Cells                         []pageCell // one for each of the page's columns
	Span                          int        // of all of them, and what is left beside them
	Checks                        []pageCheck
	Diagnostics                   []pageText
	Kept                          string
	Artifacts                     string
}

// A pageCell is a check in the table of all images; it is empty where the image
// has no such check.
type pageCell struct {
	ID      string
	Verdict pageVerdict
	Text    string
}

type pageCheck struct {
	ID                 string
	Verdict            pageVerdict
	Name, Title        string
	Count, Time, Why   string
	Source             string
	Causes             []string
	Open               bool
	Faults             []pageFault
	Others             []pageResult
	MoreFaults, Hidden int // that are not shown
}

// A pageFault is a result that did not pass.
type pageFault struct {
	Verdict pageVerdict
	Name    string
	explanation
	Changes []pageText // the difference's lines
}

// A pageResult is one that passed or was skipped.
type pageResult struct {
	Verdict    pageVerdict
	Name, Note string
}

type pageText struct{ Name, Text string }

func newPage(s Summary) page {
	p := page{
		Verdict: newPageVerdict(s.Verdict),
		Numbers: numbers(s),
		Started: s.Started.UTC().Format("2 January 2006, 15:04 UTC"),
		Version: oneLine(s.Version, nameLimit),
	}
	p.Verdict.Word = runWord(s)
	for _, promotion := range promotions(s) {
		if !promotion.done && !promotion.told {
			p.Promotions = append(p.Promotions, oneLine(promotion.version+": "+strings.TrimPrefix(promotion.why, notPromotedPrefix), lineLimit))
		}
	}
	for _, w := range s.Warnings {
		p.Warnings = append(p.Warnings, oneLine(w, lineLimit))
	}
	if len(s.Images) > 1 {
		p.Columns = checkNames(s.Images)
	}
	for i, image := range s.Images {
		p.Images = append(p.Images, newPageImage(image, fmt.Sprintf("image-%d", i+1), p.Columns))
	}
	if len(p.Images) == 1 {
		p.Images[0].Open = true
	}
	return p
}

// checkNames lists the names of all images' checks, each once.
func checkNames(images []ImageResult) []string {
	var names []string
	seen := make(map[string]bool)
	for _, image := range images {
		for _, c := range image.Checks {
			if name := oneLine(c.Name, nameLimit); !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

func newPageVerdict(v checks.Verdict) pageVerdict {
	look := newStyle(false, false)
	return pageVerdict{Class: string(known(v)), Mark: look.mark(v), Word: outcomeWord(v)}
}

func newPageImage(r ImageResult, id string, columns []string) pageImage {
	image := pageImage{
		ID:      id,
		Verdict: newPageVerdict(r.Verdict),
		Product: oneLine(r.Product, lineLimit), Serial: oneLine(r.Serial, lineLimit),
		Type: oneLine(r.Type, nameLimit), Remote: oneLine(r.Remote, lineLimit),
		Fault: faultLine(r), Causes: causeLines(r.Causes), Promotion: oneLine(r.Promotion, lineLimit),
		Facts: imageFacts(r),
		Time:  seconds(r.duration()),
		Open:  faulty(r.Verdict) || untested(r),
		Cells: make([]pageCell, len(columns)), Span: len(columns) + 1,
		Kept: oneLine(r.Kept, lineLimit), Artifacts: oneLine(r.Artifacts, lineLimit),
	}
	for i, c := range r.Checks {
		check := newPageCheck(c, r, fmt.Sprintf("%s-check-%d", id, i+1))
		image.Checks = append(image.Checks, check)
		if column := slices.Index(columns, check.Name); column >= 0 {
			text := strings.TrimSpace(check.Name + " " + check.Verdict.Word + " " + check.Count)
			image.Cells[column] = pageCell{check.ID, check.Verdict, text}
		}
	}
	for _, d := range r.Diagnostics {
		if lines := lastLines(splitLines(d.Text), verboseLimit); len(lines) > 0 {
			image.Diagnostics = append(image.Diagnostics, pageText{oneLine(d.Name, lineLimit), strings.Join(lines, "\n")})
		}
	}
	return image
}

// imageFacts is what one may want to look up about an image.
func imageFacts(r ImageResult) []string {
	var facts []string
	for _, f := range []pageText{{"spec", r.Spec}, {"fingerprint", cutBytes(r.Fingerprint, 12)}} {
		if text := oneLine(f.Text, lineLimit); text != "" {
			facts = append(facts, f.Name+" "+text)
		}
	}
	for _, st := range r.Stages {
		facts = append(facts, oneLine(string(st.Stage), nameLimit)+" "+seconds(st.Duration))
	}
	return facts
}

func newPageCheck(c CheckResult, image ImageResult, id string) pageCheck {
	row := newRow(c, image)
	check := pageCheck{
		ID: id, Verdict: newPageVerdict(c.Verdict), Name: row.name, Title: oneLine(c.Title, lineLimit),
		Count: row.count, Time: row.time, Why: row.why, Source: oneLine(c.Source, lineLimit), Open: faulty(c.Verdict),
		Causes: causeLines(c.Causes),
	}
	for _, r := range c.Results {
		switch {
		case faulty(r.Verdict) && len(check.Faults) == pageFaults:
			check.MoreFaults++
		case faulty(r.Verdict):
			check.Faults = append(check.Faults, newPageFault(r))
		case len(check.Others) == verboseLimit:
			check.Hidden++
		default:
			check.Others = append(check.Others, newPageResult(r))
		}
	}
	return check
}

// pageFaults bounds the results of a check that are explained.
const pageFaults = 100

func newPageFault(r checks.Result) pageFault {
	f := pageFault{Verdict: newPageVerdict(r.Verdict), Name: label(r), explanation: explain(r, 100, verboseLimit)}
	for _, l := range f.Difference {
		class := "same"
		switch {
		case strings.HasPrefix(l, "- "):
			class = "less"
		case strings.HasPrefix(l, "+ "):
			class = "more"
		}
		f.Changes = append(f.Changes, pageText{class, l})
	}
	return f
}

func newPageResult(r checks.Result) pageResult {
	res := pageResult{Verdict: newPageVerdict(r.Verdict), Name: label(r), Note: oneLine(r.Message, lineLimit)}
	if r.Verdict == checks.Pass && r.Expected != nil {
		res.Note = oneLine(inline(plain(r.Expected)), lineLimit)
	}
	return res
}
