package polarserver

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// A tooOftenError refuses a login because there were too many with a wrong
// password.
type tooOftenError struct{ wait time.Duration }

func (e *tooOftenError) Error() string {
	return fmt.Sprintf("too many wrong passwords: wait for %s", e.wait)
}

// A limit is how many failures there may be: burst at once, and then one every so
// often.
type limit struct {
	burst int
	every time.Duration
}

// perAddress leaves room for a person's mistakes and for machines behind one
// address that all have yesterday's password. overall bounds who has many
// addresses, and with that what is remembered of addresses.
var (
	perAddress = limit{10, time.Minute}
	overall    = limit{200, time.Second}
)

// A limiter counts failed logins of late. Logins that succeed are not counted, so
// any number of them may come from one address.
type limiter struct {
	mu   sync.Mutex
	all  time.Time                  // when all failures will be forgotten
	from map[netip.Prefix]time.Time // the same of an address, until then
}

func newLimiter() *limiter { return &limiter{from: map[netip.Prefix]time.Time{}} }

// wait returns for how long logins from there are refused, which is 0 or less
// where they are not.
func (l *limiter) wait(from netip.Prefix, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(perAddress.wait(l.from[from], now), overall.wait(l.all, now))
}

// fail counts a failure.
func (l *limiter) fail(from netip.Prefix, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for other, until := range l.from {
		if !until.After(now) {
			delete(l.from, other)
		}
	}
	l.from[from] = perAddress.add(l.from[from], now)
	l.all = overall.add(l.all, now)
}

// succeed forgets the failures from there.
func (l *limiter) succeed(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.from, from)
}

// add returns until when there are failures to remember after one more of now.
func (l limit) add(until, now time.Time) time.Time { return later(until, now).Add(l.every) }

// wait returns for how long there are as many to remember as may be.
func (l limit) wait(until, now time.Time) time.Duration {
	return later(until, now).Sub(now) - time.Duration(l.burst-1)*l.every
}

func later(t, u time.Time) time.Time {
	if t.After(u) {
		return t
	}
	return u
}

// clientAddress returns where the request comes from. A network of 64 bits is one
// client's: it has as many addresses as it likes.
func clientAddress(r *http.Request) netip.Prefix {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{} // all of those are one
	}
	addr := from.Addr().Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // neither number is too large
	return prefix
}
