package probe

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/upmaru/icepak/checks"
)

// ErrEndless is the error of a stream that ended before its End event.
var ErrEndless = errors.New("the probe's output ended early")

// Read gives every event of the stream that carries the token to each, in order,
// until End. Lines that are no such events are left out: anything in the
// guest may write there. It returns ErrEndless where End did not come, and
// what a Broken event says.
func Read(r io.Reader, token string, each func(Event)) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	said := 0
	for {
		line, err := readLine(lines)
		if e, ok := parse(line, token); ok {
			if said += len(line); said > maxSaid {
				return errors.New("the probe says more than it can have to say")
			}
			each(e)
			switch {
			case e.Kind == Broken:
				return fmt.Errorf("probe: %s", e.Detail)
			case e.Kind == Hello && e.Protocol != Protocol:
				return fmt.Errorf("the probe speaks protocol %d, this icepak speaks %d", e.Protocol, Protocol)
			case e.Kind == End:
				return nil
			}
		}
		if err == io.EOF {
			return ErrEndless
		}
		if err != nil {
			return fmt.Errorf("read the probe's output: %w", err)
		}
	}
}

// readLine returns the next line; one that is longer than an event may be comes
// back empty.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	tooLong := false
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			line, tooLong = nil, true
		}
		if !tooLong {
			line = append(line, part...)
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

func parse(line []byte, token string) (Event, bool) {
	var e Event
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &e) != nil {
		return e, false
	}
	return e, e.Token == token && e.valid()
}

// valid tells whether the event carries what its kind promises.
func (e Event) valid() bool {
	switch e.Kind {
	case Ready:
		return e.Ready != nil
	case Result:
		return e.Result != nil && known(e.Result.Verdict)
	case Checked:
		return e.Outcome != nil && known(e.Outcome.Verdict)
	case Described:
		return e.Answer != nil && e.Answer.Nth >= 0
	}
	return e.Kind != ""
}

// known tells a verdict from anything else, which decides nothing.
func known(v checks.Verdict) bool {
	switch v {
	case checks.Pass, checks.Fail, checks.Error, checks.Skip:
		return true
	}
	return false
}
