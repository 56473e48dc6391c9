package main

import (
	"crypto/rand"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	lxd "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// A project is an LXD project for one script.
type project struct {
	name   string
	server lxd.InstanceServer // in the project
	all    lxd.InstanceServer
}

// newProject makes a project whose instances look like those of icepak-test, which
// .ci/setup makes.
func newProject() (*project, error) {
	server, err := lxd.ConnectLXDUnix("", nil)
	if err != nil {
		return nil, fmt.Errorf("no LXD answers: %w", err)
	}
	model, _, err := server.UseProject("icepak-test").GetProfile("default")
	if err != nil {
		return nil, fmt.Errorf("project icepak-test: %w", err)
	}
	p := &project{name: "icepak-test-" + strings.ToLower(rand.Text()[:8]), all: server}
	if err := server.CreateProject(api.ProjectsPost{Name: p.name, ProjectPut: api.ProjectPut{Config: map[string]string{
		"features.images": "true", "features.profiles": "true", "features.networks": "false",
	}}}); err != nil {
		return nil, fmt.Errorf("make project %s: %w", p.name, err)
	}
	p.server = server.UseProject(p.name)
	devices := maps.Clone(model.Devices)
	return p, p.server.UpdateProfile("default", api.ProfilePut{Devices: devices}, "")
}

// openProject makes a project for a test, which fails if anything is left in it.
func openProject(t testing.TB) *project {
	t.Helper()
	p, err := newProject()
	if err != nil {
		t.Fatalf("%v; .ci/setup readies this machine", err)
	}
	t.Cleanup(func() {
		for _, left := range p.remove() {
			t.Error(left)
		}
	})
	return p
}

// remove deletes the project with all that is in it, and returns what should not
// have been there, or could not be removed.
func (p *project) remove() []string {
	var left []string
	note := func(what string, err error) {
		if err != nil {
			left = append(left, fmt.Sprintf("%s: %v", what, err))
		}
	}
	instances, err := p.server.GetInstances(api.InstanceTypeAny)
	note("list instances", err)
	for _, i := range instances {
		left = append(left, fmt.Sprintf("instance %s was left behind", i.Name))
		note("stop "+i.Name, p.wait(p.server.UpdateInstanceState(i.Name, api.InstanceStatePut{Action: "stop", Force: true, Timeout: -1}, "")))
		note("delete "+i.Name, p.wait(p.server.DeleteInstance(i.Name)))
	}
	images, err := p.server.GetImages()
	note("list images", err)
	for _, image := range images {
		note("delete image", p.wait(p.server.DeleteImage(image.Fingerprint)))
	}
	note("delete project", p.deleteProject())
	return left
}

func (p *project) wait(op lxd.Operation, err error) error {
	if err != nil {
		return err
	}
	return op.Wait()
}

// deleteProject tries for a while: LXD may still be letting go of what was in it.
func (p *project) deleteProject() error {
	var err error
	for range 50 {
		if err = p.all.DeleteProject(p.name); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}
