package lxd

import (
	"context"
	"errors"
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

// Executable tells whether the instance has a file of that name, through links, that
// may be executed.
func (i *Instance) Executable(ctx context.Context, name string) bool {
	mode, there := i.modeOf(ctx, name)
	return there && mode&0o111 != 0
}

// Content returns the start of a file of the instance, through links, max bytes at
// most.
func (i *Instance) Content(ctx context.Context, name string, max int64) ([]byte, error) {
	_, data, err := i.follow(ctx, name, max)
	return data, i.wrap("read "+name, guestError(err))
}

// modeOf returns the mode of the file that a name leads to, through links, and
// whether there is one for certain.
func (i *Instance) modeOf(ctx context.Context, name string) (mode int, there bool) {
	file, _, err := i.follow(ctx, name, 0)
	if err != nil {
		return 0, false
	}
	return file.Mode, true
}

// maxTarget is as long as a link may be, in bytes.
const maxTarget = 4096

// follow returns the file that a name leads to, through links, and the start of its
// content.
func (i *Instance) follow(ctx context.Context, name string, max int64) (*client.InstanceFileResponse, []byte, error) {
	for range 8 {
		var file *client.InstanceFileResponse
		var data []byte
		err := i.server.call(ctx, func(c client.InstanceServer) error {
			content, response, err := c.GetInstanceFile(i.name, name)
			if err != nil {
				return err
			}
			if content == nil {
				return errors.New("it is a folder")
			}
			defer content.Close()
			file = response
			if file.Type == "symlink" {
				data, err = io.ReadAll(io.LimitReader(content, maxTarget))
			} else {
				data, err = io.ReadAll(io.LimitReader(content, max))
			}
			return err
		})
		switch {
		case err != nil:
			return nil, nil, err
		case file.Type != "symlink":
			return file, data, nil
		case path.IsAbs(string(data)):
			name = string(data)
		default:
			name = path.Join(path.Dir(name), string(data))
		}
	}
	return nil, nil, errors.New("there are too many links")
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
