package lxd

import (
	"cmp"
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/canonical/lxd/shared/api"
	"github.com/canonical/lxd/shared/ws"
	"github.com/gorilla/websocket"
)

// A Size is a terminal's, in characters.
type Size struct{ Columns, Rows int }

// A Terminal is what a command is run on for a person.
type Terminal struct {
	Size    Size
	Resized <-chan Size // each new size; may be nil
}

// ask puts the terminal into the request for a command. It may be nil.
func (t *Terminal) ask(post *api.InstanceExecPost) {
	if t != nil {
		post.Interactive, post.Width, post.Height = true, t.Size.Columns, t.Size.Rows
	}
}

// streams are the command's websockets, the last of which starts it.
func (t *Terminal) streams() []string {
	if t == nil {
		return []string{api.SecretNameControl, "0", "1", "2"}
	}
	return []string{api.SecretNameControl, "0"}
}

// talk passes on what is typed and shown, and the terminal's size, until the command
// has ended.
func (t *Terminal) talk(ctx context.Context, conns sockets, r ExecRequest, ended <-chan result) (result, error) {
	go drain(conns[api.SecretNameControl])
	go t.resize(ctx, conns[api.SecretNameControl])
	ws.MirrorRead(conns["0"], cmp.Or[io.Reader](r.Stdin, strings.NewReader("")))
	shown := ws.MirrorWrite(conns["0"], cmp.Or(r.Stdout, io.Discard))
	left := make(chan error, 1)
	go func() {
		err := <-shown
		conns["0"].Close() // which the server waits for
		left <- err
	}()
	end, err := finish(ctx, left, nil, ended)
	conns.close()
	for range shown { // until it is closed: then nothing is written any more
	}
	return end, err
}

// resize tells the server of each new size. That it cannot be told shows nowhere
// but in how the guest's programs look.
func (t *Terminal) resize(ctx context.Context, control *websocket.Conn) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-t.Resized:
			if !ok {
				return
			}
			_ = control.WriteJSON(api.InstanceExecControl{Command: "window-resize", Args: map[string]string{
				"width": strconv.Itoa(size.Columns), "height": strconv.Itoa(size.Rows),
			}})
		}
	}
}
