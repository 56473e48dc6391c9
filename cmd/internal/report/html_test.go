package report

import (
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
)

// pageElements are the elements of the page and their attributes.
var pageElements = map[string][]string{
	"html": {"lang"}, "head": nil, "meta": {"charset", "name", "content", "http-equiv"}, "title": nil, "style": nil,
	"body": nil, "header": {"class"}, "main": nil, "h1": nil, "h2": {"class"}, "p": {"class"}, "ul": {"class"}, "li": {"class"},
	"div": {"class", "id"}, "span": {"class"}, "b": nil, "code": nil, "pre": nil, "a": {"href", "title"},
	"table": {"class"}, "thead": nil, "tbody": nil, "tr": nil, "th": {"class"}, "td": {"class", "colspan"},
	"details": {"class", "id", "open"}, "summary": nil, "dl": nil, "dt": nil, "dd": nil,
}

// checkPage reads a page as XML, which it is as well.
func checkPage(t *testing.T, doc string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(doc))
	ids, links := make(map[string]bool), make(map[string]bool)
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		allowed, known := pageElements[e.Name.Local]
		if !known {
			t.Errorf("an element %s in:\n%s", e.Name.Local, doc)
		}
		for _, a := range e.Attr {
			switch {
			case !slices.Contains(allowed, a.Name.Local):
				t.Errorf("%s has %s in:\n%s", e.Name.Local, a.Name.Local, doc)
			case a.Name.Local == "id" && ids[a.Value]:
				t.Errorf("two elements are %s", a.Value)
			case a.Name.Local == "id":
				ids[a.Value] = true
			case a.Name.Local == "href":
				links[strings.TrimPrefix(a.Value, "#")] = true
			}
		}
	}
	for link := range links {
		if !ids[link] {
			t.Errorf("a link to %s, which is not there", link)
		}
	}
}

func TestThePageIsValidAndItsLinksLead(t *testing.T) {
	for _, r := range runs() {
		t.Run(r.name, func(t *testing.T) { checkPage(t, render(t, "html", Options{}, r.summary)) })
	}
}

func TestThePageNeedsNothingElse(t *testing.T) {
	out := render(t, "html", Options{}, several())
	for _, what := range []string{"<script", "src=", "url(", "@import", "<link"} {
		if strings.Contains(out, what) {
			t.Errorf("it has %s", what)
		}
	}
}

func TestThePageShowsWhatFailedWithoutAClick(t *testing.T) {
	out := render(t, "html", Options{}, several())
	for _, want := range []string{
		`<details class="image fail" id="image-1" open="open">`,
		`<details class="check fail" id="image-1-check-3" open="open">`,
		`<details class="image pass" id="image-2">`,
		`<td class="check fail"><a href="#image-1-check-3" title="package-install failed 1 of 2">✗</a></td>`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in:\n%s", want, out)
		}
	}
}

func FuzzPageIsValid(f *testing.F) {
	f.Add("\x1b[31m\n ::x ##[y]")
	f.Add(`"><script>x</script><a href="javascript:x">`)
	f.Add("</style></pre>&lt;")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > fuzzed {
			return
		}
		out := render(t, "html", Options{}, everywhere(s))
		_, body, _ := strings.Cut(out, "</head>") // before it is no text of a guest's
		body = strings.TrimSuffix(body, "</html>\n")
		assertSafe(t, body)
		checkPage(t, body)
	})
}
