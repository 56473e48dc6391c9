package lxd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// instance asks for an instance of a project.
func (s *Server) instance(ctx context.Context, project, name string) (*api.Instance, error) {
	var found *api.Instance
	err := s.call(ctx, func(c client.InstanceServer) (err error) {
		found, _, err = c.UseProject(project).GetInstance(name)
		return err
	})
	return found, err
}

// Instance returns an instance that exists. A name that does not gives a
// *NotFoundError.
func (s *Server) Instance(ctx context.Context, name string) (*Instance, error) {
	found, err := s.instance(ctx, s.project, name)
	if err != nil {
		if isNotFound(err) {
			err = &NotFoundError{What: "instance", Name: name}
		}
		return nil, err
	}
	properties := map[string]string{}
	for key, value := range found.Config {
		if key, ok := strings.CutPrefix(key, "image."); ok {
			properties[key] = value
		}
	}
	gpu := false
	for _, device := range found.ExpandedDevices {
		gpu = gpu || device["type"] == "gpu"
	}
	return &Instance{
		server:       s,
		name:         name,
		architecture: architecture(found.Architecture),
		typ:          found.Type,
		properties:   properties,
		image:        found.Config["volatile.base_image"],
		gpu:          gpu,
	}, nil
}

// A Labelled instance carries a configuration key that was asked for.
type Labelled struct {
	Name      string
	Project   string
	Type      string
	Status    string
	Config    map[string]string
	CreatedAt time.Time
}

// Labelled returns the instances that have the configuration key, of all
// projects where we may see them, else of the remote's project.
func (s *Server) Labelled(ctx context.Context, key string) ([]Labelled, error) {
	var all []api.Instance
	err := s.call(ctx, func(c client.InstanceServer) (err error) {
		all, err = c.GetInstancesAllProjects(api.InstanceTypeAny)
		if api.StatusErrorCheck(err, http.StatusForbidden, http.StatusBadRequest) {
			all, err = c.GetInstances(api.InstanceTypeAny)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("instances of remote %s: %w", s.name, err)
	}
	var found []Labelled
	for _, i := range all {
		if _, ok := i.Config[key]; ok {
			found = append(found, Labelled{i.Name, i.Project, i.Type, i.Status, i.Config, i.CreatedAt})
		}
	}
	return found, nil
}

const (
	deleteTries = 4 // of a deletion that fails for no passing reason
	deletePause = 250 * time.Millisecond
	// stopTimeout is how long the end of a stop is waited for. After an exec that
	// was cut off, LXD 5.0 has been seen to take a minute for it.
	stopTimeout = 15 * time.Second
)

// DeleteInstance stops an instance by force and deletes it. One that is gone
// is no error; one that is busy is tried again until ctx ends, and a server
// that does not answer for half a minute.
func (s *Server) DeleteInstance(ctx context.Context, project, name string) error {
	if project == "" {
		project = s.project
	}
	heard := time.Now()
	for try := 1; ; {
		err := s.tryDelete(ctx, project, name)
		if err == nil || isNotFound(err) {
			return nil
		}
		if Refused(err) {
			heard = time.Now()
			if !strings.Contains(err.Error(), "busy running") {
				try++
			}
		}
		if try > deleteTries || time.Since(heard) > silence {
			return fmt.Errorf("delete %s: %w", name, err)
		}
		if sleep(ctx, deletePause) != nil {
			return fmt.Errorf("delete %s: %w (last: %w)", name, ctx.Err(), err)
		}
	}
}

func (s *Server) tryDelete(ctx context.Context, project, name string) error {
	// It may have stopped, or stop by itself just now: what counts is whether it can
	// be deleted.
	stop := api.InstanceStatePut{Action: "stop", Force: true, Timeout: -1}
	stopping, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	err := s.run(stopping, func(c client.InstanceServer) (client.Operation, error) {
		return c.UseProject(project).UpdateInstanceState(name, stop, "")
	})
	if isNotFound(err) || err != nil && ctx.Err() != nil {
		return err
	}
	err = s.run(ctx, func(c client.InstanceServer) (client.Operation, error) {
		return c.UseProject(project).DeleteInstance(name)
	})
	if errors.Is(err, errLost) {
		// Whether it was done shows in the instance.
		if _, gone := s.instance(ctx, project, name); isNotFound(gone) {
			return gone
		}
	}
	return err
}
