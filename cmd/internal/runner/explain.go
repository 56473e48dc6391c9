package runner

import (
	"context"
	"slices"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/causes"
	"github.com/upmaru/icepak/cmd/internal/collect"
	"github.com/upmaru/icepak/cmd/internal/probe"
	"github.com/upmaru/icepak/cmd/internal/report"
)

const (
	// askTime is how long a guest is asked for evidence: what the probe takes at
	// the most, and a slow server.
	askTime = 20 * time.Second
	// maxCited bounds the text of each piece of evidence that a report shows, in bytes.
	maxCited = 8 << 10
	// maxPieces bounds what a guest may send.
	maxPieces = 200
	maxText   = 2 << 20
)

// explain gathers the evidence of a failure before the guest is gone, and notes
// the causes that it tells. alive says that the guest may still answer.
func explain(ctx context.Context, guest Guest, job Job, res *report.ImageResult, alive bool, w *Watch) {
	pieces := append(res.Evidence, guest.Diagnose(ctx, w)...)
	if _, here := guest.(Local); !here && alive {
		pieces = append(pieces, ask(ctx, guest, job, res.Checks)...)
	}
	for i := range pieces {
		pieces[i].Text = collect.Redact(pieces[i].Text)
	}
	res.Evidence = pieces
	cited := Causes(res)
	res.Diagnostics = nil
	for _, p := range pieces {
		if p.Name == "console" || p.Name == "lxc.log" || slices.Contains(cited, p.Name) {
			res.Diagnostics = append(res.Diagnostics, report.Diagnostic{Name: p.Name, Text: collect.End(p.Text, maxCited)})
		}
	}
}

// Causes notes what the evidence of the result says of why its checks failed, and
// returns the names of the pieces that say so.
func Causes(res *report.ImageResult) (cited []string) {
	texts := map[string]string{}
	for _, p := range res.Evidence {
		texts[p.Name] = p.Text
	}
	note := func(found []causes.Finding) (lines []string) {
		for _, f := range found {
			lines = append(lines, f.Text)
			cited = append(cited, f.Piece)
		}
		return lines
	}
	for i := range res.Checks {
		if c := &res.Checks[i]; c.Verdict == checks.Fail && len(c.Results) > 0 {
			c.Causes = note(causes.OfCheck(c.Results, texts))
		}
	}
	if res.Verdict == checks.Fail && res.Reason != "" {
		res.Causes = note(causes.OfImage(texts))
	}
	return cited
}

// ask has the guest's probe gather evidence. A guest that does not answer any more
// gives none.
func ask(ctx context.Context, guest Guest, job Job, results []report.CheckResult) []report.Diagnostic {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	want := collect.Wanted{Kernel: job.Image.Type == "virtual-machine"}
	for _, c := range results {
		for _, r := range c.Results {
			if r.Type == "service" && r.Verdict != checks.Pass && !slices.Contains(want.Services, r.ID) {
				want.Services = append(want.Services, r.ID)
			}
		}
	}
	var pieces []report.Diagnostic
	size := 0
	// The error says again what the checks' verdicts have said, or that there is less
	// evidence than there could be.
	_ = attempt(ctx, guest, checks.HostFacts{Time: time.Now()}, conversation{
		plan: func() probe.Plan { return probe.Plan{Collect: &want} },
		event: func(e probe.Event) {
			if size += len(e.Detail); e.Kind == probe.Evidence && len(pieces) < maxPieces && size <= maxText {
				pieces = append(pieces, report.Diagnostic{Name: e.Check, Text: e.Detail})
			}
		},
	})
	return pieces
}
