package polartest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
)

// A Trouble is a fault with its name.
type Trouble struct {
	Name  string
	Fault Fault
}

// Troubles returns all that may befall a request. TooLate is not among them: it
// takes a client that does not wait for long.
func Troubles() []Trouble {
	return []Trouble{
		{"request lost", Lost},
		{"answer lost", AnswerLost},
		{"request sent twice", Twice},
		{"answer cut off", CutOff},
		{"answer cut off at a length of its own", CutShort},
		{"too many requests", Instead(http.StatusTooManyRequests)},
		{"a gateway out of order", Instead(http.StatusServiceUnavailable)},
		{"a gateway that loses the answer", After(http.StatusBadGateway)},
		{"a crash before", Instead(http.StatusInternalServerError)},
		{"a crash after", After(http.StatusInternalServerError)},
	}
}

// Lost cuts the connection before the request arrives.
func Lost(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// AnswerLost cuts the connection when the server has taken the request.
func AnswerLost(_ http.ResponseWriter, r *http.Request, server http.Handler) {
	Deliver(r, server)
	panic(http.ErrAbortHandler)
}

// TooLate holds the request back until the client has given it up. Then it arrives.
func TooLate(_ http.ResponseWriter, r *http.Request, server http.Handler) {
	<-r.Context().Done()
	Deliver(r, server)
	panic(http.ErrAbortHandler)
}

// Twice has the request arrive twice, and gives the second answer.
func Twice(w http.ResponseWriter, r *http.Request, server http.Handler) {
	Deliver(r, server)
	Answer(w, Deliver(r, server))
}

// CutOff ends the answer in its middle.
func CutOff(w http.ResponseWriter, r *http.Request, server http.Handler) { half(w, r, server, true) }

// CutShort ends the answer in its middle where only the connection's end tells how
// long it is.
func CutShort(w http.ResponseWriter, r *http.Request, server http.Handler) { half(w, r, server, false) }

func half(w http.ResponseWriter, r *http.Request, server http.Handler, tell bool) {
	rec := Deliver(r, server)
	length := int64(-1)
	if tell {
		length = int64(rec.Body.Len())
	}
	rec.Body.Truncate(rec.Body.Len() / 2)
	raw(w, rec, length)
}

// Instead answers with the status, and the server is told of nothing.
func Instead(status int) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { Answer(w, says(status)) }
}

// After answers with the status when the server has taken the request.
func After(status int) Fault {
	return func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		Deliver(r, server)
		Answer(w, says(status))
	}
}

// says is an answer of a status and nothing else, as Polar and proxies have it. Those
// that ask for patience ask for as little as can be told.
func says(status int) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	switch status {
	case http.StatusInternalServerError:
		rec.Header().Set("Content-Type", "application/json; charset=utf-8")
		fmt.Fprintf(rec, `{"errors":{"detail":%q}}`, http.StatusText(status))
	case http.StatusBadGateway:
		rec.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rec, "<html><h1>%s</h1></html>", strings.ToLower(http.StatusText(status)))
	default:
		rec.Header().Set("Retry-After", "0")
	}
	rec.Code = status
	return rec
}
