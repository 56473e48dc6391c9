package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

func junitReport(t *testing.T, s Summary) []byte {
	t.Helper()
	var out bytes.Buffer
	tell(t, NewJUnit(&out), s)
	return out.Bytes()
}

func parseJUnit(t *testing.T, doc []byte) junitSuites {
	t.Helper()
	var suites junitSuites
	d := xml.NewDecoder(bytes.NewReader(doc))
	d.Strict = true
	if err := d.Decode(&suites); err != nil {
		t.Fatal(err)
	}
	return suites
}

func TestJUnitShowsRuns(t *testing.T) {
	for _, r := range runs() {
		t.Run(r.name, func(t *testing.T) {
			golden(t, r.name+".junit.xml", junitReport(t, r.summary))
		})
	}
}

// The rules that Ant's and Jenkins's schemas have in common, or of which only
// one has a stricter one: which attributes an element must have and may have, and
// which elements it holds, in their order.
var junitRules = map[string]struct{ required, elements []string }{
	"testsuites": {nil, []string{"testsuite"}},
	"testsuite": {
		[]string{"id", "name", "package", "hostname", "timestamp", "tests", "failures", "errors", "skipped", "time"},
		[]string{"properties", "testcase", "system-out", "system-err"},
	},
	"properties": {nil, []string{"property"}},
	"property":   {[]string{"name", "value"}, nil},
	"testcase":   {[]string{"name", "classname", "time"}, []string{"skipped", "error", "failure"}},
	"skipped":    {[]string{"message"}, nil},
	"error":      {[]string{"message", "type"}, nil},
	"failure":    {[]string{"message", "type"}, nil},
	"system-out": {nil, nil},
	"system-err": {nil, nil},
}

