package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// NewJSONLines returns a Reporter that writes each event to w as it comes: a JSON
// object on a line of its own, in one Write, which docs/events.schema.json describes.
// The last one is the summary; a stream that ends without it was cut. now is the time
// of what is told at last; nil is time.Now.
func NewJSONLines(w io.Writer, now func() time.Time) Reporter {
	if now == nil {
		now = time.Now
	}
	return &jsonLines{
		out: stream{w: w, name: "the JSON lines report"}, now: now,
		progress: make(map[imageKey]progressed),
		done:     make(map[imageKey][sha256.Size]byte),
		warned:   make(map[string]bool),
	}
}

type jsonLines struct {
	out      stream
	now      func() time.Time
	run      string // its id
	progress map[imageKey]progressed
	done     map[imageKey][sha256.Size]byte // of what was told last of each, but for the time
	warned   map[string]bool
}

// A progressed is what was told last of how far an image has come.
type progressed struct {
	stage   Stage
	percent int
	at      time.Time
}

// progressInterval is at least between two events that tell how far a stage has come.
const progressInterval = time.Second

func (l *jsonLines) Event(e Event) error {
	if e.Time.IsZero() {
		e.Time = l.now()
	}
	if e.Kind == RunStarted && e.Run != nil {
		l.run = cleanText(e.Run.ID)
	}
	head := l.head(e.Kind, e.Time, e.Image)
	switch e.Kind {
	case RunStarted:
		if e.Run != nil {
			l.print(newLineStart(head, *e.Run))
		}
	case ImageStarted:
		l.print(head)
	case StageStarted:
		l.print(lineStage{head, Stage(cleanText(string(e.Stage)))})
	case Progress:
		if e.Image != nil { // how far the run has come shows in its images
			l.tellProgress(head, e)
		}
	case CheckStarted:
		l.print(lineCheck{head, cleanText(e.Check)})
	case ResultFound:
		if e.Result != nil {
			l.print(newLineResult(head, e.Check, *e.Result))
		}
	case CheckDone:
		if e.Checked != nil {
			l.print(lineChecked{lineCheck{head, cleanText(e.Checked.Name)}, newLineVerdict(*e.Checked)})
		}
	case Warning:
		if e.Image == nil {
			l.warned[e.Detail] = true
		}
		l.print(lineWarning{head, cleanText(e.Detail)})
	case Moved:
		l.print(lineWarning{head, cleanText(e.Detail)})
	case ImageDone:
		if e.Done != nil {
			l.tellDone(e.Time, *e.Done)
		}
	}
	return l.out.err
}

// tellProgress tells of progress seldom: a download has hundreds of events.
func (l *jsonLines) tellProgress(head lineHead, e Event) {
	key := e.Image.key()
	last, told := l.progress[key]
	early := e.Time.Before(last.at.Add(progressInterval)) && (e.Percent < 100 || last.percent >= 100)
	if told && last.stage == e.Stage && early {
		return
	}
	l.progress[key] = progressed{e.Stage, e.Percent, e.Time}
	l.print(lineProgress{lineStage{head, Stage(cleanText(string(e.Stage)))}, min(max(0, e.Percent), 100), cleanText(e.Detail)})
}

// tellDone tells what came of an image, unless just that was told already.
func (l *jsonLines) tellDone(at time.Time, r ImageResult) {
	key := r.key()
	delete(l.progress, key)
	line := newLineDone(l.head(ImageDone, time.Time{}, &r.Image), r)
	sum := sha256.Sum256(l.encode(line))
	if l.done[key] == sum {
		return
	}
	l.done[key] = sum
	line.lineHead = l.head(ImageDone, at, &r.Image)
	l.print(line)
}

// Close tells what was found out after the images were done, such as what became of
// their promotion, and the summary.
func (l *jsonLines) Close(s Summary) error {
	at := l.now()
	for _, w := range s.Warnings {
		if !l.warned[w] {
			l.print(lineWarning{l.head(Warning, at, nil), cleanText(w)})
		}
	}
	for _, image := range s.Images {
		l.tellDone(at, image)
	}
	l.print(newLineSummary(l.head("summary", at, nil), s))
	return l.out.err
}

func (l *jsonLines) head(kind Kind, at time.Time, image *Image) lineHead {
	h := lineHead{Event: kind, Time: lineTime(at), Run: l.run}
	if image != nil {
		h.Image = &Image{
			Product: cleanText(image.Product), Serial: cleanText(image.Serial), Type: cleanText(image.Type),
			Remote: cleanText(image.Remote), Fingerprint: cleanText(image.Fingerprint), Spec: cleanText(image.Spec),
		}
	}
	return h
}

// lineMax bounds a line, in bytes. Only long lists get there: all texts are bounded.
const lineMax = 256 << 10

func (l *jsonLines) print(line any) {
	data := l.encode(line)
	if long, ok := line.(interface{ shortened() any }); ok && len(data) > lineMax {
		data = l.encode(long.shortened())
	}
	l.out.print(string(data))
}

// encode returns the line with its end.
func (l *jsonLines) encode(line any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(line); err != nil && l.out.err == nil {
		l.out.err = fmt.Errorf("encoding %s: %w", l.out.name, err)
	}
	return inert(b.Bytes())
}

// textMax bounds each text of a line, in bytes.
const textMax = 4 << 10

// cleanText is a text of an event: what does not print is gone, and it is bounded.
func cleanText(s string) string {
	if len(s) <= textMax {
		return Clean(s)
	}
	return Clean(cutBytes(s, textMax)) + "…"
}

// cleanTexts never returns nil, which JSON would have as null.
func cleanTexts(list []string) []string {
	clean := make([]string, len(list))
	for i, s := range list {
		clean[i] = cleanText(s)
	}
	return clean
}

// cleanValue is a value whose texts are clean; as text where it is too long.
func cleanValue(v any) any {
	if v == nil {
		return nil
	}
	p := plain(v)
	if text, ok := p.(string); ok {
		return cleanText(text)
	}
	if text := inline(p); len(text) > textMax {
		return cleanText(text)
	}
	return cleanPlain(p)
}

func cleanPlain(v any) any {
	switch v := v.(type) {
	case string:
		return cleanText(v)
	case []any:
		for i := range v {
			v[i] = cleanPlain(v[i])
		}
	case map[string]any:
		clean := make(map[string]any, len(v))
		for k, item := range v {
			clean[cleanText(k)] = cleanPlain(item)
		}
		return clean
	}
	return v
}
