package polarserver

import (
	"net/http"
	"strings"
)

// extensions are what this server has beyond Polar 0.2. A session's answer names
// them in a header, so that a client uses them where they are and only there.
func extensions() string {
	return strings.Join([]string{
		"idempotency", // an Idempotency-Key with events and new versions
		"comment",     // comment and by of an event
		"status",      // how versions and their assessments stand
		"report",      // the last report of a version as an instance type
	}, ", ")
}

const extensionsHeader = "Polar-Extensions"

// requestKey returns the client's name for its request. The same one again is
// answered as before, and nothing is done twice.
func requestKey(r *http.Request) string { return r.Header.Get("Idempotency-Key") }
