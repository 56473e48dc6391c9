package main

import (
	"os"
	"slices"
	"strings"

	lxd "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
	"github.com/rogpeppe/go-internal/testscript"
)

// ours is how the clusters' names begin that scripts enrol on this machine's server: LXD,
// or what listens at SOCKET.
const ours = "script-"

// listen has this machine's server listen on the network, at ENDPOINT with FINGERPRINT, or
// nowhere, until the script ends: listen on|off.
func listen(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 || args[0] != "on" && args[0] != "off" {
		ts.Fatalf("usage: listen on|off")
	}
	server, err := lxd.ConnectLXDUnix(ts.Getenv("SOCKET"), nil)
	ts.Check(err)
	before, _, err := server.GetServer()
	ts.Check(err)
	was, _ := before.Config["core.https_address"].(string)
	ts.Defer(func() { ts.Check(setAddress(server, was)) })
	if args[0] == "off" {
		ts.Check(setAddress(server, ""))
		return
	}
	port, err := freePort()
	ts.Check(err)
	ts.Check(setAddress(server, "127.0.0.1:"+port))
	ts.Setenv("ENDPOINT", "https://127.0.0.1:"+port)
	ts.Setenv("FINGERPRINT", before.Environment.CertificateFingerprint)
}

func setAddress(server lxd.InstanceServer, address string) error {
	now, etag, err := server.GetServer()
	if err != nil {
		return err
	}
	put := now.Writable()
	put.Config["core.https_address"] = address
	return server.UpdateServer(put, etag)
}

// token writes a token for one more client of this machine's server, in the script's
// project only: token FILE.
func token(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: token FILE")
	}
	server, err := lxd.ConnectLXDUnix(ts.Getenv("SOCKET"), nil)
	ts.Check(err)
	op, err := server.CreateCertificateToken(api.CertificatesPost{
		Name: "icepak-" + ours + "token", Type: api.CertificateTypeClient, Token: true,
		Restricted: true, Projects: []string{ts.Getenv("PROJECT")},
	})
	ts.Check(err)
	ts.Defer(func() { _ = op.Cancel() }) // which fails where it was used
	made := op.Get()
	add, err := made.ToCertificateAddToken()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(add.String()+"\n"), 0o600))
}

// trusted holds which of the scripts' certificates this machine's server trusts, and for
// which project: trusted [NAME[=PROJECT]].... When the script ends, none of them is.
func trusted(ts *testscript.TestScript, _ bool, args []string) {
	server, err := lxd.ConnectLXDUnix(ts.Getenv("SOCKET"), nil)
	ts.Check(err)
	certs, err := server.GetCertificates()
	ts.Check(err)
	var got []string
	for _, c := range certs {
		name, isOurs := strings.CutPrefix(c.Name, "icepak-")
		if !isOurs || !strings.HasPrefix(name, ours) {
			continue
		}
		ts.Defer(func() { _ = server.DeleteCertificate(c.Fingerprint) })
		if c.Restricted {
			name += "=" + strings.Join(c.Projects, ",")
		}
		got = append(got, name)
	}
	slices.Sort(got)
	if !slices.Equal(got, args) {
		ts.Fatalf("the server trusts %q, want %q", got, args)
	}
}
