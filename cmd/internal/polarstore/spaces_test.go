package polarstore

import (
	"errors"
	"testing"
	"time"
)

func TestExpiredSpaceIsAsOneThatNeverWas(t *testing.T) {
	s := newStore(t)
	c := newClock(s)
	sp, token, err := s.AddSpace(t.Context(), Space{Channel: "testing", Type: "lxd", Expires: c.t.Add(720 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	c.t = sp.Expires.Add(-time.Millisecond)
	if found, err := s.FindSpace(t.Context(), token); err != nil || found != sp {
		t.Errorf("before it expires: %+v, %v", found, err)
	}
	c.t = sp.Expires
	var missing, unknown *NotFoundError
	_, err = s.FindSpace(t.Context(), token)
	_, never := s.FindSpace(t.Context(), "another token")
	if !errors.As(err, &missing) || !errors.As(never, &unknown) || *missing != *unknown {
		t.Errorf("after: %v, and one that never was: %v", err, never)
	}
	if all, err := s.Spaces(t.Context()); err != nil || len(all) != 1 || all[0] != sp {
		t.Errorf("%+v, %v", all, err)
	}
}
