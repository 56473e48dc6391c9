package report

import (
	"fmt"
	"time"

	"github.com/fatih/color"

	"github.com/upmaru/icepak/checks"
)

// A style is how verdicts look: as signs or words, coloured or not.
type style struct {
	marks map[checks.Verdict]string
	// faults are marks with a word, for a line that does not begin with a name.
	faults map[checks.Verdict]string
	colors map[checks.Verdict]*color.Color
	bold   *color.Color
}

func newStyle(ascii, coloured bool) style {
	s := style{
		marks: map[checks.Verdict]string{
			checks.Pass: "✓", checks.Fail: "✗", checks.Error: "!", checks.Skip: "–",
		},
		faults: map[checks.Verdict]string{
			checks.Fail: "✗ failed", checks.Error: "! error",
		},
		colors: map[checks.Verdict]*color.Color{
			checks.Pass:  color.New(color.FgGreen),
			checks.Fail:  color.New(color.FgRed),
			checks.Error: color.New(color.FgYellow),
			checks.Skip:  color.New(color.Faint),
		},
		bold: color.New(color.Bold),
	}
	if ascii {
		s.marks = map[checks.Verdict]string{
			checks.Pass: "ok   ", checks.Fail: "FAIL ", checks.Error: "ERROR", checks.Skip: "skip ",
		}
		s.faults = map[checks.Verdict]string{checks.Fail: "FAIL ", checks.Error: "ERROR"}
	}
	set := (*color.Color).DisableColor
	if coloured {
		set = (*color.Color).EnableColor
	}
	set(s.bold)
	for _, c := range s.colors {
		set(c)
	}
	return s
}

func (s style) mark(v checks.Verdict) string { return s.paint(v, s.marks[known(v)]) }

func (s style) fault(v checks.Verdict) string { return s.paint(v, s.faults[known(v)]) }

func (s style) paint(v checks.Verdict, text string) string {
	return s.colors[known(v)].Sprint(text)
}

// known is v, or error where v is none of the verdicts.
func known(v checks.Verdict) checks.Verdict {
	switch v {
	case checks.Pass, checks.Fail, checks.Skip:
		return v
	}
	return checks.Error
}

// seconds shows a duration as people read it here: 4.1 s.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", max(0, d).Seconds()) }

// doing names a stage in a sentence: error while starting.
func doing(s Stage) string {
	switch s {
	case Fetch:
		return "fetching the image"
	case Create:
		return "creating the instance"
	case Start:
		return "starting"
	case ReadyFor:
		return "waiting until it is ready"
	case Evaluate:
		return "evaluating the checks"
	case Diagnose:
		return "collecting evidence"
	case Reboot:
		return "rebooting"
	case Delete:
		return "deleting the instance"
	case Post:
		return "posting the results"
	}
	return oneLine(string(s), 60)
}
