package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/upmaru/icepak/checks"
)

// NewPrometheus returns a Reporter that writes metrics of the run to w when it is
// over, in Prometheus's text format. Verbose adds one for each result.
func NewPrometheus(w io.Writer, verbose bool) Reporter {
	return textDocument(w, "Prometheus", func(s Summary) string {
		m := &metrics{seen: make(map[string]bool)}
		m.run(s)
		m.images(s.Images)
		m.checks(s.Images)
		if verbose {
			m.results(s.Images)
		}
		return m.String()
	})
}

// verdicts are all there are.
var verdicts = [...]checks.Verdict{checks.Pass, checks.Fail, checks.Error, checks.Skip}

// metrics is a text of metrics, each family in one piece, no series twice.
type metrics struct {
	strings.Builder
	seen map[string]bool
}

// family begins a family of metrics. All are gauges: they tell of one run, and the
// next one's may be lower.
func (m *metrics) family(name, help string) {
	fmt.Fprintf(m, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
}

// add adds a metric. Its labels are those of labels and of more.
func (m *metrics) add(name string, value float64, labels string, more ...string) {
	for _, l := range more {
		if labels != "" {
			labels += ","
		}
		labels += l
	}
	series := name
	if labels != "" {
		series += "{" + labels + "}"
	}
	if m.seen[series] {
		return // what is cut can be alike, and a series that is there twice makes the whole text invalid
	}
	m.seen[series] = true
	m.WriteString(series + " " + strconv.FormatFloat(value, 'f', -1, 64) + "\n")
}

// verdict adds a metric for each verdict, of which one is 1: what has changed is
// seen, and nothing of the last run stays behind.
func (m *metrics) verdict(name string, v checks.Verdict, labels string) {
	for _, each := range verdicts {
		value := 0.0
		if known(v) == each {
			value = 1
		}
		m.add(name, value, labels, promLabel("verdict", string(each)))
	}
}

func (m *metrics) run(s Summary) {
	m.family("icepak_info", "The icepak that ran.")
	m.add("icepak_info", 1, promLabel("version", s.Version))
	m.family("icepak_run_verdict", "1 for the run's verdict, 0 for the others.")
	m.verdict("icepak_run_verdict", s.Verdict, "")
	m.family("icepak_run_start_time_seconds", "When the run began, since 1970.")
	m.add("icepak_run_start_time_seconds", float64(s.Started.UnixMilli())/1000, "")
	m.family("icepak_run_duration_seconds", "How long the run took.")
	m.add("icepak_run_duration_seconds", float64(newSeconds(s.Duration)), "")
}

func (m *metrics) images(images []ImageResult) {
	m.family("icepak_image_verdict", "1 for the image's verdict, 0 for the others.")
	for _, image := range images {
		m.verdict("icepak_image_verdict", image.Verdict, imageLabels(image))
	}
	m.family("icepak_image_stage_duration_seconds", "How long a stage of the work on the image took.")
	for _, image := range images {
		labels := imageLabels(image)
		for _, st := range image.Stages {
			m.add("icepak_image_stage_duration_seconds", float64(newSeconds(st.Duration)), labels, promLabel("stage", string(st.Stage)))
		}
	}
}

func (m *metrics) checks(images []ImageResult) {
	each := func(name, help string, add func(name string, c CheckResult, labels string)) {
		m.family(name, help)
		for _, image := range images {
			labels := imageLabels(image)
			for _, c := range image.Checks {
				add(name, c, labels+","+promLabel("check", c.Name))
			}
		}
	}
	each("icepak_check_verdict", "1 for the check's verdict, 0 for the others.",
		func(name string, c CheckResult, labels string) { m.verdict(name, c.Verdict, labels) })
	each("icepak_check_duration_seconds", "How long the check took.",
		func(name string, c CheckResult, labels string) {
			m.add(name, float64(newSeconds(c.Duration)), labels)
		})
	each("icepak_check_results", "How many results of the check have the verdict.",
		func(name string, c CheckResult, labels string) {
			n := make(map[checks.Verdict]float64)
			for _, r := range c.Results {
				n[known(r.Verdict)]++
			}
			for _, v := range verdicts {
				m.add(name, n[v], labels, promLabel("verdict", string(v)))
			}
		})
}

func (m *metrics) results(images []ImageResult) {
	m.family("icepak_result_verdict", "1 for the result's verdict.")
	for _, image := range images {
		labels := imageLabels(image)
		for _, c := range image.Checks {
			check := promLabel("check", c.Name)
			for _, r := range c.Results {
				result := []string{check, promLabel("resource", r.Type), promLabel("id", r.ID),
					promLabel("property", r.Property), promLabel("verdict", string(known(r.Verdict)))}
				if when := knownMoment(r.When); when != "" {
					result = append(result, promLabel("when", string(when)))
				}
				m.add("icepak_result_verdict", 1, labels, result...)
			}
		}
	}
}

func imageLabels(r ImageResult) string {
	return strings.Join([]string{promLabel("product", r.Product), promLabel("serial", r.Serial),
		promLabel("type", r.Type), promLabel("remote", r.Remote)}, ",")
}

var labelEscape = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// promLabel is a label, its value on one line.
func promLabel(name, value string) string {
	return name + `="` + labelEscape.Replace(oneLine(value, lineLimit)) + `"`
}
