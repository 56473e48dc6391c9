package fakevm

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/canonical/lxd/shared/api"
)

// An instance is a guest, with a folder.
type instance struct {
	post    api.InstancesPost
	dir     string
	image   map[string]string // its properties
	running bool
	starts  int
	looks   int // since the last start
	mute    bool
	kill    []func()
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
	time.Sleep(s.Takes["create"])
	s.mu.Lock()
	defer s.mu.Unlock()
	image, ok := s.Images[post.Source.Fingerprint]
	switch {
	case !ok && post.Source.Server == "":
		return nil, refusal{http.StatusNotFound, "Image not found"}
	case !ok:
		s.addImage(post.Source.Fingerprint, nil)
	}
	dir := filepath.Join(s.dir, rand.Text())
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	s.all[post.Name] = &instance{post: post, dir: dir, image: image}
	s.made = append(s.made, post)
	s.on = append(s.on, r.URL.Query().Get("target"))
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
	if in.running {
		state.Pid = 1000 + int64(in.starts)
	}
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
	return in.running && !in.mute && in.looks >= s.Agent && (!s.Unsigned || !secureBoot(in))
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
	time.Sleep(s.Takes[put.Action])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved = append(s.moved, put.Action)
	if put.Action != "start" {
		in.halt()
	}
	if put.Action != "stop" {
		if in.post.Type == api.InstanceTypeVM && in.image["requirements.secureboot"] == "false" && secureBoot(in) {
			return s.done(refusal{http.StatusBadRequest, "The image used by this instance is incompatible with secureboot. Please set security.secureboot=false on the instance"}), nil
		}
		in.running, in.looks, in.mute, in.starts = true, 0, false, in.starts+1
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
	time.Sleep(s.Takes["delete"])
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
	time.Sleep(s.Takes["write"])
	if s.Replay != nil {
		_, err := io.Copy(io.Discard, r.Body)
		return struct{}{}, err
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
