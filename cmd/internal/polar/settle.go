package polar

import (
	"context"
	"fmt"
)

const settleAttempts = 4 // at events whose answer leaves open whether they were taken

// Settle brings the check's assessment to the verdict, pass or fail, with as
// few events as it takes, and returns the verdict once Polar has taken it. An
// assessment that has passed stays so: nothing is posted, and an empty string
// is returned. One that has failed and fails again is run and failed again, so
// that Polar's log has every attempt.
//
// Several may settle the same assessment at once. A verdict that is refused because
// another client has just posted the same is not posted again, and an empty
// string is returned.
//
// Where no answer to an event comes, or one that leaves open whether it was
// taken, the state is read again and decides what comes next.
func (c *Client) Settle(ctx context.Context, versionID, checkID, clusterID int64, instanceType, verdict string) (posted string, err error) {
	return c.SettleAgain(ctx, versionID, checkID, clusterID, instanceType, verdict, Attempts{})
}

// Attempts is what is known of earlier attempts to settle the same verdict, which may
// have been another process's.
type Attempts struct {
	// Sent: the verdict was sent, and may have been taken.
	Sent bool
	// Sending is called each time before the verdict is sent; it may be nil.
	Sending func()
}

// SettleAgain is Settle for a verdict that an earlier attempt may have settled: one
// that was sent is sent again only where the state says that it was not taken.
func (c *Client) SettleAgain(ctx context.Context, versionID, checkID, clusterID int64, instanceType, verdict string, earlier Attempts) (posted string, err error) {
	if verdict != Pass && verdict != Fail {
		return "", fmt.Errorf("polar: %q is not a verdict to post", verdict)
	}
	a, err := c.Assessment(ctx, versionID, checkID, clusterID, instanceType)
	if err != nil {
		return "", err
	}
	sent := earlier.Sent // the verdict, and perhaps it was taken
	beaten := false      // to the verdict, which was refused
	var failed error     // of the last event that was refused or left open what became of it
	for attempt := 1; ; {
		event := nextEvent(a.State, verdict, sent || beaten)
		if event == "" {
			if sent && a.State == stateAfter(verdict) {
				return verdict, nil
			}
			return "", nil
		}
		if attempt > settleAttempts {
			return "", failed
		}
		if event == verdict && earlier.Sending != nil {
			earlier.Sending()
		}
		err := c.AssessmentEvent(ctx, a.ID, event)
		if err == nil {
			if event == verdict {
				return verdict, nil
			}
			a.State = stateAfter(event)
			continue
		}
		open, refused := uncertain(err), isConflict(err)
		if !open && !refused {
			return "", err
		}
		failed = err
		sent = sent || open && event == verdict
		beaten = beaten || refused && event == verdict
		if err := c.pause(ctx, attempt); err != nil {
			return "", err
		}
		attempt++
		if a, err = c.Assessment(ctx, versionID, checkID, clusterID, instanceType); err != nil {
			return "", err
		}
	}
}

// nextEvent returns the event that brings an assessment nearer to the verdict's
// state, or an empty string where there is nothing to do. Said tells that the
// verdict may have brought the state about, from here or elsewhere.
func nextEvent(state, verdict string, said bool) string {
	switch {
	case state == Passed, said && state == stateAfter(verdict):
		return ""
	case state != Running:
		return Run
	}
	return verdict
}

func stateAfter(event string) string {
	switch event {
	case Pass:
		return Passed
	case Fail:
		return Failed
	}
	return Running
}
