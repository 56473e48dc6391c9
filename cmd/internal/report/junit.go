package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/upmaru/icepak/checks"
)

// NewJUnit returns a Reporter that writes one JUnit XML document to w when the
// run is over. An image is a suite and a check a case. The document keeps to
// what both common schemas, Ant's and Jenkins's, allow.
func NewJUnit(w io.Writer) Reporter {
	return &document{w, "JUnit", func(s Summary) ([]byte, error) {
		data, err := xml.MarshalIndent(newJUnit(s), "", "  ")
		// Line ends in texts may stand for themselves; attributes have none.
		doc := strings.ReplaceAll(string(data), "&#xA;", "\n")
		return []byte(xml.Header + doc + "\n"), err
	}}
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

// A junitSuite has its elements in the order, and all the attributes, that
// Ant's schema wants.
type junitSuite struct {
	ID         int             `xml:"id,attr"`
	Name       string          `xml:"name,attr"`
	Package    string          `xml:"package,attr"`
	Hostname   string          `xml:"hostname,attr"`
	Timestamp  string          `xml:"timestamp,attr"` // UTC, without its zone
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
	Out        string          `xml:"system-out"`
	Err        string          `xml:"system-err"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	Classname string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	Skipped   *junitSkipped `xml:"skipped"`
	Error     *junitFault   `xml:"error"`
	Failure   *junitFault   `xml:"failure"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

type junitFault struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func newJUnit(s Summary) junitSuites {
	classes := make(map[string]int)
	for _, image := range s.Images {
		classes[classname(image.Image)]++
	}
	var doc junitSuites
	for i, image := range s.Images {
		class := classname(image.Image)
		if classes[class] > 1 { // or the one would hide the other
			class += " " + oneLine(image.Serial, lineLimit)
		}
		suite := newJUnitSuite(image, s, class)
		suite.ID = i
		doc.Suites = append(doc.Suites, suite)
	}
	return doc
}

// classname is the same for every version of a product, so that a CI system
// follows a check from build to build. What is before the last dot is shown as
// the package.
func classname(i Image) string {
	name := i.Product + "." + i.Type
	if i.Remote != "" {
		name += "@" + strings.ReplaceAll(i.Remote, ".", "_")
	}
	return oneLine(name, lineLimit)
}

func newJUnitSuite(r ImageResult, s Summary, class string) junitSuite {
	suite := junitSuite{
		Name:      token(r.String(), "image"),
		Package:   "icepak",
		Hostname:  token(r.Remote, "localhost"),
		Timestamp: s.Started.UTC().Format("2006-01-02T15:04:05"),
	}
	for _, p := range []junitProperty{
		{"icepak", s.Version}, {"product", r.Product}, {"serial", r.Serial}, {"type", r.Type},
		{"remote", r.Remote}, {"fingerprint", r.Fingerprint}, {"spec", r.Spec}, {"promotion", r.Promotion},
	} {
		if p.Value != "" {
			suite.Properties = append(suite.Properties, junitProperty{p.Name, oneLine(p.Value, lineLimit)})
		}
	}
	for _, c := range r.Checks {
		suite.add(newJUnitCase(c, r, class), known(c.Verdict))
	}
	if faulty(r.Verdict) && !faultyCheck(r.Checks) {
		suite.add(imageCase(r, class), known(r.Verdict))
	}
	suite.Time = junitSeconds(r.duration())
	// A block's text is the image's results as people read them: what failed is
	// in it, with its evidence.
	suite.Out = "\n" + imageBlock(r, TextOptions{Width: 80, ASCII: true}, newStyle(true, false))
	return suite
}

// add adds a case and counts it.
func (s *junitSuite) add(c junitCase, v checks.Verdict) {
	s.Tests++
	switch v {
	case checks.Fail:
		s.Failures++
	case checks.Error:
		s.Errors++
	case checks.Skip:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func newJUnitCase(c CheckResult, image ImageResult, class string) junitCase {
	jc := junitCase{Name: token(c.Name, "check"), Classname: class, Time: junitSeconds(c.Duration)}
	fault := &junitFault{Message: fmt.Sprintf("%d of %d", c.Passed, c.Total), Text: whyText(c.Causes) + failures(c, verboseLimit, verboseLimit)}
	switch {
	case c.Total == 0:
		fault.Message = token(c.Reason, token(image.Reason, "not evaluated"))
	case c.Reason != "":
		fault.Message += ": " + oneLine(c.Reason, lineLimit)
	default:
		fault.Message += firstFault(c.Results)
	}
	jc.set(c.Verdict, fault)
	return jc
}

// imageCase stands for an image whose checks do not say what was wrong. It is
// named after the stage that ended it.
func imageCase(r ImageResult, class string) junitCase {
	jc := junitCase{Name: token(string(r.Failed), "image"), Classname: class, Time: junitSeconds(0)}
	for _, st := range r.Stages {
		if st.Stage == r.Failed {
			jc.Time = junitSeconds(st.Duration)
		}
	}
	jc.set(r.Verdict, &junitFault{Message: token(r.Reason, "no reason is known"), Text: whyText(r.Causes)})
	return jc
}

func (c *junitCase) set(v checks.Verdict, fault *junitFault) {
	fault.Type = string(known(v))
	switch known(v) {
	case checks.Fail:
		c.Failure = fault
	case checks.Error:
		c.Error = fault
	case checks.Skip:
		c.Skipped = &junitSkipped{Message: fault.Message}
	}
}

// firstFault names the first result that did not pass, and why.
func firstFault(list []checks.Result) string {
	for _, r := range list {
		if !faulty(r.Verdict) {
			continue
		}
		s := ": " + label(r)
		if m := oneLine(r.Message, lineLimit); m != "" {
			s += ": " + m
		}
		return s
	}
	return ""
}

// token is s as the attribute of a name, which must not be empty.
func token(s, otherwise string) string {
	if s = oneLine(s, lineLimit); s == "" {
		return oneLine(otherwise, lineLimit)
	}
	return s
}

// junitSeconds is a plain decimal, which is what the schemas allow.
func junitSeconds(d time.Duration) string {
	return strconv.FormatFloat(max(0, d).Seconds(), 'f', 3, 64)
}
