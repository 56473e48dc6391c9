package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/upmaru/icepak/checks"
)

// ParseJSON reads a JSON report, which may come from anywhere, as what NewJSON made
// it of. Fields that are not known are left out: a newer icepak may write them.
// Texts are as hostile as the guest that they came from.
func ParseJSON(data []byte) (Summary, error) {
	var run jsonRun
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // a value is shown as it was written
	if err := d.Decode(&run); err != nil {
		return Summary{}, fmt.Errorf("reading the JSON report: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Summary{}, errors.New("reading the JSON report: something follows it")
	}
	if run.SchemaVersion != schemaVersion {
		return Summary{}, fmt.Errorf("reading the JSON report: its schema_version is %d, and only %d is known", run.SchemaVersion, schemaVersion)
	}
	s := Summary{
		Verdict: known(run.Verdict), Started: run.Started, Duration: run.Duration.duration(),
		Warnings: run.Warnings, Version: run.Version,
	}
	for _, image := range run.Images {
		s.Images = append(s.Images, image.result())
	}
	return s, nil
}

func (i jsonImage) result() ImageResult {
	r := ImageResult{
		Image: i.Image, Verdict: known(i.Verdict), Reason: i.Reason, Failed: i.Failed,
		Kept: i.Kept, Run: i.Run, Promotion: i.Promotion, Causes: i.Causes, Artifacts: i.Artifacts,
	}
	for _, c := range i.Checks {
		r.Checks = append(r.Checks, c.result())
	}
	for _, st := range i.Stages {
		r.Stages = append(r.Stages, StageTime{st.Stage, st.Duration.duration()})
	}
	for _, d := range i.Diagnostics {
		r.Diagnostics = append(r.Diagnostics, Diagnostic(d))
	}
	return r
}

func (c jsonCheck) result() CheckResult {
	r := CheckResult{
		Name: c.Name, Title: c.Title, Source: c.Source, Earlier: c.Earlier, Posted: c.Posted, Causes: c.Causes,
		Outcome: checks.Outcome{Verdict: known(c.Verdict), Reason: c.Reason, Passed: c.Passed, Total: c.Total, Duration: c.Duration.duration()},
	}
	for _, one := range c.Results {
		r.Results = append(r.Results, checks.Result{
			Type: one.Type, ID: one.ID, Property: one.Property, Title: one.Title, Verdict: known(one.Verdict),
			Expected: one.Expected, Actual: one.Actual, Message: one.Message, Output: one.Output,
			Duration: one.Duration.duration(), Source: one.Source, When: knownMoment(one.When),
		})
	}
	return r
}

// duration is newSeconds backwards. What cannot be a duration is none.
func (s jsonSeconds) duration() time.Duration {
	ns := math.Round(float64(s)*1000) * float64(time.Millisecond)
	if !(ns >= 0 && ns < math.MaxInt64) {
		return 0
	}
	return time.Duration(ns)
}