// junitForms are what attributes must look like.
var junitForms = map[string]*regexp.Regexp{
	"timestamp": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`), // no zone
	"time":      regexp.MustCompile(`^\d+\.\d{3}$`),
	"tests":     regexp.MustCompile(`^\d+$`),
	"failures":  regexp.MustCompile(`^\d+$`),
	"errors":    regexp.MustCompile(`^\d+$`),
	"skipped":   regexp.MustCompile(`^\d+$`),
	"id":        regexp.MustCompile(`^\d+$`),
	"name":      regexp.MustCompile(`^\S(.*\S)?$`), // a token: no space around it, not empty
	"classname": regexp.MustCompile(`^\S(.*\S)?$`),
	"hostname":  regexp.MustCompile(`^\S(.*\S)?$`),
	"package":   regexp.MustCompile(`^\S(.*\S)?$`),
}

// checkJUnit checks a document's structure.
func checkJUnit(doc []byte) error {
	d := xml.NewDecoder(bytes.NewReader(doc))
	var path []string
	var last []int // the place of an element's latest child among those it may have
	for {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch e := token.(type) {
		case xml.StartElement:
			name := e.Name.Local
			if len(path) > 0 {
				parent := path[len(path)-1]
				place := slices.Index(junitRules[parent].elements, name)
				if place < last[len(last)-1] {
					return fmt.Errorf("%s in %s: not allowed there", name, parent)
				}
				if parent == "testcase" && last[len(last)-1] >= 0 {
					return fmt.Errorf("two outcomes of a testcase")
				}
				last[len(last)-1] = place
			} else if name != "testsuites" {
				return fmt.Errorf("the root is %s", name)
			}
			var attrs []string
			for _, a := range e.Attr {
				attrs = append(attrs, a.Name.Local)
				if form := junitForms[a.Name.Local]; form != nil && !form.MatchString(a.Value) {
					return fmt.Errorf("%s of %s: %q", a.Name.Local, name, a.Value)
				}
			}
			if !slices.Equal(attrs, junitRules[name].required) {
				return fmt.Errorf("%s has %q, want %q", name, attrs, junitRules[name].required)
			}
			path, last = append(path, name), append(last, -1)
		case xml.EndElement:
			path, last = path[:len(path)-1], last[:len(last)-1]
		case xml.CharData:
			text := strings.TrimSpace(string(e))
			if text != "" && !slices.Contains([]string{"error", "failure", "system-out", "system-err"}, path[len(path)-1]) {
				return fmt.Errorf("text in %s: %q", path[len(path)-1], text)
			}
		}
	}
}

func TestJUnitKeepsToTheSchemas(t *testing.T) {
	for _, r := range runs() {
		t.Run(r.name, func(t *testing.T) {
			if err := checkJUnit(junitReport(t, r.summary)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestJUnitCountsItsCases(t *testing.T) {
	for _, r := range runs() {
		t.Run(r.name, func(t *testing.T) {
			doc := parseJUnit(t, junitReport(t, r.summary))
			if len(doc.Suites) != len(r.summary.Images) {
				t.Fatalf("%d suites of %d images", len(doc.Suites), len(r.summary.Images))
			}
			seen := make(map[string]bool)
			for i, suite := range doc.Suites {
				var got [3]int
				for _, c := range suite.Cases {
					for k, outcome := range []bool{c.Failure != nil, c.Error != nil, c.Skipped != nil} {
						if outcome {
							got[k]++
						}
					}
					if id := c.Classname + " " + c.Name; seen[id] {
						t.Errorf("two cases are %s", id)
					} else {
						seen[id] = true
					}
				}
				if want := [3]int{suite.Failures, suite.Errors, suite.Skipped}; got != want || suite.Tests != len(suite.Cases) {
					t.Errorf("suite %d: has %v of %d, says %v of %d", i, got, len(suite.Cases), want, suite.Tests)
				}
				bad := suite.Failures+suite.Errors > 0
				if v := r.summary.Images[i].Verdict; bad != faulty(v) {
					t.Errorf("suite %d: the verdict is %s, the suite has %d failures and %d errors", i, v, suite.Failures, suite.Errors)
				}
			}
		})
	}
}

func TestJUnitOfAnImageThatNeverGotToItsChecks(t *testing.T) {
	tests := []struct {
		name  string
		image ImageResult
		want  []string
	}{
		{"no checks are known", ImageResult{Verdict: checks.Error, Failed: Start, Reason: "rack1 is gone"},
			[]string{"start error: rack1 is gone"}},
		{"no stage is known", ImageResult{Verdict: checks.Fail},
			[]string{"image failure: no reason is known"}},
		{"its checks were not evaluated", ImageResult{Verdict: checks.Fail, Failed: ReadyFor, Reason: "systemd is in maintenance",
			Checks: []CheckResult{
				{Name: "ipv4", Outcome: checks.Outcome{Verdict: checks.Fail}},
				{Name: "ipv6"},
				skipped("gpu", "no GPU"),
			}},
			[]string{"ipv4 failure: systemd is in maintenance", "ipv6 error: systemd is in maintenance", "gpu skipped: no GPU"}},
		{"all are skipped", ImageResult{Verdict: checks.Error, Failed: Fetch, Reason: "404 Not Found",
			Checks: []CheckResult{skipped("gpu", "no GPU")}},
			[]string{"gpu skipped: no GPU", "fetch error: 404 Not Found"}},
		{"its checks passed", ImageResult{Verdict: checks.Error, Failed: Post, Reason: "503 Service Unavailable",
			Checks: []CheckResult{passed("ipv4", 1, 1)}},
			[]string{"ipv4 passed", "post error: 503 Service Unavailable"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.image.Image = debian
			doc := parseJUnit(t, junitReport(t, Summary{Images: []ImageResult{tt.image}}))
			var got []string
			for _, c := range doc.Suites[0].Cases {
				s := c.Name + " passed"
				switch {
				case c.Failure != nil:
					s = c.Name + " failure: " + c.Failure.Message
				case c.Error != nil:
					s = c.Name + " error: " + c.Error.Message
				case c.Skipped != nil:
					s = c.Name + " skipped: " + c.Skipped.Message
				}
				got = append(got, s)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestJUnitTellsVersionsOfAProductApart(t *testing.T) {
	s := design()
	other := s.Images[0]
	other.Serial = "20261123-01"
	s.Images = append(s.Images, other)
	doc := parseJUnit(t, junitReport(t, s))
	one, two := doc.Suites[0].Cases[0].Classname, doc.Suites[1].Cases[0].Classname
	if one == two {
		t.Errorf("both are %s", one)
	}
}

func FuzzJUnitIsValid(f *testing.F) {
	f.Add(hostile)
	f.Add("]]>\ufffe\uffff\U0001ffff\x0b")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		sum := hostileGuest()
		image := &sum.Images[0]
		image.Product, image.Type, image.Remote, image.Reason, image.Failed = s, s, s, s, Stage(s)
		image.Diagnostics[0] = Diagnostic{s, s}
		c := &image.Checks[0]
		c.Name, c.Reason, c.Results[0].Output, c.Results[0].Actual = s, s, s, s
		doc := junitReport(t, sum)
		if err := checkJUnit(doc); err != nil {
			t.Errorf("%v in:\n%s", err, doc)
		}
		assertSafe(t, string(doc))
	})
}
