package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	liveInterval = 100 * time.Millisecond // at least, between two frames
	liveRows     = 16                     // of a terminal whose height is not known: a frame must not be higher
)

// A live display shows what is being worked on, a line an image, at the
// terminal's last lines. It is erased before anything else is printed.
type live struct {
	print func(string)
	width int    // the terminal's columns
	most  int    // lines of a frame
	total string // how far the whole run has come, or empty
	rows  []*liveRow
	shown []string  // the frame on the terminal
	drawn time.Time // when it was last drawn or erased
}

type liveRow struct {
	key    imageKey
	name   string
	stage  Stage
	detail string
	since  time.Time // the stage's start
}

// update notes an image's stage and what is known of it.
func (l *live) update(image Image, stage Stage, detail string, now time.Time) {
	key := image.key()
	i := slices.IndexFunc(l.rows, func(r *liveRow) bool { return r.key == key })
	if i < 0 {
		i = len(l.rows)
		l.rows = append(l.rows, &liveRow{key: key, since: now})
	}
	r := l.rows[i]
	r.name = oneLine(image.String(), lineLimit)
	if stage != "" && stage != r.stage {
		r.stage, r.since = stage, now
	}
	r.detail = oneLine(detail, lineLimit)
}

// remove forgets an image.
func (l *live) remove(image Image) {
	key := image.key()
	l.rows = slices.DeleteFunc(l.rows, func(r *liveRow) bool { return r.key == key })
}

// draw brings the terminal up to date, unless that was done just now or nothing
// has changed.
func (l *live) draw(now time.Time) {
	if now.Sub(l.drawn) < liveInterval {
		return
	}
	frame := l.frame(now)
	if slices.Equal(frame, l.shown) {
		return
	}
	text := rewind(len(l.shown))
	if len(frame) > 0 {
		text += strings.Join(frame, "\n") + "\n"
	}
	l.shown, l.drawn = frame, now
	l.print(text)
}

// erase takes the frame off the terminal.
func (l *live) erase() {
	if len(l.shown) == 0 {
		return
	}
	text := rewind(len(l.shown))
	l.shown, l.drawn = nil, time.Time{}
	l.print(text)
}

// rewind moves the cursor up n lines and clears what is below it.
func rewind(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("\x1b[%dA\r\x1b[J", n)
}

func (l *live) frame(now time.Time) (frame []string) {
	most := l.most
	if l.total != "" && len(l.rows) > 0 {
		most--
		defer func() { frame = append(frame, fit(l.total, l.width-1)) }()
	}
	for i, r := range l.rows {
		if i == most-1 && len(l.rows) > most {
			frame = append(frame, fmt.Sprintf("… %d more", len(l.rows)-i))
			break
		}
		frame = append(frame, r.line(l.width-1, now))
	}
	return frame
}

// line is the row in at most width columns, so that the terminal does not wrap
// it. The name is shortened first, for the rest is what changes.
func (r *liveRow) line(width int, now time.Time) string {
	state := string(r.stage)
	if r.detail != "" {
		state = strings.TrimSpace(state + " " + r.detail)
	}
	state = fmt.Sprintf("  %s  %.0f s", state, now.Sub(r.since).Truncate(time.Second).Seconds())
	state = fit(state, width)
	return fit(r.name, width-columns(state)) + state
}

// fit shortens s to at most width columns.
func fit(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	if width <= 0 {
		return ""
	}
	used := 0
	for i, r := range s {
		used += runeColumns(r)
		if used > width-1 {
			return s[:i] + "…"
		}
	}
	return s
}

func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns is how many columns a character takes at most.
func runeColumns(r rune) int {
	if r < utf8.RuneSelf || r < 0x1100 || r == '…' {
		return 1
	}
	return 2
}
