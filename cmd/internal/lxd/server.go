// Package lxd launches instances on LXD servers and talks to their guests. It
// also works with Incus.
//
// It uses LXD's own client library, and sees to it that a call ends when its
// context does: a test run must end when it is told to, whatever a server does.
package lxd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

const connectTimeout = 30 * time.Second

// A Server is a connection to a remote, in the remote's project. It is safe
// for concurrent use.
type Server struct {
	name      string
	addr      string
	project   string
	userAgent string
	transport *http.Transport
	info      api.Server
}

// Connect connects to the remote and finds out whether it trusts us. The
// context bounds connecting only. Errors are *UnreachableError,
// *CertificateError, *UntrustedError, and a *NotFoundError for the project.
func Connect(ctx context.Context, r Remote, userAgent string) (*Server, error) {
	if r.AuthType == "oidc" {
		return nil, fmt.Errorf("remote %s logs in with OpenID Connect, which needs a person: let it trust a client certificate", r.Name)
	}
	transport, err := newTransport(r)
	if err != nil {
		return nil, err
	}
	s := &Server{name: r.Name, addr: r.Addr, project: r.Project, userAgent: userAgent, transport: transport}
	greeting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := s.greet(greeting); err != nil {
		s.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return s, nil
}

func (s *Server) greet(ctx context.Context) error {
	err := s.call(ctx, func(c client.InstanceServer) error {
		info, _, err := c.GetServer()
		if err == nil {
			s.info = *info
		}
		return err
	})
	var certificate *CertificateError
	switch {
	case errors.As(err, &certificate):
		return certificate
	case err != nil:
		return &UnreachableError{Remote: s.name, Addr: s.addr, Err: err}
	case s.info.Auth != "trusted":
		return &UntrustedError{Remote: s.name}
	case s.project == "" || s.project == api.ProjectDefaultName:
		return nil
	}
	err = s.call(ctx, func(c client.InstanceServer) error {
		_, _, err := c.GetProject(s.project)
		return err
	})
	if isNotFound(err) {
		err = &NotFoundError{What: "project", Name: s.project}
	}
	if err != nil {
		return fmt.Errorf("remote %s: %w", s.name, err)
	}
	return nil
}

// Name returns the remote's name.
func (s *Server) Name() string { return s.name }

// Close gives up connections that are not in use.
func (s *Server) Close() { s.transport.CloseIdleConnections() }

// Version returns the version of LXD or Incus.
func (s *Server) Version() string { return s.info.Environment.ServerVersion }

// IsIncus tells whether the server is Incus.
func (s *Server) IsIncus() bool { return s.info.Environment.Server == "incus" }

// Architectures returns what the server can run, the native one first, by the
// names that images have: amd64, arm64.
func (s *Server) Architectures() []string {
	var names []string
	for _, name := range s.info.Environment.Architectures {
		names = append(names, architecture(name))
	}
	return names
}

// architecture turns the kernel's name of an architecture into that of images.
func architecture(name string) string {
	switch name {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	}
	return name
}

// SupportsVM tells whether virtual machines can run on the server. LXD lists
// only drivers that are operational.
func (s *Server) SupportsVM() bool {
	return slices.Contains(strings.Fields(s.info.Environment.Driver), "qemu")
}

// GPUVendors returns whose GPUs the server has: amd, nvidia, in this order.
func (s *Server) GPUVendors(ctx context.Context) ([]string, error) {
	var resources *api.Resources
	err := s.call(ctx, func(c client.InstanceServer) (err error) {
		resources, err = c.GetServerResources()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("resources of remote %s: %w", s.name, err)
	}
	var vendors []string
	for _, card := range resources.GPU.Cards {
		switch strings.ToLower(card.VendorID) {
		case "10de":
			vendors = append(vendors, "nvidia")
		case "1002":
			vendors = append(vendors, "amd")
		}
	}
	slices.Sort(vendors)
	return slices.Compact(vendors), nil
}
