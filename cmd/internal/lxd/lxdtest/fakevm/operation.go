package fakevm

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/canonical/lxd/shared/api"
	"github.com/canonical/lxd/shared/ws"
	"github.com/gorilla/websocket"
)

// An operation is one that has ended, or a command.
type operation struct {
	mu    sync.Mutex
	op    api.Operation
	ended chan struct{} // closed at its end

	conns map[string]*websocket.Conn // a command's, by the names of streams
	start func(conns map[string]*websocket.Conn)
}

// A created operation is the answer to what has begun it.
type created struct{ *operation }

func (o *operation) now() api.Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.op
}

func (o *operation) end(err error, code int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.op.StatusCode = api.Success
	if err != nil {
		o.op.StatusCode, o.op.Err = api.Failure, err.Error()
	}
	o.op.Status = o.op.StatusCode.String()
	o.op.Metadata = map[string]any{"return": code}
	close(o.ended)
}

// newOperation is called with the server's lock held.
func (s *Server) newOperation() *operation {
	o := &operation{op: api.Operation{ID: rand.Text(), StatusCode: api.Running, Status: "Running"}, ended: make(chan struct{})}
	s.ops[o.op.ID] = o
	return o
}

func (s *Server) done(err error) created {
	o := s.newOperation()
	o.end(err, 0)
	return created{o}
}

func (s *Server) operation(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.ops[r.PathValue("id")]; o != nil {
		return o, nil
	}
	return nil, notFound
}

func (s *Server) wait(r *http.Request) (any, error) {
	found, err := s.operation(r)
	if err != nil {
		return nil, err
	}
	select {
	case <-found.(*operation).ended:
	case <-r.Context().Done():
	}
	return found, nil
}

// exec makes a command that begins when its streams are there.
func (s *Server) exec(in *instance, r *http.Request) (any, error) {
	var post api.InstanceExecPost
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		return nil, err
	}
	program, err := s.inside(in, post.Command[0])
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.newOperation()
	fds := map[string]any{}
	for _, stream := range []string{"0", "1", "2", api.SecretNameControl} {
		fds[stream] = stream
	}
	o.op.Metadata = map[string]any{"fds": fds}
	o.conns = map[string]*websocket.Conn{}
	ctx, kill := context.WithCancel(context.WithoutCancel(r.Context()))
	in.kill = append(in.kill, kill)
	o.start = func(conns map[string]*websocket.Conn) {
		defer kill()
		go func() {
			defer kill() // as its client is gone
			for {
				if _, _, err := conns[api.SecretNameControl].NextReader(); err != nil {
					return
				}
			}
		}()
		code, err := 126, errors.New("fork/exec: permission denied")
		if s.Replay != nil {
			code, err = s.replay(conns)
		} else if !slices.Contains(s.NoPrograms, filepath.Dir(post.Command[0])) {
			code, err = run(ctx, exec.CommandContext(ctx, program, post.Command[1:]...), conns)
		}
		o.end(err, code)
		for _, name := range []string{"1", "2"} {
			ws.NewWrapper(conns[name]).Close() // the end of the stream, which stays open
		}
	}
	return created{o}, nil
}

// run runs the command and returns its exit code.
func run(ctx context.Context, cmd *exec.Cmd, conns map[string]*websocket.Conn) (int, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return -1, err
	}
	go func() {
		defer stdin.Close()
		_, _ = io.Copy(stdin, ws.NewWrapper(conns["0"])) // which ends with the client
	}()
	cmd.Stdout, cmd.Stderr = ws.NewWrapper(conns["1"]), ws.NewWrapper(conns["2"])
	cmd.Dir = "/"
	err = cmd.Run()
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 137, nil
	case errors.As(err, &ended):
		return ended.ExitCode(), nil
	case errors.Is(err, fs.ErrNotExist):
		return 127, nil
	}
	return 0, err
}

// websocket takes a command's stream.
func (s *Server) websocket(w http.ResponseWriter, r *http.Request) {
	found, err := s.operation(r)
	if err != nil {
		s.answer(w, nil, err)
		return
	}
	o := found.(*operation)
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		s.t.Errorf("fakevm: %v", err)
		return
	}
	s.t.Cleanup(func() { conn.Close() })
	o.mu.Lock()
	o.conns[r.URL.Query().Get("secret")] = conn
	all := len(o.conns) == 4
	o.mu.Unlock()
	if all {
		o.start(o.conns)
	}
}

// writeProgram writes a file that may be run. No other program is begun meanwhile: it
// would hold the file open for writing until it is executed, and this one could not be.
func writeProgram(path string, from io.Reader) error {
	data, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, data, 0o755)
}
