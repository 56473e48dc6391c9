package checks

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// A Duration is written as 1m30s, or as a whole number of milliseconds, which
// is how goss writes it.
type Duration time.Duration

// ParseDuration reads a duration as a spec writes it. Negative ones are refused.
func ParseDuration(s string) (Duration, error) {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		const most = int64(1<<63-1) / int64(time.Millisecond)
		if ms < 0 || ms > most {
			return 0, fmt.Errorf("want a duration such as 5s, got %q", s)
		}
		return Duration(ms) * Duration(time.Millisecond), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("want a duration such as 5s, got %q", s)
	}
	return Duration(d), nil
}

// Or returns the duration, or the default where it is zero.
func (d Duration) Or(def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON writes the duration as text.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads a duration as ParseDuration does, from text or a number.
func (d *Duration) UnmarshalJSON(data []byte) error {
	s := string(data)
	if len(data) > 0 && data[0] == '"' {
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
	}
	v, err := ParseDuration(s)
	*d = v
	return err
}
