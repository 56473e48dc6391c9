package lxd

import (
	"context"
	"fmt"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// A Capacity is what there is to run instances with. What is not known is zero.
type Capacity struct {
	CPUs   int   // threads
	Memory int64 // that is not in use, in bytes
}

// A Member is one of a cluster's servers.
type Member struct {
	Name         string
	Architecture string // native, by the name that images have: amd64, arm64
	Online       bool
}

// Clustered tells whether the server is one of a cluster's.
func (s *Server) Clustered() bool { return s.info.Environment.ServerClustered }

// Members returns the servers of the cluster; none where the server is in no cluster.
func (s *Server) Members(ctx context.Context) ([]Member, error) {
	if !s.Clustered() {
		return nil, nil
	}
	var all []api.ClusterMember
	err := s.call(ctx, func(c client.InstanceServer) (err error) {
		all, err = c.GetClusterMembers()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("members of remote %s: %w", s.name, err)
	}
	var members []Member
	for _, m := range all {
		members = append(members, Member{m.ServerName, architecture(m.Architecture), m.Status == "Online"})
	}
	return members, nil
}

// Capacity returns that of the server, or of a cluster's member where one is named.
func (s *Server) Capacity(ctx context.Context, member string) (Capacity, error) {
	var resources *api.Resources
	err := s.call(ctx, func(c client.InstanceServer) (err error) {
		if member != "" {
			c = c.UseTarget(member)
		}
		resources, err = c.GetServerResources()
		return err
	})
	if err != nil {
		return Capacity{}, fmt.Errorf("resources of remote %s: %w", s.name, err)
	}
	c := Capacity{CPUs: int(resources.CPU.Total)}
	if m := resources.Memory; m.Total > m.Used {
		c.Memory = int64(m.Total - m.Used)
	}
	return c, nil
}

// aliveTime is how long a server may take to say that it is alive.
const aliveTime = 15 * time.Second

// Alive asks whether the server answers, and the cluster's member is online where one
// is named. The error is an *UnreachableError where it does not.
func (s *Server) Alive(ctx context.Context, member string) error {
	ctx, cancel := context.WithTimeout(ctx, aliveTime)
	defer cancel()
	status := ""
	err := s.call(ctx, func(c client.InstanceServer) error {
		_, _, err := c.GetServer()
		if err == nil && member != "" {
			var m *api.ClusterMember
			if m, _, err = c.GetClusterMember(member); err == nil && m.Status != "Online" {
				status = m.Status
			}
		}
		return err
	})
	switch {
	case err != nil:
		return &UnreachableError{Remote: s.name, Addr: s.addr, Err: err}
	case status != "":
		return fmt.Errorf("remote %s: the member %s is %s", s.name, member, status)
	}
	return nil
}
