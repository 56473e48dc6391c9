// Package lxd launches instances on LXD servers and talks to their guests. It
// also works with Incus.
//
// It uses LXD's own client library, and sees to it that a call ends when its
// context does: a test run must end when it is told to, whatever a server does.
package lxd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
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
	spares    *spares
	info      api.Server
	shown     atomic.Pointer[string] // the fingerprint of the certificate that it showed last
}

// Connect connects to the remote and finds out whether it trusts us. The
// context bounds connecting only. Errors are *UnreachableError,
// *CertificateError, *UntrustedError, and a *NotFoundError for the project.
func Connect(ctx context.Context, r Remote, userAgent string) (*Server, error) {
	s, err := newServer(r, userAgent)
	if err != nil {
		return nil, err
	}
	// The project is asked for at the same time, by a connection of its own.
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	project := make(chan error, 1)
	go func() {
		defer close(project)
		project <- s.knowsProject(asking)
	}()
	err = s.first(ctx, s.greet)
	if err == nil {
		err = s.first(ctx, func(ctx context.Context) error { return s.admitted(ctx, project) })
	}
	if err != nil {
		cancel()
		for range project { // until it is closed: then nothing is asked any more
		}
		s.Close()
		return nil, err
	}
	return s, nil
}

// open connects to the remote, whatever that thinks of us.
func open(ctx context.Context, r Remote, userAgent string) (*Server, error) {
	s, err := newServer(r, userAgent)
	if err != nil {
		return nil, err
	}
	return s, s.first(ctx, s.greet)
}

// newServer returns one that nothing was asked of yet.
func newServer(r Remote, userAgent string) (*Server, error) {
	if r.AuthType == "oidc" {
		return nil, fmt.Errorf("remote %s logs in with OpenID Connect, which needs a person: let it trust a client certificate", r.Name)
	}
	transport, err := newTransport(r)
	if err != nil {
		return nil, err
	}
	s := &Server{name: r.Name, addr: r.Addr, project: r.Project, userAgent: userAgent, transport: transport, spares: &spares{}}
	if config := transport.TLSClientConfig; config != nil {
		verify := config.VerifyConnection
		config.VerifyConnection = func(state tls.ConnectionState) error {
			if err := verify(state); err != nil {
				return err
			}
			fingerprint := fingerprintOf(state.PeerCertificates[0])
			s.shown.Store(&fingerprint)
			return nil
		}
	}
	if transport.TLSClientConfig != nil {
		transport.DialTLSContext = s.connection
	}
	return s, nil
}

// first is a call of a new connection, which is closed where that fails.
func (s *Server) first(ctx context.Context, f func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	err := f(bounded)
	if err == nil {
		return nil
	}
	s.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// greet asks the server what it is and what it thinks of us.
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
	}
	return nil
}

// knowsProject asks for the project.
func (s *Server) knowsProject(ctx context.Context) error {
	if s.project == "" || s.project == api.ProjectDefaultName {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return s.call(ctx, func(c client.InstanceServer) error {
		_, _, err := c.GetProject(s.project)
		return err
	})
}

// admitted finds out whether the server lets us into the project, of which the channel
// gets the answer.
func (s *Server) admitted(ctx context.Context, project <-chan error) error {
	if s.info.Auth != "trusted" {
		return &UntrustedError{Remote: s.name}
	}
	var err error
	select {
	case err = <-project:
	case <-ctx.Done():
		return ctx.Err()
	}
	if isNotFound(err) {
		err = &NotFoundError{What: "project", Name: s.project}
	}
	if err != nil {
		return fmt.Errorf("remote %s: %w", s.name, err)
	}
	return nil
}

// In returns the same server in another project.
func (s *Server) In(project string) *Server {
	other := &Server{name: s.name, addr: s.addr, project: project, userAgent: s.userAgent, transport: s.transport, spares: s.spares, info: s.info}
	other.shown.Store(s.shown.Load())
	return other
}

// Name returns the remote's name.
func (s *Server) Name() string { return s.name }

// Close gives up connections that are not in use.
func (s *Server) Close() {
	s.spares.close()
	s.transport.CloseIdleConnections()
}

// Version returns the version of LXD or Incus.
func (s *Server) Version() string { return s.info.Environment.ServerVersion }

// IsIncus tells whether the server is Incus.
func (s *Server) IsIncus() bool { return s.info.Environment.Server == "incus" }

// Addresses returns where the server listens for others, as host:port, the main
// one first.
func (s *Server) Addresses() []string { return s.info.Environment.Addresses }

// Fingerprint returns that of the certificate that the server has shown, or says
// it shows where we are connected to its socket.
func (s *Server) Fingerprint() string {
	if shown := s.shown.Load(); shown != nil {
		return *shown
	}
	return s.info.Environment.CertificateFingerprint
}

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
