// Package fakevm is a server that speaks as much of LXD's API as icepak needs of
// one that runs virtual machines, which few test machines can. Its guests are
// folders: programs that are pushed into one are really run, on this machine.
package fakevm

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canonical/lxd/shared/api"
)

// Never is a number of looks that is never reached.
const Never = 1 << 30

// A Server's fields are set before it is started. What is counted in looks is
// counted in requests for the state of an instance: no clock decides anything.
type Server struct {
	Extensions []string
	Driver     string                       // default: lxc | qemu
	Incus      bool                         // it is one, and no LXD
	Images     map[string]map[string]string // properties of virtual machines' images, by fingerprint
	Metadata   map[string]string            // properties that images which are uploaded have
	Members    map[string]string            // of a cluster, which it then is: their status by name

	Agent      int      // the look that finds the agent first
	Stops      int      // the look that finds the virtual machine stopped; zero: none
	Dies       int      // the look that the server does not answer, nor anything later; zero: none
	Unsigned   bool     // the boot loader is not signed: secure boot comes to nothing
	ReadOnly   []string // folders of guests where nothing can be written
	NoPrograms []string // folders of guests where nothing can be run

	// Takes is how long create, start, stop, delete, write and exec take; none: no time.
	Takes map[string]time.Duration
	// Replay, where it is set, says what a program that is given so much says. Nothing
	// is run then, and what is written into guests is thrown away.
	Replay func(given []byte) []byte

	t     testing.TB
	http  *httptest.Server
	dir   string
	mu    sync.Mutex
	all   map[string]*instance
	ops   map[string]*operation
	made  []api.InstancesPost
	on    []string // the members that each was to be made on
	moved []string
	dead  atomic.Bool
}

// Start starts the server and returns its address. It ends with the test.
func (s *Server) Start(t testing.TB) string {
	t.Helper()
	s.t, s.all, s.ops = t, map[string]*instance{}, map[string]*operation{}
	var err error
	if s.dir, err = os.MkdirTemp("", "fakevm"); err != nil { // a socket's path must be short
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(s.dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	s.http = &httptest.Server{Listener: listener, Config: &http.Server{Handler: s.routes()}}
	s.http.Start()
	t.Cleanup(func() {
		s.http.CloseClientConnections()
		s.http.Close()
		os.RemoveAll(s.dir)
	})
	return "unix:" + filepath.Join(s.dir, "socket")
}

// Made returns the requests by which instances were created.
func (s *Server) Made() []api.InstancesPost {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.made)
}

// Targets returns the members that instances were to be created on, one each.
func (s *Server) Targets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.on)
}

// Moved returns what instances were told to do: start, stop, restart, delete.
func (s *Server) Moved() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.moved)
}

// Unplug ends the agents of what runs.
func (s *Server) Unplug() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.all {
		in.mute = true
	}
}

