package report

import (
	"time"

	"github.com/upmaru/icepak/checks"
)

// eventsVersion counts up when a change of the lines would break a reader. The structs
// below are the lines; their fields are called as those of the JSON report.
const eventsVersion = 1

type lineHead struct {
	Event Kind     `json:"event"`
	Time  lineTime `json:"time"`
	Run   string   `json:"run,omitempty"`
	Image *Image   `json:"image,omitempty"`
}

// lineTime is a time in UTC, to the millisecond.
type lineTime time.Time

func (t lineTime) MarshalText() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"), nil
}

type lineStart struct {
	lineHead
	SchemaVersion int         `json:"schema_version"`
	Version       string      `json:"icepak_version"`
	Options       lineOptions `json:"options"`
	Cut           bool        `json:"cut,omitempty"`
}

type lineOptions struct {
	Products   []string    `json:"products"`
	All        bool        `json:"all"`
	Pending    bool        `json:"pending"`
	Serial     string      `json:"serial,omitempty"`
	Shard      string      `json:"shard,omitempty"`
	Types      []string    `json:"types"`
	Checks     []string    `json:"checks"`
	Promote    bool        `json:"promote"`
	Force      bool        `json:"force"`
	RequireGPU bool        `json:"require_gpu"`
	Remotes    []string    `json:"remotes"`
	Targets    []string    `json:"targets"`
	Parallel   int         `json:"parallel,omitempty"`
	FailFast   bool        `json:"fail_fast"`
	Order      string      `json:"order,omitempty"`
	Keep       string      `json:"keep"`
	Timeout    jsonSeconds `json:"timeout_s"`
}

func newLineStart(head lineHead, s RunStart) lineStart {
	return lineStart{head, eventsVersion, cleanText(s.Version), lineOptions{
		Products: cleanTexts(s.Products), All: s.All, Pending: s.Pending, Serial: cleanText(s.Serial), Shard: cleanText(s.Shard),
		Types: cleanTexts(s.Types), Checks: cleanTexts(s.Checks), Promote: s.Promote, Force: s.Force, RequireGPU: s.RequireGPU,
		Remotes: cleanTexts(s.Remotes), Targets: cleanTexts(s.Targets), Parallel: s.Parallel, FailFast: s.FailFast, Order: cleanText(s.Order),
		Keep: cleanText(s.Keep), Timeout: newSeconds(s.Timeout),
	}, false}
}

func (s lineStart) shortened() any {
	s.Options.Products, s.Options.Checks, s.Cut = []string{}, []string{}, true
	s.Options.Remotes, s.Options.Targets = []string{}, []string{}
	return s
}

type lineStage struct {
	lineHead
	Stage Stage `json:"stage"`
}

type lineProgress struct {
	lineStage
	Percent int    `json:"percent,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

type lineCheck struct {
	lineHead
	Check string `json:"check"`
}

type lineWarning struct {
	lineHead
	Detail string `json:"detail"`
}

type lineResult struct {
	lineCheck
	jsonResult
}

// newLineResult tells of a pass only that it is one, as most results are passes.
func newLineResult(head lineHead, check string, r checks.Result) lineResult {
	line := lineResult{lineCheck{head, cleanText(check)}, jsonResult{
		Type: cleanText(r.Type), ID: cleanText(r.ID), Property: cleanText(r.Property), Title: cleanText(r.Title),
		Verdict: known(r.Verdict), Duration: newSeconds(r.Duration), Source: cleanText(r.Source), When: knownMoment(r.When),
	}}
	if line.Verdict != checks.Pass {
		line.Expected, line.Actual = cleanValue(r.Expected), cleanValue(r.Actual)
		line.Message, line.Output = cleanText(r.Message), cleanText(r.Output)
	}
	return line
}

type lineChecked struct {
	lineCheck
	jsonVerdict
}

type lineCheckDone struct {
	Name string `json:"name"`
	jsonVerdict
}

// newLineVerdict is a check's, whose results were told of before.
func newLineVerdict(c CheckResult) jsonVerdict {
	return jsonVerdict{
		Title: cleanText(c.Title), Source: cleanText(c.Source),
		Verdict: known(c.Verdict), Reason: cleanText(c.Reason), Passed: c.Passed, Total: c.Total,
		Duration: newSeconds(c.Duration), Earlier: c.Earlier, Posted: cleanText(c.Posted), Causes: causeLines(c.Causes),
	}
}

type lineDone struct {
	lineHead
	Verdict   checks.Verdict  `json:"verdict"`
	Reason    string          `json:"reason,omitempty"`
	Failed    Stage           `json:"failed_stage,omitempty"`
	Causes    []string        `json:"causes,omitempty"`
	Checks    []lineCheckDone `json:"checks"`
	Stages    []jsonStage     `json:"stages"`
	Kept      string          `json:"kept,omitempty"`
	Promotion string          `json:"promotion,omitempty"`
	Artifacts string          `json:"artifacts,omitempty"`
	Cut       bool            `json:"cut,omitempty"`
}

func newLineDone(head lineHead, r ImageResult) lineDone {
	line := lineDone{
		lineHead: head, Verdict: known(r.Verdict), Reason: cleanText(r.Reason), Failed: Stage(cleanText(string(r.Failed))),
		Causes: causeLines(r.Causes), Checks: []lineCheckDone{}, Stages: []jsonStage{},
		Kept: cleanText(r.Kept), Promotion: cleanText(r.Promotion), Artifacts: cleanText(r.Artifacts),
	}
	for _, c := range r.Checks {
		line.Checks = append(line.Checks, lineCheckDone{cleanText(c.Name), newLineVerdict(c)})
	}
	for _, st := range r.Stages {
		line.Stages = append(line.Stages, jsonStage{Stage(cleanText(string(st.Stage))), newSeconds(st.Duration)})
	}
	return line
}

func (d lineDone) shortened() any {
	d.Checks, d.Cut = []lineCheckDone{}, true
	return d
}

type lineSummary struct {
	lineHead
	Version  string         `json:"icepak_version"`
	Verdict  checks.Verdict `json:"verdict"`
	Started  lineTime       `json:"started"`
	Duration jsonSeconds    `json:"duration_s"`
	Totals   jsonTotals     `json:"totals"`
}

func newLineSummary(head lineHead, s Summary) lineSummary {
	return lineSummary{
		head, cleanText(s.Version), known(s.Verdict), lineTime(s.Started), newSeconds(s.Duration), jsonTotals(Totals(s)),
	}
}
