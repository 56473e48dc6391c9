package polar

import (
	"net/http"
	"testing"
	"time"
)

func TestWaitsGrowVaryAndFollowRetryAfter(t *testing.T) {
	asks := func(status int, after string) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {after}}}
	}
	const least, most = 500 * time.Millisecond, 20 * time.Second
	for _, tt := range []struct {
		name     string
		attempt  int
		resp     *http.Response
		min, max time.Duration
	}{
		{"first", 0, nil, least / 2, least},
		{"fourth", 3, nil, 2 * time.Second, 4 * time.Second},
		{"hundredth", 99, nil, most / 2, most},
		{"an answer that asks for nothing", 0, &http.Response{StatusCode: 503}, least / 2, least},
		{"too many requests", 0, asks(429, "7"), 7 * time.Second, 7*time.Second + least},
		{"out of order", 3, asks(503, "30"), 30 * time.Second, 30*time.Second + least},
		{"for too long", 0, asks(503, "86400"), maxRetryAfter, maxRetryAfter + least},
		{"for ever", 0, asks(503, "9223372036854775807"), maxRetryAfter, maxRetryAfter + least},
		{"for no number", 0, asks(429, "soon"), least, 2 * least},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seen := map[time.Duration]bool{}
			for range 50 {
				wait := backoff(least, most, tt.attempt, tt.resp)
				if wait < tt.min || wait > tt.max {
					t.Fatalf("%s, want %s to %s", wait, tt.min, tt.max)
				}
				seen[wait] = true
			}
			if len(seen) < 2 {
				t.Errorf("always %v", seen)
			}
		})
	}
}
