package runner

import (
	"slices"
	"time"

	"github.com/upmaru/icepak/cmd/internal/report"
)

// A Watch tells of a job's stages and measures them.
type Watch struct {
	image  report.Image
	began  time.Time
	tell   func(report.Event)
	stages []report.StageTime // each once, in the order in which they began
	now    report.Stage       // the one under way, or the last one
	since  time.Time          // when it began, while it goes on

	fetching func(fingerprint string) // see Fetching; nil: nobody asks
}

func newWatch(tell func(report.Event), image report.Image) *Watch {
	return &Watch{image: image, began: time.Now(), tell: tell}
}

// Begin ends the stage under way and begins another, or goes on with one that was
// interrupted: a server creates an instance, fetches the image, and creates on.
func (w *Watch) Begin(s report.Stage) {
	if w.now == s && !w.since.IsZero() {
		return
	}
	w.end()
	w.now, w.since = s, time.Now()
	if w.index(s) < 0 {
		w.stages = append(w.stages, report.StageTime{Stage: s})
	}
	w.emit(report.Event{Kind: report.StageStarted, Stage: s})
}

func (w *Watch) index(s report.Stage) int {
	return slices.IndexFunc(w.stages, func(t report.StageTime) bool { return t.Stage == s })
}

// Fetching tells that the server does not have the image, and is about to get it.
func (w *Watch) Fetching(fingerprint string) {
	if w.fetching != nil {
		w.fetching(fingerprint)
	}
}

// Progress tells how far the stage under way has come; percent may be zero.
func (w *Watch) Progress(percent int, detail string) {
	w.emit(report.Event{Kind: report.Progress, Stage: w.now, Percent: percent, Detail: detail})
}

// Warn tells of something that people should look at and that decides nothing.
func (w *Watch) Warn(detail string) {
	w.emit(report.Event{Kind: report.Warning, Detail: detail})
}

func (w *Watch) end() {
	if !w.since.IsZero() {
		w.stages[w.index(w.now)].Duration += time.Since(w.since)
		w.since = time.Time{}
	}
}

// stop ends the last stage and returns all of them.
func (w *Watch) stop() []report.StageTime {
	w.end()
	return w.stages
}

func (w *Watch) emit(e report.Event) {
	e.Time = time.Now()
	e.Image = &w.image
	w.tell(e)
}
