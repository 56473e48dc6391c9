package lxd

import (
	"context"
	"errors"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// Stop has the guest shut down, for so long, and then stops it by force. It tells
// whether that was needed. A guest that has stopped by itself is no error.
func (i *Instance) Stop(ctx context.Context, patience time.Duration) (forced bool, err error) {
	err = i.stop(ctx, api.InstanceStatePut{Action: "stop", Timeout: int(patience / time.Second)}, patience)
	if err == nil || ctx.Err() != nil {
		return false, i.wrap("stop", err)
	}
	if status, statusErr := i.Status(ctx); statusErr == nil && status == "Stopped" {
		return false, nil
	}
	var failed *operationError
	if !errors.As(err, &failed) && !errors.Is(err, context.DeadlineExceeded) && !isRefusal(err) {
		return false, i.wrap("stop", err) // the server is silent, and force would not help
	}
	err = i.stop(ctx, api.InstanceStatePut{Action: "stop", Force: true, Timeout: -1}, 0)
	return true, i.wrap("stop by force", err)
}

// stop asks for the stop and waits for its end, a little longer than the guest may
// take.
func (i *Instance) stop(ctx context.Context, how api.InstanceStatePut, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience+stopTimeout)
	defer cancel()
	return i.server.run(ctx, func(c client.InstanceServer) (client.Operation, error) {
		return c.UpdateInstanceState(i.name, how, "")
	})
}
