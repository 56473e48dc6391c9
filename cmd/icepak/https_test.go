package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// serveHTTPS puts the real LXD behind https, as a server elsewhere has it: with a
// certificate that no authority knows, and only for clients that show theirs. It
// sets REMOTE, FINGERPRINT, CERT and KEY.
func serveHTTPS(ts *testscript.TestScript, _ bool, _ []string) {
	config, err := lxd.LoadConfig(os.Getenv)
	ts.Check(err)
	local, err := config.Remote("local")
	ts.Check(err)
	socket, err := url.Parse(local.Addr)
	ts.Check(err)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "lxd"})
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket.Path)
	}}
	server := httptest.NewUnstartedServer(proxy)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.StartTLS()
	ts.Defer(server.Close)

	cert, key := clientPair(ts)
	ts.Check(os.WriteFile(ts.MkAbs("client.crt"), cert, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("client.key"), key, 0o600))
	sum := sha256.Sum256(server.Certificate().Raw)
	ts.Setenv("REMOTE", server.URL)
	ts.Setenv("FINGERPRINT", hex.EncodeToString(sum[:]))
	ts.Setenv("CERT", ts.MkAbs("client.crt"))
	ts.Setenv("KEY", ts.MkAbs("client.key"))
}

// clientPair makes a certificate and its key, in PEM.
func clientPair(ts *testscript.TestScript) (cert, key []byte) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "icepak"},
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	ts.Check(err)
	raw, err := x509.MarshalECPrivateKey(private)
	ts.Check(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})
}
