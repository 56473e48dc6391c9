package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// An informed guest has a host that knows things of it. image says whether those of
// the image are wanted, which cost a request.
type informed interface {
	Facts(ctx context.Context, image bool) (checks.HostFacts, error)
}

var _ informed = (*instance)(nil)

// factsOf returns what the guest's host knows; nothing where it has none.
func factsOf(ctx context.Context, guest Guest, image bool) (checks.HostFacts, error) {
	g, ok := guest.(informed)
	if !ok {
		return checks.HostFacts{}, nil
	}
	return g.Facts(ctx, image)
}

// Facts returns what the server knows of the instance. An image that it does not
// have any more has left its properties in the instance.
func (g *instance) Facts(ctx context.Context, image bool) (checks.HostFacts, error) {
	facts := checks.HostFacts{Time: time.Now(), Running: g.running, SharedClock: g.inst.Type() == "container"}
	if !image {
		return facts, nil
	}
	info, err := g.inst.Image(ctx)
	var gone *lxd.NotFoundError
	if err != nil && !errors.As(err, &gone) {
		return facts, fmt.Errorf("what is known of the image: %w", err)
	}
	if info.Fingerprint == "" && len(info.Properties) == 0 {
		return facts, nil // it was not made from an image
	}
	facts.Image = &checks.ImageFacts{
		Fingerprint:  info.Fingerprint,
		Type:         info.Type,
		Architecture: info.Architecture,
		Created:      info.CreatedAt,
		Size:         info.Size,
		Files:        g.files,
		Properties:   info.Properties,
	}
	return facts, nil
}

// wantsImage tells whether one of the items asks for the image's facts.
func wantsImage(items []checks.Item) bool {
	for _, item := range items {
		if item.Type == "image" {
			return true
		}
	}
	return false
}
