package lxd

import (
	"context"
	"io"

	client "github.com/canonical/lxd/client"
)

const maxLog = 64 << 10 // bytes of a log's tail

// Console returns the tail of what a container wrote to its console.
func (i *Instance) Console(ctx context.Context) (string, error) {
	return i.tail(ctx, "console", func(c client.InstanceServer) (io.ReadCloser, error) {
		return c.GetInstanceConsoleLog(i.name, nil)
	})
}

// Log returns the tail of a log file that the server keeps for the instance,
// such as lxc.log.
func (i *Instance) Log(ctx context.Context, name string) (string, error) {
	return i.tail(ctx, "log "+name, func(c client.InstanceServer) (io.ReadCloser, error) {
		return c.GetInstanceLogfile(i.name, name)
	})
}

func (i *Instance) tail(ctx context.Context, what string, open func(client.InstanceServer) (io.ReadCloser, error)) (string, error) {
	var t tail
	err := i.server.call(ctx, func(c client.InstanceServer) error {
		log, err := open(c)
		if err != nil {
			return err
		}
		defer log.Close()
		_, err = io.Copy(&t, log)
		return err
	})
	return t.String(), i.wrap(what, err)
}

// A tail keeps the last maxLog bytes that are written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*maxLog {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-maxLog:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.kept[max(0, len(t.kept)-maxLog):]) }
