package polar

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/build"
)

const createAttempts = 3 // to create what no answer came for

// CreateVersion adds a version to a product that has none of that serial, as far
// as the caller knows. The error is a *RefusedError where Polar does not take it:
// it has the serial, or one of the files in whatever version.
//
// Where no answer comes, or a 500, which may be a crash after the version was made,
// it is looked for: one that is there then is taken to be the one that was asked
// for, since Polar does not tell what is in it.
func (c *Client) CreateVersion(ctx context.Context, productID int64, serial string, items []build.Item) (Version, error) {
	type version struct {
		Serial string       `json:"serial"`
		Items  []build.Item `json:"items"`
	}
	key := c.newKey()
	open := false // whether an attempt may have made the version
	for attempt := 1; ; attempt++ {
		var v Version
		err := c.call(ctx, request{
			verb: "create", what: "version", name: serial, event: true, key: key,
			method: http.MethodPost, path: fmt.Sprintf("/publish/products/%d/versions", productID),
			in: map[string]version{"version": {serial, items}}, out: &v,
		})
		if err == nil && (v.ID <= 0 || !strings.EqualFold(v.Serial, serial)) {
			err = fmt.Errorf("polar: create version %s: %w", serial, errMalformed)
		}
		if err == nil {
			return v, nil
		}
		open = open || uncertain(err) || errors.Is(err, errMalformed)
		if !open || ctx.Err() != nil {
			return Version{}, err
		}
		known, readErr := c.Version(ctx, productID, serial)
		if readErr == nil {
			return known, nil
		}
		_, missing := errors.AsType[*NotFoundError](readErr)
		_, refused := errors.AsType[*RefusedError](err)
		if !missing || refused || attempt == createAttempts {
			return Version{}, err
		}
		if err := c.pause(ctx, attempt); err != nil {
			return Version{}, err
		}
	}
}
