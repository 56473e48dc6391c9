package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/upmaru/icepak/checks"
)

// TextOptions say how a run is shown to people. The zero value is plain UTF-8
// text for a file or a pipe.
type TextOptions struct {
	Color    bool // results are coloured
	Terminal bool // progress is a terminal: its last lines are redrawn
	ASCII    bool // ok, FAIL, ERROR and skip for ✓ ✗ ! –; nothing outside ASCII
	Quiet    bool // only what failed
	Verbose  bool // every result
	Width    int  // the terminal's columns; 80 where zero
	Height   int  // its lines; zero where they are not known
	Now      func() time.Time
}

// NewText returns a Reporter for people. An image's results go to out when it
// is done, and at last a line that sums up the run; warnings and what is being
// worked on go to progress. The two may be the same terminal.
func NewText(out, progress io.Writer, opts TextOptions) Reporter {
	t := newText(out, progress, opts)
	if t.live != nil {
		go t.redraw()
	} else {
		close(t.redrawn)
	}
	return t
}

// text is a Reporter whose live lines, if any, are drawn at events only.
type text struct {
	opts          TextOptions
	style         style
	out, progress *stream
	printed       map[imageKey]checks.Verdict
	warned        map[string]bool
	blocks        int // printed, to be kept apart by a blank line

	mu      sync.Mutex // redraw has a goroutine of its own
	live    *live      // nil where nothing is drawn
	stop    chan struct{}
	redrawn chan struct{} // closed when redraw has ended
}

func newText(out, progress io.Writer, opts TextOptions) *text {
	if opts.Width <= 0 {
		opts.Width = 80
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	columns := opts.Width
	if opts.ASCII {
		out, progress = asciiWriter{out}, asciiWriter{progress}
		columns -= 4 // an ellipsis is three dots, and there are two at most
	}
	t := &text{
		opts:     opts,
		style:    newStyle(opts.ASCII, opts.Color),
		out:      &stream{w: out, name: "results"},
		progress: &stream{w: progress, name: "progress"},
		printed:  make(map[imageKey]checks.Verdict),
		warned:   make(map[string]bool),
		stop:     make(chan struct{}),
		redrawn:  make(chan struct{}),
	}
	if opts.Terminal && !opts.Quiet {
		t.live = &live{print: t.progress.print, width: columns, most: liveRows}
		if opts.Height > 0 {
			t.live.most = max(2, opts.Height-1) // the cursor has a line too
		}
	}
	return t
}

// redraw keeps the live lines' seconds going while nothing happens.
func (t *text) redraw() {
	defer close(t.redrawn)
	ticker := time.NewTicker(liveInterval)
	defer ticker.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-ticker.C:
			t.mu.Lock()
			t.live.draw(t.opts.Now())
			t.mu.Unlock()
		}
	}
}

func (t *text) Event(e Event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Kind {
	case Warning:
		t.warn(e.Image, e.Detail)
	case Moved:
		if t.live != nil && e.Image != nil {
			t.live.remove(*e.Image)
		}
		t.warn(nil, e.Detail)
	case ImageDone:
		if e.Done == nil {
			break
		}
		if t.live != nil {
			t.live.remove(e.Done.Image)
			if e.Image != nil {
				t.live.remove(*e.Image)
			}
		}
		t.image(*e.Done)
	default:
		switch {
		case e.Image != nil && !t.opts.Quiet:
			t.work(*e.Image, e)
		case e.Kind == Progress && t.live != nil:
			t.live.total = oneLine(e.Detail, lineLimit)
		}
	}
	if t.live != nil {
		t.live.draw(t.opts.Now())
	}
	return t.failed()
}

// work tells what is being done with an image.
func (t *text) work(image Image, e Event) {
	if t.live == nil {
		if e.Kind == StageStarted {
			t.progress.print(oneLine(image.String(), lineLimit) + ": " + oneLine(string(e.Stage), nameLimit) + "\n")
		}
		return
	}
	now := t.opts.Now()
	switch e.Kind {
	case ImageStarted:
		t.live.update(image, "", "", now)
	case StageStarted:
		t.live.update(image, e.Stage, "", now)
	case Progress:
		detail := e.Detail
		if e.Percent > 0 {
			detail = fmt.Sprintf("%d%% %s", e.Percent, detail)
		}
		t.live.update(image, e.Stage, detail, now)
	case CheckStarted:
		t.live.update(image, Evaluate, e.Check, now)
	}
}

func (t *text) warn(image *Image, detail string) {
	s := oneLine(detail, lineLimit)
	if t.warned[s] && image == nil {
		return
	}
	t.warned[s] = true
	if image != nil {
		s = oneLine(image.String(), lineLimit) + ": " + s
	}
	t.erase()
	t.progress.print("warning: " + s + "\n")
}

