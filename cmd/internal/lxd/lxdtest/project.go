package lxdtest

import (
	"crypto/rand"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// A Project is an LXD project for one test.
type Project struct {
	Name   string
	Server client.InstanceServer // in the project
	all    client.InstanceServer
}

// NewProject makes a project whose instances look like those of icepak-test, which
// .ci/setup makes. They see the folder repo as /srv/repo, or where it is empty, the
// one that those see.
func NewProject(repo string) (*Project, error) { return NewProjectOn("lxc:local", repo) }

// NewProjectOn makes a project on a remote that is on this machine: lxc:local, or
// incus:local.
func NewProjectOn(remote, repo string) (*Project, error) {
	r, err := named(remote)
	if err != nil {
		return nil, err
	}
	server, err := client.ConnectLXDUnix(strings.TrimPrefix(r.Addr, "unix://"), nil)
	if err != nil {
		return nil, fmt.Errorf("%s does not answer: %w", remote, err)
	}
	model, _, err := server.UseProject("icepak-test").GetProfile("default")
	if err != nil {
		return nil, fmt.Errorf("project icepak-test: %w", err)
	}
	p := &Project{Name: "icepak-test-" + strings.ToLower(rand.Text()[:8]), all: server}
	if err := server.CreateProject(api.ProjectsPost{Name: p.Name, ProjectPut: api.ProjectPut{Config: map[string]string{
		"features.images": "true", "features.profiles": "true", "features.networks": "false",
	}}}); err != nil {
		return nil, fmt.Errorf("make project %s: %w", p.Name, err)
	}
	p.Server = server.UseProject(p.Name)
	devices := maps.Clone(model.Devices)
	if repo != "" {
		devices["repo"] = map[string]string{"type": "disk", "path": "/srv/repo", "source": repo, "readonly": "true"}
	}
	return p, p.Server.UpdateProfile("default", api.ProfilePut{Devices: devices}, "")
}

// OpenProject makes a project for a test, which fails if anything is left in it.
func OpenProject(t testing.TB, repo string) *Project {
	t.Helper()
	p, err := NewProject(repo)
	if err != nil {
		t.Fatalf("%v; .ci/setup readies this machine", err)
	}
	t.Cleanup(func() {
		for _, left := range p.Remove() {
			t.Error(left)
		}
	})
	return p
}

// Remove deletes the project with all that is in it, and returns what should not
// have been there, or could not be removed.
func (p *Project) Remove() []string {
	left := p.clear()
	if err := p.deleteProject(); err != nil {
		left = append(left, fmt.Sprintf("delete project: %v", err))
	}
	return left
}

// clear deletes all that is in the project.
func (p *Project) clear() []string {
	var left []string
	note := func(what string, err error) {
		if err != nil {
			left = append(left, fmt.Sprintf("%s: %v", what, err))
		}
	}
	instances, err := p.Server.GetInstances(api.InstanceTypeAny)
	note("list instances", err)
	for _, i := range instances {
		left = append(left, fmt.Sprintf("instance %s was left behind", i.Name))
		note("stop "+i.Name, p.wait(p.Server.UpdateInstanceState(i.Name, api.InstanceStatePut{Action: "stop", Force: true, Timeout: -1}, "")))
		note("delete "+i.Name, p.wait(p.Server.DeleteInstance(i.Name)))
	}
	images, err := p.Server.GetImages()
	note("list images", err)
	for _, image := range images {
		note("delete image", p.wait(p.Server.DeleteImage(image.Fingerprint)))
	}
	return left
}

func (p *Project) wait(op client.Operation, err error) error {
	if err != nil {
		return err
	}
	return op.Wait()
}

// deleteProject tries for a while: LXD may still be letting go of what was in it.
func (p *Project) deleteProject() error {
	var err error
	for range 50 {
		if err = p.all.DeleteProject(p.Name); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}
