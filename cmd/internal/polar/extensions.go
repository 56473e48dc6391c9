package polar

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"unicode"
)

// What a server may have beyond Polar 0.2, which has none of it. Nothing of it is
// used before a session's answer has named it.
const (
	extIdempotency = "idempotency" // an Idempotency-Key with events and new versions
	extComment     = "comment"     // comment and by of an event
	extStatus      = "status"      // how versions and their assessments stand
	extReport      = "report"      // the last report of a version as an instance type
)

const maxActor = 200 // bytes of Options.Actor that servers take

// offers tells whether the server has the extension.
func (c *Client) offers(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.extensions, name)
}

// extensionsOf returns what the header of a session's answer names.
func extensionsOf(h http.Header) []string {
	var names []string
	for name := range strings.SplitSeq(strings.Join(h.Values("Polar-Extensions"), ","), ",") {
		names = append(names, strings.ToLower(strings.TrimSpace(name)))
	}
	return names
}

// newKey returns a name for a request: the server does once what it names, however
// often it comes. It is empty where the server does not know such names.
func (c *Client) newKey() string {
	if !c.offers(extIdempotency) {
		return ""
	}
	return rand.Text()
}

// cleanActor makes of a name one that servers take: no event is to fail for it.
func cleanActor(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	return strings.ToValidUTF8(name[:min(len(name), maxActor)], "")
}
