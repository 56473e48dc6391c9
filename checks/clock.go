package checks

import (
	"context"
	"time"
)

// Clock is the guest's clock.
type Clock struct {
	Common
	// Offset is how far it is from the host's, either way.
	Offset Matcher `json:"offset,omitzero" kind:"time"`
}

// Evaluate compares the clock with what the host's was when the plan came, and with
// the time that has passed since. What the plan took to get here counts as an offset.
func (c *Clock) Evaluate(_ context.Context, sys *System) []Result {
	var r results
	r.find("offset", c.Offset, func() (any, error) {
		if sys.Host.Time.IsZero() || sys.Told.IsZero() {
			return nil, inconclusivef("there is no host whose clock it could be compared with")
		}
		return sys.clockOffset(time.Now()).Abs().Seconds(), nil
	})
	for i := range r.list {
		if got := &r.list[i]; got.Verdict == Fail && sys.Host.SharedClock {
			got.Verdict, got.Message = Error, "a container has its server's clock, which is not the image's: the server's differs from this host's"
		}
	}
	return r.list
}

// clockOffset is how far the guest's clock is ahead of the host's. now has a reading
// of the monotonic clock, which nobody sets, so that a clock that was set meanwhile
// is seen as it is.
func (s *System) clockOffset(now time.Time) time.Duration {
	host := s.Host.Time.Add(now.Sub(s.Told))
	return now.Round(0).Sub(host.Round(0))
}

func (*Clock) undescribed() []string { return []string{"offset"} }
