// Package lxd launches instances on LXD servers and talks to their guests. It
// also works with Incus.
//
// It uses LXD's own client library, and sees to it that a call ends when its
// context does: a test run must end when it is told to, whatever a server does.
package lxd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
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
	info      api.Server
	shown     atomic.Pointer[string] // the fingerprint of the certificate that it showed last
}

// Connect connects to the remote and finds out whether it trusts us. The
// context bounds connecting only. Errors are *UnreachableError,
// *CertificateError, *UntrustedError, and a *NotFoundError for the project.
//
// What beside asks of the server is asked meanwhile, because each answer costs a round
// trip; it counts only where Connect returns no error. What the server is, such as its
// extensions, is not known to it yet.
func Connect(ctx context.Context, r Remote, userAgent string, beside ...func(context.Context, *Server)) (*Server, error) {
	var project error
	ask := func(ctx context.Context, s *Server) { project = s.knowsProject(ctx) }
	s, err := open(ctx, r, userAgent, append(beside[:len(beside):len(beside)], ask)...)
	if err != nil {
		return nil, err
	}
	if err = project; s.info.Auth != "trusted" {
		err = &UntrustedError{Remote: s.name}
	}
	if err != nil {
		s.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return s, nil
}

// open connects to the remote, whatever that thinks of us, and returns when what beside
// asks has been answered.
func open(ctx context.Context, r Remote, userAgent string, beside ...func(context.Context, *Server)) (*Server, error) {
	if r.AuthType == "oidc" {
		return nil, fmt.Errorf("remote %s logs in with OpenID Connect, which needs a person: let it trust a client certificate", r.Name)
	}
	transport, err := newTransport(r)
	if err != nil {
		return nil, err
	}
	s := &Server{name: r.Name, addr: r.Addr, project: r.Project, userAgent: userAgent, transport: transport}
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
	bounded, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var asked sync.WaitGroup
	for _, ask := range beside {
		asked.Go(func() { ask(bounded, s) })
	}
	if err = s.greet(bounded); err != nil {
		cancel()
	}
	asked.Wait()
	if err != nil {
		s.Close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return s, nil
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

// knowsProject finds out whether the server lets us into the project.
func (s *Server) knowsProject(ctx context.Context) error {
	if s.project == "" || s.project == api.ProjectDefaultName {
		return nil
	}
	err := s.call(ctx, func(c client.InstanceServer) error {
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

// OnThisMachine tells whether the server is reached over a socket, and so, most likely,
// has the files that we have.
func (s *Server) OnThisMachine() bool {
	_, ok := socketPath(s.addr)
	return ok
}

// In returns the same server in another project.
func (s *Server) In(project string) *Server {
	other := &Server{name: s.name, addr: s.addr, project: project, userAgent: s.userAgent, transport: s.transport, info: s.info}
	other.shown.Store(s.shown.Load())
	return other
}

// Name returns the remote's name.
func (s *Server) Name() string { return s.name }

// Close gives up connections that are not in use.
func (s *Server) Close() { s.transport.CloseIdleConnections() }

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
