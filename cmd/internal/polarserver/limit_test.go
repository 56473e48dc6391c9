package polarserver

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// login logs in from an address.
func login(h http.Handler, from, password string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/publish/sessions", strings.NewReader(fmt.Sprintf(`{"user":{"password":%q}}`, password)))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = from
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func TestWrongPasswordsAreLimited(t *testing.T) {
	s, _ := newStore(t)
	newSession(t, s) // sets the password
	now := time.Now()
	h := New(s, Options{Now: func() time.Time { return now }})
	const here, elsewhere, right, wrong = "198.51.100.1:1000", "198.51.100.2:1000", "bot-password", "a guess"
	want := func(rec *httptest.ResponseRecorder, status int, when string) {
		t.Helper()
		if rec.Code != status {
			t.Errorf("%s: %d, want %d", when, rec.Code, status)
		}
	}
	for range perAddress.burst {
		want(login(h, here, wrong), 401, "a guess")
	}
	refused := login(h, here, right)
	want(refused, 429, "after too many guesses")
	if after := refused.Header().Get("Retry-After"); after != "60" {
		t.Errorf("Retry-After %q", after)
	}
	want(login(h, elsewhere, right), 201, "from elsewhere")

	now = now.Add(perAddress.every - time.Second)
	if after := login(h, here, right).Header().Get("Retry-After"); after != "1" {
		t.Errorf("Retry-After %q", after)
	}
	now = now.Add(time.Second)
	want(login(h, here, wrong), 401, "one more guess")
	want(login(h, here, wrong), 429, "and another")
	now = now.Add(perAddress.every)
	want(login(h, here, right), 201, "the right password")
	for range perAddress.burst {
		want(login(h, here, wrong), 401, "a guess after the right password")
	}
	want(login(h, here, wrong), 429, "too many again")
}

func TestRightPasswordsAreNotLimited(t *testing.T) {
	s, _ := newStore(t)
	newSession(t, s)
	now := time.Now()
	h := New(s, Options{Now: func() time.Time { return now }})
	var wg sync.WaitGroup
	for i := range 2 * perAddress.burst {
		wg.Go(func() {
			if rec := login(h, fmt.Sprintf("198.51.100.1:%d", 1000+i), "bot-password"); rec.Code != 201 {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
		})
	}
	wg.Wait()
}

func TestGuessesFromManyAddressesAreLimitedTogether(t *testing.T) {
	l, now := newLimiter(), time.Unix(0, 0)
	next := netip.MustParseAddr("2001:db8::")
	guess := func() bool {
		from := netip.PrefixFrom(next, 128)
		next = next.Next()
		if l.wait(from, now) > 0 {
			return false
		}
		l.fail(from, now)
		return true
	}
	taken, most := 0, 0
	for range 24 * 60 * 60 {
		now = now.Add(time.Second)
		for range 5 {
			if guess() {
				taken++
			}
		}
		most = max(most, len(l.from))
	}
	if limit := overall.burst + 24*60*60; taken > limit {
		t.Errorf("%d guesses in a day, want at most %d", taken, limit)
	}
	// Those that are remembered are bounded by how many failures there may be while
	// one is.
	if limit := overall.burst + int(perAddress.every/overall.every)*perAddress.burst; most > limit {
		t.Errorf("%d addresses are remembered, want at most %d", most, limit)
	}
}

func TestClientAddress(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:1000":            "192.0.2.7/32",
		"[::ffff:192.0.2.7]:1000":   "192.0.2.7/32",
		"[2001:db8:1:2:3::4]:1000":  "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1000":       "fe80::/64",
		"@":                         "invalid Prefix",
		"":                          "invalid Prefix",
		"[2001:db8:1:2:ffff::9]:80": "2001:db8:1:2::/64",
	} {
		if got := clientAddress(&http.Request{RemoteAddr: remote}).String(); got != want {
			t.Errorf("%q: %s, want %s", remote, got, want)
		}
	}
}
