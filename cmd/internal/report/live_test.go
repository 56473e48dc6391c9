package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
)

// A screen is a terminal that knows what rewind writes.
type screen struct {
	lines  []string
	writes int
}

func (s *screen) Write(p []byte) (int, error) {
	s.writes++
	text := string(p)
	for text != "" {
		var up int
		if _, err := fmt.Sscanf(text, "\x1b[%dA\r\x1b[J", &up); err == nil {
			if up > len(s.lines) {
				return 0, fmt.Errorf("%d lines up of %d", up, len(s.lines))
			}
			s.lines = s.lines[:len(s.lines)-up]
			text = text[strings.Index(text, "J")+1:]
			continue
		}
		line, rest, ended := strings.Cut(text, "\n")
		if !ended || strings.Contains(line, "\x1b") {
			return 0, fmt.Errorf("not a line: %q", text)
		}
		s.lines = append(s.lines, line)
		text = rest
	}
	return len(p), nil
}

func (s *screen) String() string { return strings.Join(s.lines, "\n") }

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time          { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

// liveText returns a reporter whose lines are drawn only when the test says so.
func liveText(s *screen, c *clock, opts TextOptions) *text {
	opts.Terminal, opts.Now = true, c.Now
	t := newText(s, s, opts)
	close(t.redrawn)
	return t
}

func event(t *testing.T, r Reporter, events ...Event) {
	t.Helper()
	for _, e := range events {
		if err := r.Event(e); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *screen) want(t *testing.T, want ...string) {
	t.Helper()
	if got := s.String(); got != strings.Join(want, "\n") {
		t.Errorf("on the terminal:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestLiveLinesFollowTheWork(t *testing.T) {
	vm := debian
	vm.Type = "virtual-machine"
	var s screen
	c := &clock{started}
	r := liveText(&s, c, TextOptions{Width: 100})

	event(t, r, Event{Kind: ImageStarted, Image: &debian}, Event{Kind: StageStarted, Image: &debian, Stage: Fetch})
	c.advance(time.Second)
	event(t, r, Event{Kind: Progress, Image: &debian, Stage: Fetch, Percent: 45, Detail: "12 MB/s"})
	s.want(t, "debian:bookworm:amd64:default 20261122-01 container on rack1  fetch 45% 12 MB/s  1 s")

	c.advance(time.Second)
	event(t, r, Event{Kind: StageStarted, Image: &vm, Stage: Create})
	s.want(t,
		"debian:bookworm:amd64:default 20261122-01 container on rack1  fetch 45% 12 MB/s  2 s",
		"debian:bookworm:amd64:default 20261122-01 virtual-machine on rack1  create  0 s")

	c.advance(3 * time.Second)
	r.live.draw(c.now) // as the ticker does
	s.want(t,
		"debian:bookworm:amd64:default 20261122-01 container on rack1  fetch 45% 12 MB/s  5 s",
		"debian:bookworm:amd64:default 20261122-01 virtual-machine on rack1  create  3 s")

	c.advance(time.Second)
	event(t, r, Event{Kind: StageStarted, Image: &debian, Stage: Evaluate})
	c.advance(time.Second)
	event(t, r, Event{Kind: CheckStarted, Image: &debian, Check: "ipv6"})
	s.want(t,
		"debian:bookworm:amd64:default 20261122-01 container on rack1  checks ipv6  1 s",
		"debian:bookworm:amd64:default 20261122-01 virtual-machine on rack1  create  5 s")
}

func TestLiveLinesStayBelowResultsAndWarnings(t *testing.T) {
	vm := debian
	vm.Type = "virtual-machine"
	var s screen
	c := &clock{started}
	r := liveText(&s, c, TextOptions{Quiet: false})
	event(t, r, Event{Kind: StageStarted, Image: &debian, Stage: Start}, Event{Kind: StageStarted, Image: &vm, Stage: Start})
	c.advance(time.Second)
	event(t, r, Event{Kind: Warning, Detail: "rack1 is slow"})
	const live = "debian:bookworm:amd64:default 20261122-01 virtual-machine on rack1  start  1 s"
	s.want(t, "warning: rack1 is slow", "debian:bookworm:amd64:default 20261122-01 container on rack1  start  1 s", live)

	sum := design()
	sum.Images = append(sum.Images, allPassed().Images[0])
	sum.Images[1].Image = vm
	event(t, r, Event{Kind: ImageDone, Image: &debian, Done: &sum.Images[0]})
	if got := s.lines; got[0] != "warning: rack1 is slow" || got[len(got)-1] != live || strings.Count(s.String(), "  start") != 1 {
		t.Errorf("on the terminal:\n%s", &s)
	}
	if err := r.Close(sum); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.String(), live) || !strings.Contains(s.lines[len(s.lines)-1], "failed: 2 images") {
		t.Errorf("at the end:\n%s", &s)
	}
}

func TestLiveLinesAreDrawnTenTimesASecondAtMost(t *testing.T) {
	var s screen
	c := &clock{started}
	r := liveText(&s, c, TextOptions{})
	for i := range 1000 { // two seconds
		c.advance(2 * time.Millisecond)
		event(t, r, Event{Kind: Progress, Image: &debian, Stage: Fetch, Percent: i / 10, Detail: fmt.Sprint(i)})
	}
	if s.writes < 15 || s.writes > 21 {
		t.Errorf("drawn %d times in two seconds", s.writes)
	}
	before := s.writes
	c.advance(50*time.Second + 10*time.Millisecond)
	r.live.draw(c.now)
	c.advance(200 * time.Millisecond)
	r.live.draw(c.now) // nothing has changed
	if s.writes != before+1 {
		t.Errorf("drawn %d times, want once", s.writes-before)
	}
}

func TestLiveLinesFitTheTerminal(t *testing.T) {
	for _, width := range []int{1, 10, 20, 40, 79} {
		var s screen
		c := &clock{started}
		r := liveText(&s, c, TextOptions{Width: width})
		for i := range 40 {
			image := debian
			image.Product = fmt.Sprintf("世界%d%s", i, hostile)
			c.advance(time.Second)
			event(t, r, Event{Kind: Progress, Image: &image, Stage: Fetch, Percent: 50, Detail: hostile})
		}
		if len(s.lines) != liveRows {
			t.Errorf("%d lines, want %d", len(s.lines), liveRows)
		}
		for _, l := range s.lines[:liveRows-1] {
			if columns(l) >= width && l != "" {
				t.Errorf("%d columns of %d: %q", columns(l), width, l)
			}
		}
		assertSafe(t, s.String())
	}
}

func TestQuietHasNoLiveLines(t *testing.T) {
	var s screen
	r := newText(&s, &s, TextOptions{Terminal: true, Quiet: true})
	close(r.redrawn)
	event(t, r, Event{Kind: StageStarted, Image: &debian, Stage: Start})
	if err := r.Close(Summary{Verdict: checks.Pass}); err != nil {
		t.Fatal(err)
	}
	s.want(t)
}

func TestLiveLinesAreNeverMoreThanTheTerminalHas(t *testing.T) {
	for _, height := range []int{1, 3, 5, 50} {
		var s screen
		c := &clock{started}
		r := liveText(&s, c, TextOptions{Width: 80, Height: height})
		event(t, r, Event{Kind: Progress, Detail: "0 of 40 images done"})
		for i := range 40 {
			image := debian
			image.Product = fmt.Sprint("p", i)
			c.advance(time.Second)
			event(t, r, Event{Kind: StageStarted, Image: &image, Stage: Fetch})
		}
		if want := min(41, max(2, height-1)); len(s.lines) != want {
			t.Errorf("%d lines on a terminal of %d", len(s.lines), height)
		}
		if last := s.lines[len(s.lines)-1]; last != "0 of 40 images done" {
			t.Errorf("the last is %q", last)
		}
	}
}

func TestAnImageThatMovesLeavesItsLine(t *testing.T) {
	var s screen
	c := &clock{started}
	r := liveText(&s, c, TextOptions{Width: 100})
	event(t, r, Event{Kind: StageStarted, Image: &debian, Stage: Create})
	c.advance(time.Second)
	event(t, r, Event{Kind: Moved, Image: &debian, Detail: "rack1 is full"})
	elsewhere := debian
	elsewhere.Remote = "rack2"
	c.advance(time.Second)
	event(t, r, Event{Kind: StageStarted, Image: &elsewhere, Stage: Create})
	s.want(t, "warning: rack1 is full", "debian:bookworm:amd64:default 20261122-01 container on rack2  create  0 s")
}
