package checks

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// results gathers what one look at a resource finds. An Evaluate reads
//
//	var r results
//	r.presence("exists", f.Exists, found, "does not exist")
//	r.match("mode", f.Mode, mode)                             // known anyway
//	r.find("md5", f.MD5, func() (any, error) { return sum() }) // costs something
//	return r.list
//
// A matcher that is not set gives no result, so every property is simply named
// in order. After presence, skipRest or failRest the properties that follow
// get that verdict without being looked at. An action, such as install, which
// has no matcher, is told with pass or add. explain and output add to the
// result before them, where it did not pass. The engine stamps type, id,
// title, source and duration.
type results struct {
	list []Result
	rest Verdict // the verdict of all that follows, where not empty
	why  string
}

// An inconclusive error says that a property could not be looked at for a
// reason that is not the image's: its verdict is Error instead of Fail.
type inconclusive struct{ error }

func (e inconclusive) Unwrap() error { return e.error }

func inconclusivef(format string, args ...any) error {
	return inconclusive{fmt.Errorf(format, args...)}
}

// match compares what was found, and tells whether the property may be taken
// to hold: true where it passed or is not asserted.
func (r *results) match(property string, m Matcher, actual any) bool {
	switch {
	case !m.IsSet():
		return true
	case r.rest != "":
		r.add(Result{Property: property, Verdict: r.rest, Expected: m.expr, Message: r.why})
		return false
	}
	got := m.Match(actual)
	res := Result{Property: property, Verdict: Pass, Expected: got.Expected}
	if !got.OK {
		res.Verdict, res.Message = Fail, got.Message
	}
	if !got.OK || m.kind != Text {
		res.Actual = boundActual(actual, m.room())
	}
	r.add(res)
	return got.OK
}

// room is how much of a text is kept to be shown: more where it is compared with
// a long one, so that one can see where they differ.
func (m Matcher) room() int {
	text, _ := m.expr.(string)
	return maxActual + len(text)
}

// find is match for what is looked up only where it is asserted. Where the
// look-up fails, so does the property, unless the error is inconclusive.
func (r *results) find(property string, m Matcher, look func() (any, error)) bool {
	if !m.IsSet() || r.rest != "" {
		return r.match(property, m, nil)
	}
	actual, err := look()
	if err != nil {
		r.add(Result{Property: property, Verdict: verdictOf(err), Expected: m.expr, Message: oneLine(err.Error())})
		return false
	}
	return r.match(property, m, actual)
}

// presence is match for the property that says whether the thing is there.
// Of a thing that is not there, or should not be, the properties that follow
// are skipped; where presence is not asserted, they fail for being absent.
func (r *results) presence(property string, m Matcher, present bool, absent string) {
	ok := r.match(property, m, present)
	switch {
	case m.IsSet() && !present:
		if !ok {
			r.explain(absent)
		}
		r.skipRest(absent)
	case !ok:
		r.skipRest(property + " did not pass")
	case !present:
		r.failRest(absent)
	}
}

// noPresence says that it could not be found out whether the thing is there.
func (r *results) noPresence(property string, m Matcher, err error) {
	r.find(property, m, func() (any, error) { return nil, err })
	if m.IsSet() {
		r.skipRest(property + " did not pass")
	} else {
		r.errRest(err)
	}
}

func (r *results) pass(property string, actual any) {
	r.add(Result{Property: property, Verdict: Pass, Actual: boundActual(actual, maxActual)})
}

// failRest makes the properties that follow fail with the message.
func (r *results) failRest(why string) { r.rest, r.why = Fail, oneLine(why) }

// skipRest makes the properties that follow be skipped.
func (r *results) skipRest(why string) { r.rest, r.why = Skip, oneLine(why) }

// errRest makes the properties that follow have err's verdict and message.
func (r *results) errRest(err error) { r.rest, r.why = verdictOf(err), oneLine(err.Error()) }

// explain replaces the message of the last result where it did not pass.
func (r *results) explain(message string) {
	if last := r.last(); last != nil && last.Verdict != Pass {
		last.Message = oneLine(message)
	}
}

// output gives the last result what a command printed, where it did not pass.
func (r *results) output(text string) {
	if last := r.last(); last != nil && last.Verdict != Pass && last.Verdict != Skip {
		last.Output = tail(text, maxOutput)
	}
}

func (r *results) last() *Result {
	if len(r.list) == 0 {
		return nil
	}
	return &r.list[len(r.list)-1]
}

func (r *results) add(res Result) { r.list = append(r.list, res) }

func verdictOf(err error) Verdict {
	if _, ok := errors.AsType[inconclusive](err); ok {
		return Error
	}
	return Fail
}

// Bounds of what a result carries.
const (
	maxOutput   = 4 << 10
	maxMessage  = 400
	maxActual   = 1 << 10
	maxElements = 64
)

// boundActual shortens long texts, lists and maps.
func boundActual(v any, most int) any {
	switch v := v.(type) {
	case string:
		return head(v, most)
	case []any, map[string]any:
		if data, err := json.Marshal(v); err == nil && len(data) > most {
			return head(string(data), most)
		}
		return v
	case []string:
		n := min(len(v), maxElements)
		list := make([]string, n, n+1)
		for i := range list {
			list[i] = head(v[i], maxActual/4)
		}
		if n < len(v) {
			list = append(list, fmt.Sprintf("… %d more", len(v)-n))
		}
		return list
	default:
		return v
	}
}

// head returns the start of s, of at most n bytes and a note of its length.
func head(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + fmt.Sprintf("… (%d bytes)", len(s))
}

// tail returns the end of s, of at most n bytes, from the start of a line
// where there is one.
func tail(s string, n int) string {
	s = strings.ToValidUTF8(strings.TrimRight(s, " \t\r\n"), "\uFFFD")
	if len(s) <= n {
		return s
	}
	s = s[len(s)-n:]
	if _, rest, ok := strings.Cut(s, "\n"); ok && rest != "" {
		return rest
	}
	return strings.ToValidUTF8(s, "")
}

// oneLine makes a message of any text.
func oneLine(s string) string {
	if strings.ContainsAny(s, "\r\n\t") {
		s = strings.Join(strings.Fields(s), " ")
	}
	return head(s, maxMessage)
}
