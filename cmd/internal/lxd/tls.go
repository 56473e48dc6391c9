package lxd

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
)

// tlsConfig returns what a connection to the remote needs. The server's
// certificate must be verified by one of roots (nil: the system's), or be the
// pinned one, or have a fingerprint that is trusted. This is decided before
// the handshake ends, so that a stranger does not even get our certificate.
func tlsConfig(r Remote, roots *x509.CertPool) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true} // VerifyConnection verifies
	if len(r.ClientCert) > 0 && len(r.ClientKey) > 0 {
		cert, err := tls.X509KeyPair(r.ClientCert, r.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("remote %s: client certificate: %w", r.Name, err)
		}
		// Always this one, whatever CAs the server says it knows.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	// The state's own name is empty where the server is named by its address.
	server, err := url.Parse(r.Addr)
	if err != nil {
		return nil, fmt.Errorf("remote %s: %w", r.Name, err)
	}
	var pinned []byte
	if len(r.ServerCert) > 0 {
		block, _ := pem.Decode(r.ServerCert)
		if block == nil {
			return nil, fmt.Errorf("remote %s: the pinned server certificate is not PEM", r.Name)
		}
		pinned = block.Bytes
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server shows no certificate")
		}
		leaf := state.PeerCertificates[0]
		fingerprint := fingerprintOf(leaf)
		if bytes.Equal(leaf.Raw, pinned) || slices.ContainsFunc(r.Fingerprints, func(f string) bool {
			trusted, err := ParseFingerprint(f)
			return err == nil && trusted == fingerprint
		}) {
			return nil
		}
		options := x509.VerifyOptions{DNSName: server.Hostname(), Roots: roots, Intermediates: x509.NewCertPool()}
		for _, cert := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(cert)
		}
		if _, err := leaf.Verify(options); err != nil {
			return &CertificateError{Remote: r.Name, Fingerprint: fingerprint, Err: err}
		}
		return nil
	}
	return config, nil
}

// fingerprintOf is the certificate's SHA-256, in hex.
func fingerprintOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}
