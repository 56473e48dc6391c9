package lxd

import (
	"context"
	"errors"
	"fmt"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

const (
	// longPoll is how long the server is asked to hold its answer back. Where
	// progress is shown it is shortPoll, because an answer has it.
	longPoll  = 10 * time.Second
	shortPoll = time.Second
	// silence is how long a server that answers nothing is asked again.
	silence = 30 * time.Second
)

// An operationError is what an operation says of its failure. LXD gives it no
// code, only a text.
type operationError struct {
	status string
	text   string
}

func (e *operationError) Error() string {
	if e.text == "" {
		return "the operation ended as " + e.status
	}
	return e.text
}

// errLost says that the server forgot an operation before we saw its end.
var errLost = errors.New("the server no longer knows the operation")

// start makes the library start an operation.
func (s *Server) start(ctx context.Context, f func(client.InstanceServer) (client.Operation, error)) (api.Operation, error) {
	var started api.Operation
	err := s.call(ctx, func(c client.InstanceServer) error {
		op, err := f(c)
		if err == nil {
			started = op.Get()
		}
		return err
	})
	return started, err
}

// run starts an operation and waits for its success.
func (s *Server) run(ctx context.Context, f func(client.InstanceServer) (client.Operation, error)) error {
	op, err := s.start(ctx, f)
	if err == nil {
		_, err = s.wait(ctx, op, nil)
	}
	return err
}

// wait waits for the operation's success and returns it as it ended; any other
// end is an *operationError. update, unless it is nil, is called with what is
// known about once a second.
//
// It asks the server with requests that the server answers at the operation's
// end or after a while. The library's own wait needs an event socket, takes its
// loss for the operation's failure, and a cancelled operation for a success.
func (s *Server) wait(ctx context.Context, op api.Operation, update func(api.Operation)) (api.Operation, error) {
	poll := longPoll
	if update != nil {
		poll = shortPoll
	}
	heard := time.Now()
	for {
		if update != nil {
			update(op)
		}
		if op.StatusCode == api.Success {
			return op, nil
		}
		if op.StatusCode.IsFinal() {
			return op, &operationError{op.StatusCode.String(), op.Err}
		}
		next, err := s.ask(ctx, op.ID, poll)
		switch {
		case err == nil:
			op, heard = next, time.Now()
			continue
		case ctx.Err() != nil:
			return op, ctx.Err()
		case isNotFound(err):
			return op, errLost
		case time.Since(heard) > silence:
			return op, fmt.Errorf("waiting for an operation: %w", err)
		}
		if err := sleep(ctx, shortPoll); err != nil {
			return op, err
		}
	}
}

// ask returns the operation once it has ended, or about poll later.
func (s *Server) ask(ctx context.Context, id string, poll time.Duration) (api.Operation, error) {
	ctx, cancel := context.WithTimeout(ctx, poll+dialTimeout)
	defer cancel()
	var op api.Operation
	err := s.call(ctx, func(c client.InstanceServer) error {
		now, _, err := c.GetOperationWait(id, int(poll/time.Second))
		if isRefusal(err) && !isNotFound(err) {
			// Some servers answer a wait that came to nothing with an error.
			now, _, err = c.GetOperation(id)
		}
		if err == nil {
			op = *now
		}
		return err
	})
	return op, err
}

// sleep waits for d, or returns the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
