package lxd

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// A Token is what a server gives out for a client that it is to trust, once.
type Token struct {
	Fingerprint string // of the server's certificate

	text string
}

// String hides the token, which is as good as a password.
func (Token) String() string { return "***" }

// GoString hides it too.
func (Token) GoString() string { return "***" }

// ParseToken reads a trust token. Its error says nothing of the text.
func ParseToken(text string) (Token, error) {
	wrong := errors.New("not a trust token, as lxc config trust add prints it")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Token{}, wrong
	}
	var said api.CertificateAddToken
	if err := json.Unmarshal(raw, &said); err != nil || said.Secret == "" {
		return Token{}, wrong
	}
	fingerprint, err := ParseFingerprint(said.Fingerprint)
	if err != nil {
		return Token{}, wrong
	}
	return Token{Fingerprint: fingerprint, text: text}, nil
}

// A Welcome is why a server that does not know a client is to trust it: a token,
// or the trust password that older servers have.
type Welcome struct {
	Token    Token
	Password string
}

// String hides the password too.
func (Welcome) String() string { return "***" }

// GoString hides it likewise.
func (Welcome) GoString() string { return "***" }

// Enrol has the server of the remote trust the remote's client certificate under
// the name, in the remote's project only where it has one. For a token, its maker
// has decided on name and project.
func Enrol(ctx context.Context, r Remote, name string, w Welcome, userAgent string) error {
	s, err := open(ctx, r, userAgent)
	if err != nil {
		return err
	}
	defer s.Close()
	ask := newAdmission(name, r.Project)
	switch {
	case w.Token.text == "":
		ask.Password = w.Password
	case s.HasExtension("explicit_trust_token"):
		ask.TrustToken = w.Token.text
	default: // an older LXD, or Incus, which does not say what it is to strangers; each looks at its own
		ask.Password, ask.TrustToken = w.Token.text, w.Token.text
	}
	return s.trust(ctx, ask)
}

// Trust has the server trust a client's certificate, in PEM, under the name: in
// the project only where one is named.
func (s *Server) Trust(ctx context.Context, name string, cert []byte, project string) error {
	parsed, err := parseCertificate(cert)
	if err != nil {
		return fmt.Errorf("remote %s: %w", s.name, err)
	}
	ask := newAdmission(name, project)
	ask.Certificate = base64.StdEncoding.EncodeToString(parsed.Raw)
	return s.trust(ctx, ask)
}

// An admission asks for trust in a client. The library's own has no password that
// may be used, but older servers know no token but as one.
type admission struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Restricted  bool     `json:"restricted,omitempty"`
	Projects    []string `json:"projects,omitempty"`
	Certificate string   `json:"certificate,omitempty"` // base64; empty: the connection's
	Password    string   `json:"password,omitempty"`
	TrustToken  string   `json:"trust_token,omitempty"`
}

func newAdmission(name, project string) admission {
	a := admission{Name: name, Type: api.CertificateTypeClient}
	if project != "" {
		a.Restricted, a.Projects = true, []string{project}
	}
	return a
}

func (s *Server) trust(ctx context.Context, ask admission) error {
	err := s.call(ctx, func(c client.InstanceServer) error {
		_, _, err := c.RawQuery(http.MethodPost, "/1.0/certificates", ask, "")
		return err
	})
	switch {
	case err == nil:
		return nil
	case api.StatusErrorCheck(err, http.StatusForbidden):
		return &ForbiddenError{Remote: s.name, Err: err}
	}
	return fmt.Errorf("remote %s does not take the certificate: %w", s.name, err)
}

// Distrust has the server trust a client's certificate, in PEM, no longer. It is
// no error where it did not.
func (s *Server) Distrust(ctx context.Context, cert []byte) error {
	parsed, err := parseCertificate(cert)
	if err != nil {
		return fmt.Errorf("remote %s: %w", s.name, err)
	}
	fingerprint := fingerprintOf(parsed)
	err = s.call(ctx, func(c client.InstanceServer) error { return c.DeleteCertificate(fingerprint) })
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("remote %s: remove the certificate %s: %w", s.name, fingerprint[:12], err)
	}
	return nil
}

func parseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the client certificate is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the client certificate: %w", err)
	}
	return cert, nil
}
