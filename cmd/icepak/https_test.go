package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
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
	server := httptest.NewUnstartedServer(lxdtest.Behind(local))
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
