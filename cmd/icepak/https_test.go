package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"

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

	cert, key, err := lxd.NewIdentity("icepak")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("client.crt"), cert, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("client.key"), key, 0o600))
	sum := sha256.Sum256(server.Certificate().Raw)
	ts.Setenv("REMOTE", server.URL)
	ts.Setenv("FINGERPRINT", hex.EncodeToString(sum[:]))
	ts.Setenv("CERT", ts.MkAbs("client.crt"))
	ts.Setenv("KEY", ts.MkAbs("client.key"))
}
