package lxd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/canonical/lxd/shared/ws"
	"github.com/gorilla/websocket"
)

// An ExecRequest is a command to run in a guest.
type ExecRequest struct {
	Args   []string
	Env    map[string]string
	Stdin  io.Reader // nil: empty
	Stdout io.Writer // nil: discarded
	Stderr io.Writer // nil: discarded
	// Terminal has the command run on a terminal of its own, on which all that it
	// says goes to Stdout; nil: on pipes.
	Terminal *Terminal
}

// lateOutput is how long output may follow the end of its command.
const lateOutput = 30 * time.Second

// Exec runs a command in the guest and returns its exit code: 128+n where
// signal n ended it, 127 where it does not exist. All output has been written
// when it returns, and none is written later. When ctx ends it returns
// ctx.Err() at once, and the server kills the command because its client is
// gone; a connection that is lost is an error too. Stdin may be read a little
// longer.
func (i *Instance) Exec(ctx context.Context, r ExecRequest) (int, error) {
	code, err := i.exec(ctx, r)
	if err != nil && ctx.Err() != nil {
		return -1, i.wrap("exec", ctx.Err())
	}
	return code, i.wrap("exec", guestError(err))
}

// exec does what the library's ExecInstance is for. That one keeps to itself
// that a stream was cut off, drops output where a ping cannot be answered, and
// panics where an answer has no streams.
func (i *Instance) exec(ctx context.Context, r ExecRequest) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := i.lines.Swap(nil)
	if lines == nil {
		lines = i.server.dial(len(r.Terminal.streams()))
	}
	defer lines.close()
	post := api.InstanceExecPost{Command: r.Args, Environment: r.Env, WaitForWS: true}
	r.Terminal.ask(&post)
	op, err := i.server.start(ctx, func(c client.InstanceServer) (client.Operation, error) {
		op, _, err := c.RawOperation(http.MethodPost, "/instances/"+url.PathEscape(i.name)+"/exec", post, "")
		return op, err
	})
	if err != nil {
		return -1, err
	}
	// Waited for from the start: LXD forgets an operation soon after its end.
	ended := make(chan result, 1)
	go func() {
		op, err := i.server.wait(ctx, op, nil)
		ended <- result{op, err}
	}()
	conns, err := i.server.connect(ctx, op, r.Terminal.streams(), lines)
	defer conns.close()
	if err != nil {
		return -1, err
	}
	var end result
	if r.Terminal != nil {
		end, err = r.Terminal.talk(ctx, conns, r, ended)
	} else {
		end, err = conns.talk(ctx, r, ended)
	}
	if err != nil {
		return -1, err
	}
	return exitCode(end)
}

// talk passes on what the command is given and what it says, until it has ended.
func (s sockets) talk(ctx context.Context, r ExecRequest, ended <-chan result) (result, error) {
	if control := s[api.SecretNameControl]; control != nil {
		go drain(control)
	}
	go drain(s["0"])
	ws.MirrorRead(s["0"], cmp.Or[io.Reader](r.Stdin, strings.NewReader("")))
	stdout := ws.MirrorWrite(s["1"], cmp.Or(r.Stdout, io.Discard))
	stderr := ws.MirrorWrite(s["2"], cmp.Or(r.Stderr, io.Discard))
	end, err := finish(ctx, stdout, stderr, ended)
	s.close()
	for _, stream := range []<-chan error{stdout, stderr} {
		for range stream { // until it is closed: then nothing is written any more
		}
	}
	return end, err
}

// sockets are a command's websockets, by the names that LXD gives them: 0, 1
// and 2 are the streams.
type sockets map[string]*websocket.Conn

// connect opens the command's websockets, at once because each costs round trips.
// LXD starts the command when it has those of the streams. A short one may be over
// before the control socket came, which is then not missed, but for a terminal.
func (s *Server) connect(ctx context.Context, op api.Operation, streams []string, l *lines) (sockets, error) {
	secrets, _ := op.Metadata["fds"].(map[string]any)
	var mu sync.Mutex
	conns := sockets{}
	var failed error
	open := func(stream string) {
		secret, _ := secrets[stream].(string)
		conn, err := s.websocket(ctx, op.ID, secret, l)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case stream == api.SecretNameControl && len(streams) == execSockets && isRefusal(err):
		case err != nil:
			failed = fmt.Errorf("connect to the command's streams: %w", err)
		default:
			// A server that pings and is gone before our answer has still said what
			// comes after its ping; an answer that fails must not hide that.
			conn.SetPingHandler(func(text string) error {
				_ = conn.WriteControl(websocket.PongMessage, []byte(text), time.Now().Add(time.Second))
				return nil
			})
			conns[stream] = conn
		}
	}
	var opening sync.WaitGroup
	for _, stream := range streams {
		if len(streams) == execSockets {
			opening.Go(func() { open(stream) })
		} else if failed == nil { // a terminal needs its control socket, which therefore is before what starts the command
			open(stream)
		}
	}
	opening.Wait()
	return conns, failed
}

func (s sockets) close() {
	for _, conn := range s {
		conn.Close()
	}
}

// drain reads a websocket until it is closed, so that pings on it are answered.
func drain(conn *websocket.Conn) {
	for {
		if _, _, err := conn.NextReader(); err != nil {
			return
		}
	}
}

// A result is how an operation ended.
type result struct {
	op  api.Operation
	err error
}

// finish waits until both output streams and the operation have ended. It
// returns early where one of them breaks.
func finish(ctx context.Context, stdout, stderr <-chan error, ended <-chan result) (result, error) {
	var end result
	var late <-chan time.Time
	for stdout != nil || stderr != nil || ended != nil {
		var err error
		select {
		case err = <-stdout:
			stdout = nil
		case err = <-stderr:
			stderr = nil
		case end = <-ended:
			ended = nil
			var failure *operationError
			if end.err != nil && !errors.As(end.err, &failure) {
				return end, end.err
			}
			timer := time.NewTimer(lateOutput)
			defer timer.Stop()
			late = timer.C
		case <-late:
			return end, errors.New("the command has ended, but the server does not end its output")
		case <-ctx.Done():
			return end, ctx.Err()
		}
		if err != nil {
			return end, fmt.Errorf("the command's output is not complete: %w", err)
		}
	}
	return end, nil
}

// exitCode reads the command's exit code from its operation. LXD calls a
// command that could not be run a failure and still has a code for it.
func exitCode(r result) (int, error) {
	code, ok := r.op.Metadata["return"].(float64)
	if ok && code >= 0 && code <= 255 {
		return int(code), nil
	}
	if r.err != nil {
		return -1, r.err
	}
	return -1, errors.New("the server does not tell the exit code")
}
