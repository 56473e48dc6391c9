package polar

import (
	"context"
	"errors"
	"fmt"

	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

const promoteAttempts = 4 // at an activation that was not taken

// Promote activates the version of the product. It returns nil once the version is
// active, whoever made it so: of several that promote it at once, all succeed. An
// error is what it says of the version, or says that this could not be found out.
//
// Where no answer comes, or one that leaves open whether the event was taken, the
// feeds tell, read anew. A version that is still in testing was not activated,
// and the event is sent again. Of one that has left it, the active channel's feed
// decides. Where that is not known, a lost answer means that it has left by this
// event; after Polar's 500, which may be a refusal, it may as well have been
// withdrawn, and that is not known then.
func (c *Client) Promote(ctx context.Context, product string, v Version, comment string) error {
	for attempt := 1; ; attempt++ {
		err := c.VersionEvent(ctx, v.ID, Activate, comment)
		if err == nil {
			return nil
		}
		if refused, ok := errors.AsType[*RefusedError](err); ok && refused.State != "" {
			if refused.State == Active {
				return nil
			}
			return err
		}
		if !uncertain(err) && !isConflict(err) {
			return err
		}
		_, refused := errors.AsType[*RefusedError](err)
		found, lookErr := c.look(ctx, product, v.Serial)
		if lookErr == nil && found == hasLeft && refused {
			lookErr = errors.New("it has left the testing channel, and the active channel's feed is not known")
		}
		switch {
		case lookErr != nil:
			return fmt.Errorf("%w; whether it was taken is not known: %v", err, lookErr)
		case found == inActive, found == hasLeft:
			return nil
		case found != inTesting:
			return fmt.Errorf("%w; it is not in testing any more", err)
		case attempt == promoteAttempts, isConflict(err):
			return err
		}
		if err := c.pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// A whereabouts is where the feeds have a version.
type whereabouts int

const (
	inTesting whereabouts = iota
	inActive
	hasLeft   // testing, and the active channel's feed is not known
	inNeither // testing nor active
)

// look reads the feeds. The testing channel's comes first: what is in neither then
// has not just moved from one to the other.
func (c *Client) look(ctx context.Context, product, serial string) (whereabouts, error) {
	if c.opts.TestingFeed == "" {
		return 0, errors.New("the testing channel's feed is not known")
	}
	feed, err := simplestreams.Fetch(ctx, c.repeat.HTTPClient, string(c.opts.TestingFeed))
	if err != nil {
		return 0, err
	}
	switch {
	case feed.Has(product, serial):
		return inTesting, nil
	case c.opts.ActiveFeed == "":
		return hasLeft, nil
	}
	if feed, err = simplestreams.Fetch(ctx, c.repeat.HTTPClient, string(c.opts.ActiveFeed)); err != nil {
		return 0, err
	}
	if feed.Has(product, serial) {
		return inActive, nil
	}
	return inNeither, nil
}
