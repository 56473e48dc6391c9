package polarserver

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/upmaru/icepak/cmd/internal/sigv4"
)

// How long an upload may pause, and how often it is noted that it does not.
const (
	maxPause = time.Minute
	notePace = time.Second
)

// A patientReader reads the body of an upload. The server gives all of a request a
// minute, which is for small ones: here each piece has a minute of its own, and what
// comes after the body as long as it takes.
type patientReader struct {
	body    io.Reader
	control *http.ResponseController
	noted   time.Time
}

func patient(w http.ResponseWriter, r *http.Request) io.Reader {
	p := &patientReader{body: r.Body, control: http.NewResponseController(w)}
	if r.ContentLength == 0 {
		p.until(time.Time{})
	}
	return p
}

func (p *patientReader) Read(buf []byte) (int, error) {
	if now := time.Now(); now.Sub(p.noted) > notePace {
		p.until(now.Add(maxPause))
		p.noted = now
	}
	n, err := p.body.Read(buf)
	switch {
	case err == io.EOF:
		p.until(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = &sigv4.Error{Code: "RequestTimeout", Reason: "the body does not come"}
	case err != nil:
		err = &sigv4.Error{Code: "IncompleteBody", Reason: "the body broke off"}
	}
	return n, err
}

// until moves the deadline. Where the connection has none, nothing is to be moved.
func (p *patientReader) until(t time.Time) { _ = p.control.SetReadDeadline(t) }
