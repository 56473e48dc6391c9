package lxd

import (
	"context"
	"io"
	"os"
	"path"
	"sync"

	client "github.com/canonical/lxd/client"
)

// Push writes a file into the instance, which need not run, and its folders
// where they are missing. mode is as chmod has it. content is read from its
// start, and not used any more when Push returns.
func (i *Instance) Push(ctx context.Context, name string, content io.ReadSeeker, mode int) error {
	err := i.push(ctx, name, content, mode)
	if isNotFound(err) {
		if err = i.mkdir(ctx, path.Dir(name)); err == nil {
			err = i.push(ctx, name, content, mode)
		}
	}
	return i.wrap("write "+name, guestError(err))
}

func (i *Instance) push(ctx context.Context, name string, content io.ReadSeeker, mode int) error {
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return err
	}
	lent := &loan{ReadSeeker: content}
	defer lent.Close()
	return i.create(ctx, name, client.InstanceFileArgs{Type: "file", Mode: mode, Content: lent})
}

// mkdir makes a folder that is missing, from the lowest one up, so that it
// never touches one that exists.
func (i *Instance) mkdir(ctx context.Context, dir string) error {
	folder := client.InstanceFileArgs{Type: "directory", Mode: 0o755}
	err := i.create(ctx, dir, folder)
	if parent := path.Dir(dir); isNotFound(err) && path.Dir(parent) != parent {
		if err := i.mkdir(ctx, parent); err != nil {
			return err
		}
		err = i.create(ctx, dir, folder)
	}
	return err
}

// create makes a file or a folder that belongs to root.
func (i *Instance) create(ctx context.Context, name string, args client.InstanceFileArgs) error {
	return i.server.call(ctx, func(c client.InstanceServer) error {
		return c.CreateInstanceFile(i.name, name, args)
	})
}

// Remove deletes a file in the instance. One that is gone is no error.
func (i *Instance) Remove(ctx context.Context, name string) error {
	err := i.server.call(ctx, func(c client.InstanceServer) error {
		return c.DeleteInstanceFile(i.name, name)
	})
	if isNotFound(err) {
		return nil
	}
	return i.wrap("remove "+name, guestError(err))
}

// modeOf returns the mode of the file that a name leads to, through links, and
// whether there is one for certain.
func (i *Instance) modeOf(ctx context.Context, name string) (mode int, there bool) {
	for range 8 {
		var file *client.InstanceFileResponse
		var target []byte
		err := i.server.call(ctx, func(c client.InstanceServer) error {
			content, response, err := c.GetInstanceFile(i.name, name)
			if err != nil || content == nil { // of a folder
				return err
			}
			defer content.Close()
			file = response
			target, err = io.ReadAll(io.LimitReader(content, 4096))
			return err
		})
		switch {
		case err != nil || file == nil:
			return 0, false
		case file.Type != "symlink":
			return file.Mode, true
		case path.IsAbs(string(target)):
			name = string(target)
		default:
			name = path.Join(path.Dir(name), string(target))
		}
	}
	return 0, false
}

// A loan is a file that nobody reads any more when it is closed: a request that
// was given up may still read its body. The file itself stays open.
type loan struct {
	io.ReadSeeker
	mu     sync.Mutex
	closed bool
}

func (l *loan) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, os.ErrClosed
	}
	return l.ReadSeeker.Read(p)
}

func (l *loan) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}
