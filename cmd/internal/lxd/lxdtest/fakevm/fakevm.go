// Package fakevm is a server that speaks as much of LXD's API as icepak needs of
// one that runs virtual machines, which few test machines can. Its guests are
// folders: programs that are pushed into one are really run, on this machine.
package fakevm

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/canonical/lxd/shared/api"
)

// Never is a number of looks that is never reached.
const Never = 1 << 30

// A Server's fields are set before it is started. What is counted in looks is
// counted in requests for the state of an instance: no clock decides anything.
type Server struct {
	Extensions []string
	Driver     string                       // default: lxc | qemu
	Images     map[string]map[string]string // properties of virtual machines' images, by fingerprint

	Agent      int      // the look that finds the agent first
	Stops      int      // the look that finds the virtual machine stopped; zero: none
	Dies       int      // the look that the server does not answer, nor anything later; zero: none
	Unsigned   bool     // the boot loader is not signed: secure boot comes to nothing
	ReadOnly   []string // folders of guests where nothing can be written
	NoPrograms []string // folders of guests where nothing can be run

	t     testing.TB
	http  *httptest.Server
	dir   string
	mu    sync.Mutex
	all   map[string]*instance
	ops   map[string]*operation
	made  []api.InstancesPost
	moved []string
	dead  atomic.Bool
}

// An instance is a guest, with a folder.
type instance struct {
	post    api.InstancesPost
	dir     string
	image   map[string]string // its properties
	running bool
	looks   int // since the last start
	kill    []func()
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

// Moved returns what instances were told to do: start, stop, restart, delete.
func (s *Server) Moved() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.moved)
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
	handle("GET /1.0/resources", func(*http.Request) (any, error) { return struct{}{}, nil })
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
	if errors.Is(err, http.ErrAbortHandler) {
		panic(err) // the client gets no answer
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

func (s *Server) info() api.Server {
	info := api.Server{ServerUntrusted: api.ServerUntrusted{Auth: "trusted", APIVersion: "1.0", APIExtensions: s.Extensions}}
	info.Environment = api.ServerEnvironment{Server: "lxd", ServerVersion: "5.0.2", Driver: s.Driver, Architectures: []string{"x86_64", "aarch64"}}
	if s.Driver == "" {
		info.Environment.Driver = "lxc | qemu"
	}
	return info
}

func (s *Server) getImage(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fingerprint := r.PathValue("fingerprint")
	properties, ok := s.Images[fingerprint]
	if !ok {
		return nil, notFound
	}
	img := api.Image{Fingerprint: fingerprint, Type: "virtual-machine", Architecture: "x86_64"}
	img.Properties = properties
	return img, nil
}

func (s *Server) deleteImage(r *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.Images, r.PathValue("fingerprint"))
	return s.done(nil), nil
}

func (s *Server) list(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []api.Instance{}
	for _, in := range s.all {
		all = append(all, s.show(in))
	}
	return all, nil
}

// create makes an instance. An image that comes from a feed is then there.
func (s *Server) create(r *http.Request) (any, error) {
	var post api.InstancesPost
	if err := json.NewDecoder(r.Body).Decode(&post); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	image, ok := s.Images[post.Source.Fingerprint]
	switch {
	case !ok && post.Source.Server == "":
		return nil, refusal{http.StatusNotFound, "Image not found"}
	case !ok:
		if s.Images == nil {
			s.Images = map[string]map[string]string{}
		}
		s.Images[post.Source.Fingerprint] = nil
	}
	dir := filepath.Join(s.dir, rand.Text())
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	s.all[post.Name] = &instance{post: post, dir: dir, image: image}
	s.made = append(s.made, post)
	return s.done(nil), nil
}

func (s *Server) show(in *instance) api.Instance {
	status := api.Stopped
	if in.running {
		status = api.Running
	}
	config := map[string]string{}
	for key, value := range in.image {
		config["image."+key] = value
	}
	for key, value := range in.post.Config {
		config[key] = value
	}
	return api.Instance{
		Name: in.post.Name, Type: string(in.post.Type), Architecture: "x86_64", Status: status.String(), StatusCode: status,
		Config: config, ExpandedConfig: config, Devices: in.post.Devices, Project: "default",
	}
}

// state is a look at the instance.
func (s *Server) state(in *instance, _ *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in.looks++
	if s.Dies > 0 && in.looks >= s.Dies {
		s.dead.Store(true)
		return nil, http.ErrAbortHandler
	}
	if s.Stops > 0 && in.looks >= s.Stops {
		in.halt()
	}
	shown := s.show(in)
	state := api.InstanceState{Status: shown.Status, StatusCode: shown.StatusCode, Processes: -1}
	if s.reaches(in) {
		state.Processes = 20
	}
	return state, nil
}

// reaches tells whether something in the instance answers the server.
func (s *Server) reaches(in *instance) bool {
	if in.post.Type != api.InstanceTypeVM {
		return in.running
	}
	return in.running && in.looks >= s.Agent && (!s.Unsigned || !secureBoot(in))
}

func secureBoot(in *instance) bool {
	return in.post.Config["boot.mode"] != "uefi-nosecureboot" && in.post.Config["security.secureboot"] != "false"
}

// move starts, stops or restarts the instance.
func (s *Server) move(in *instance, r *http.Request) (any, error) {
	var put api.InstanceStatePut
	if err := json.NewDecoder(r.Body).Decode(&put); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = append(s.moved, put.Action)
	if put.Action != "start" {
		in.halt()
	}
	if put.Action != "stop" {
		if in.post.Type == api.InstanceTypeVM && in.image["requirements.secureboot"] == "false" && secureBoot(in) {
			return s.done(errors.New("The image used by this instance is incompatible with secureboot. Please set security.secureboot=false on the instance")), nil
		}
		in.running, in.looks = true, 0
	}
	return s.done(nil), nil
}

// halt ends what runs in the instance, and forgets what is in its memory.
func (in *instance) halt() {
	in.running = false
	for _, kill := range in.kill {
		kill()
	}
	in.kill = nil
	for _, dir := range []string{"run", "tmp", "dev"} {
		os.RemoveAll(filepath.Join(in.dir, dir))
	}
}

func (s *Server) delete(in *instance, _ *http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = append(s.moved, "delete")
	in.halt()
	delete(s.all, in.post.Name)
	return s.done(os.RemoveAll(in.dir)), nil
}

// errAgent is what LXD says of a virtual machine without an agent.
var errAgent = refusal{http.StatusInternalServerError, "LXD VM agent isn't currently running"}

// inside is where the path of a guest is on this machine.
func (s *Server) inside(in *instance, path string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.post.Type == api.InstanceTypeVM && !s.reaches(in) {
		return "", errAgent
	}
	return filepath.Join(in.dir, filepath.Clean("/"+path)), nil
}

func (s *Server) write(in *instance, r *http.Request) (any, error) {
	path := r.URL.Query().Get("path")
	to, err := s.inside(in, path)
	if err != nil {
		return nil, err
	}
	if slices.Contains(s.ReadOnly, filepath.Dir(path)) {
		return nil, refusal{http.StatusInternalServerError, fmt.Sprintf("open %s: read-only file system", path)}
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return nil, err
	}
	return struct{}{}, writeProgram(to, r.Body)
}

func (s *Server) remove(in *instance, r *http.Request) (any, error) {
	path, err := s.inside(in, r.URL.Query().Get("path"))
	if err != nil {
		return nil, err
	}
	if os.Remove(path) != nil {
		return nil, notFound
	}
	return struct{}{}, nil
}
