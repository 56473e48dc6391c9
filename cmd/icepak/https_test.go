package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// serveHTTPS puts the real LXD behind https, as a server elsewhere has it: with a
// certificate that no authority knows, and only for clients that show theirs. It
// sets REMOTE, FINGERPRINT, CERT and KEY. With the argument again, the server at
// REMOTE is another one from then on.
func serveHTTPS(ts *testscript.TestScript, _ bool, args []string) {
	certs := ts.Value(shownKey{}).(*atomic.Pointer[tls.Certificate])
	cert, key, err := lxd.NewIdentity("server")
	ts.Check(err)
	shown, err := tls.X509KeyPair(cert, key)
	ts.Check(err)
	certs.Store(&shown)
	sum := sha256.Sum256(shown.Certificate[0])
	ts.Setenv("FINGERPRINT", hex.EncodeToString(sum[:]))
	if len(args) > 0 {
		return
	}
	config, err := lxd.LoadConfig(os.Getenv)
	ts.Check(err)
	local, err := config.Remote("lxc:local")
	ts.Check(err)
	socket, err := url.Parse(local.Addr)
	ts.Check(err)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "lxd"})
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket.Path)
	}}
	server := httptest.NewUnstartedServer(proxy)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{ClientAuth: tls.RequireAnyClientCert, Certificates: []tls.Certificate{*certs.Load()}}, nil
	}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that icepak breaks off
	server.StartTLS()
	ts.Defer(server.Close)

	cert, key, err = lxd.NewIdentity("icepak")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("client.crt"), cert, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("client.key"), key, 0o600))
	ts.Setenv("REMOTE", server.URL)
	ts.Setenv("CERT", ts.MkAbs("client.crt"))
	ts.Setenv("KEY", ts.MkAbs("client.key"))
}

// shownKey is a script's key of the certificate that its https server shows.
type shownKey struct{}