// image prints an image's results, and later on only what spoilt them, such as a
// promotion that was refused.
func (t *text) image(r ImageResult) {
	before, printed := t.printed[r.key()]
	if printed && (before == r.Verdict || !faulty(r.Verdict)) {
		return
	}
	t.printed[r.key()] = r.Verdict
	if printed {
		r = ImageResult{Image: r.Image, Verdict: r.Verdict, Reason: r.Reason, Failed: r.Failed}
	}
	t.block(imageBlock(r, t.opts, t.style))
}

// block prints text that is kept apart from what is before it.
func (t *text) block(s string) {
	if s == "" {
		return
	}
	t.erase()
	if t.blocks > 0 {
		s = "\n" + s
	}
	t.blocks++
	t.out.print(s)
}

func (t *text) erase() {
	if t.live != nil {
		t.live.erase()
	}
}

func (t *text) Close(s Summary) error {
	close(t.stop)
	<-t.redrawn
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	for _, w := range s.Warnings {
		t.warn(nil, w)
	}
	for _, image := range s.Images {
		t.image(image)
	}
	t.block(summaryBlock(s, t.opts, t.style))
	return t.failed()
}

// failed is the first error of each stream.
func (t *text) failed() error { return errors.Join(t.out.err, t.progress.err) }

// A stream is written to until that fails.
type stream struct {
	w    io.Writer
	name string
	err  error
}

func (s *stream) print(text string) {
	if s.err != nil {
		return
	}
	if _, err := io.WriteString(s.w, text); err != nil {
		s.err = fmt.Errorf("writing %s: %w", s.name, err)
	}
}

// summaryBlock is the run's last lines: versions that were not promoted for a
// reason that no image of theirs shows, and the numbers.
func summaryBlock(s Summary, opts TextOptions, look style) string {
	var b strings.Builder
	for _, p := range promotions(s) {
		if !p.done && !p.told {
			fmt.Fprintf(&b, "not promoted: %s: %s\n", oneLine(p.version, lineLimit),
				oneLine(strings.TrimPrefix(p.why, notPromotedPrefix), lineLimit))
		}
	}
	if opts.Quiet && !faulty(s.Verdict) && !slices.ContainsFunc(s.Images, untested) {
		return b.String()
	}
	for _, r := range byRemote(s) {
		fmt.Fprintf(&b, "%s: %s: %s\n", oneLine(r.name, nameLimit), plural(r.images.Total, "image"), strings.Join(r.images.words(), ", "))
	}
	b.WriteString(look.paint(s.Verdict, runWord(s)) + ": " + numbers(s) + "\n")
	return b.String()
}

// runWord is a run's verdict in a word.
func runWord(s Summary) string {
	if s.Verdict == checks.Skip && Totals(s).Images.Passed > 0 {
		return "incomplete"
	}
	return outcomeWord(s.Verdict)
}

func outcomeWord(v checks.Verdict) string {
	switch known(v) {
	case checks.Pass:
		return "passed"
	case checks.Fail:
		return "failed"
	case checks.Skip:
		return "nothing done"
	}
	return "error"
}

// numbers says what a run comes to: 1 image, 4 checks: 2 passed, 1 failed, 1
// skipped, in 11.2 s; not promoted.
func numbers(s Summary) string {
	t := Totals(s)
	var parts []string
	images := plural(t.Images.Total, "image")
	if t.Images.Total > 1 && t.Images.Passed < t.Images.Total {
		t.Images.Earlier = 0 // a detail too many here
		images += " (" + strings.Join(t.Images.words(), ", ") + ")"
	}
	parts = append(parts, images)
	if t.Checks.Total > 0 {
		words := t.Checks.words()
		parts = append(parts, plural(t.Checks.Total, "check")+": "+strings.Join(words, ", "))
	}
	line := strings.Join(append(parts, "in "+seconds(s.Duration)), ", ")
	switch {
	case t.Promotions == 0:
		return line
	case t.Promoted == t.Promotions:
		return line + "; promoted"
	case t.Promoted == 0:
		return line + "; not promoted"
	}
	return fmt.Sprintf("%s; %d of %d promoted", line, t.Promoted, t.Promotions)
}

// words lists what there is of each verdict.
func (c Count) words() []string {
	var words []string
	add := func(n int, word string) {
		if n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, word))
		}
	}
	switch c.Earlier {
	case 0:
		add(c.Passed, "passed")
	case c.Passed:
		add(c.Passed, "passed earlier")
	default:
		add(c.Passed, fmt.Sprintf("passed (%d earlier)", c.Earlier))
	}
	add(c.Failed, "failed")
	if c.Errors > 0 {
		words = append(words, plural(c.Errors, "error"))
	}
	add(c.Skipped, "skipped")
	return words
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