// Left returns the files that are in instances which were not deleted.
func (s *Server) Left() []string {
	var left []string
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range s.all {
		_ = filepath.WalkDir(in.dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				left = append(left, path[len(in.dir):])
			}
			return err
		})
	}
	return left
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if s.dead.Load() {
				panic(http.ErrAbortHandler)
			}
			answer, err := f(r)
			s.answer(w, answer, err)
		})
	}
	one := func(pattern string, f func(*instance, *http.Request) (any, error)) {
		handle(pattern, func(r *http.Request) (any, error) {
			s.mu.Lock()
			in := s.all[r.PathValue("name")]
			s.mu.Unlock()
			if in == nil {
				return nil, notFound
			}
			return f(in, r)
		})
	}
	handle("GET /1.0", func(*http.Request) (any, error) { return s.info(), nil })
	handle("GET /1.0/projects/{name}", func(*http.Request) (any, error) { return struct{}{}, nil })
	handle("GET /1.0/resources", s.resources)
	handle("GET /1.0/cluster/members", func(*http.Request) (any, error) { return s.members(), nil })
	handle("GET /1.0/cluster/members/{name}", func(r *http.Request) (any, error) {
		return api.ClusterMember{ServerName: r.PathValue("name"), Status: s.Members[r.PathValue("name")]}, nil
	})
	handle("POST /1.0/images", s.upload)
	handle("GET /1.0/images/{fingerprint}", s.getImage)
	handle("DELETE /1.0/images/{fingerprint}", s.deleteImage)
	handle("GET /1.0/instances", s.list)
	handle("POST /1.0/instances", s.create)
	one("GET /1.0/instances/{name}", func(in *instance, _ *http.Request) (any, error) { return s.show(in), nil })
	one("DELETE /1.0/instances/{name}", s.delete)
	one("GET /1.0/instances/{name}/state", s.state)
	one("PUT /1.0/instances/{name}/state", s.move)
	one("POST /1.0/instances/{name}/files", s.write)
	one("DELETE /1.0/instances/{name}/files", s.remove)
	one("POST /1.0/instances/{name}/exec", s.exec)
	handle("GET /1.0/operations/{id}", s.operation)
	handle("GET /1.0/operations/{id}/wait", s.wait)
	mux.HandleFunc("GET /1.0/operations/{id}/websocket", s.websocket)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { s.answer(w, nil, notFound) })
	return mux
}

// A refusal is an error with LXD's code.
type refusal struct {
	code int
	text string
}

func (r refusal) Error() string { return r.text }

var notFound = refusal{http.StatusNotFound, "Not Found"}

func (s *Server) answer(w http.ResponseWriter, v any, err error) {
	if errors.Is(err, http.ErrAbortHandler) || errors.Is(err, io.ErrUnexpectedEOF) { // or it was killed
		panic(http.ErrAbortHandler) // the client gets no answer
	}
	body := api.ResponseRaw{Type: api.SyncResponse, Status: "Success", StatusCode: 200, Metadata: v}
	code := http.StatusOK
	switch v := v.(type) {
	case created:
		code = http.StatusAccepted
		op := v.now()
		body = api.ResponseRaw{Type: api.AsyncResponse, Status: "Operation created", StatusCode: 100, Operation: "/1.0/operations/" + op.ID, Metadata: op}
	case *operation:
		body.Metadata = v.now()
	}
	var no refusal
	if errors.As(err, &no) {
		code = no.code
		body = api.ResponseRaw{Type: api.ErrorResponse, Code: no.code, Error: no.text}
	} else if err != nil {
		s.t.Errorf("fakevm: %v", err)
		code = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone
}

func (s *Server) members() []api.ClusterMember {
	var all []api.ClusterMember
	for _, name := range slices.Sorted(maps.Keys(s.Members)) {
		all = append(all, api.ClusterMember{ServerName: name, Status: s.Members[name], Architecture: "x86_64"})
	}
	return all
}

// resources are those of a member: as many CPUs as its name has letters.
func (s *Server) resources(r *http.Request) (any, error) {
	found := api.Resources{}
	if name := r.URL.Query().Get("target"); name != "" {
		found.CPU.Total = uint64(len(name))
		found.Memory.Total = 64 << 30
	}
	return found, nil
}

func (s *Server) info() api.Server {
	info := api.Server{ServerUntrusted: api.ServerUntrusted{Auth: "trusted", APIVersion: "1.0", APIExtensions: s.Extensions}}
	info.Environment = api.ServerEnvironment{Server: "lxd", ServerVersion: "5.0.2", Driver: s.Driver, Architectures: []string{"x86_64", "aarch64"}}
	if info.Environment.ServerClustered = len(s.Members) > 0; len(s.Members) > 0 {
		info.APIExtensions = append(slices.Clone(info.APIExtensions), "clustering")
	}
	if s.Incus {
		info.Environment.Server, info.Environment.ServerVersion = "incus", "6.0.4"
	}
	if s.Driver == "" {
		info.Environment.Driver = "lxc | qemu"
	}
	return info
}
