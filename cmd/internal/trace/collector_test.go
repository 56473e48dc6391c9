package trace

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// A collector is a small OTLP collector. It takes JSON as OTLP's specification has it.
type collector struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	answer   func(n int, w http.ResponseWriter) bool // of the n-th request; true where the spans are not taken
	requests []*http.Request
	spans    []taken
	resource map[string]string
}

// A taken span, its times as such and its attributes as text.
type taken struct {
	otlpSpan
	start, end time.Time
	attrs      map[string]string
}

func newCollector(t *testing.T) *collector {
	c := &collector{t: t}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
	if c.answer != nil && c.answer(len(c.requests), w) {
		return
	}
	var req otlpRequest
	if err := json.Unmarshal(body, &req); err != nil {
		c.t.Errorf("%v: %s", err, body)
		return
	}
	for _, rs := range req.Resources {
		c.resource = texts(rs.Resource.Attributes)
		for _, scope := range rs.Scopes {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, taken{s, c.time(s.Start), c.time(s.End), texts(s.Attributes)})
			}
		}
	}
}

func (c *collector) time(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		c.t.Error(err)
	}
	return time.Unix(0, n).UTC()
}

func texts(list []otlpAttribute) map[string]string {
	m := make(map[string]string)
	for _, a := range list {
		switch {
		case a.Value.String != nil:
			m[a.Key] = *a.Value.String
		case a.Value.Int != nil:
			m[a.Key] = *a.Value.Int
		case a.Value.Bool != nil:
			m[a.Key] = strconv.FormatBool(*a.Value.Bool)
		}
	}
	return m
}

// named returns the only span of that name.
func (c *collector) named(name string) taken {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []taken
	for _, s := range c.spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		c.t.Fatalf("%d spans %q among %d", len(found), name, len(c.spans))
	}
	return found[0]
}
