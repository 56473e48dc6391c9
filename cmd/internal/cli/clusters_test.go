package cli

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
)

// A daemon answers as an LXD does that trusts everybody who shows a certificate.
type daemon struct {
	*httptest.Server
	fingerprint string
	asked       atomic.Int32
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	cert, key, err := lxd.NewIdentity("server") // each daemon has another one
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		auth := "untrusted"
		if len(r.TLS.PeerCertificates) > 0 {
			auth = "trusted"
		}
		if r.URL.Path != "/1.0" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"type":"error","error_code":404,"error":"Not Found"}`)
			return
		}
		fmt.Fprintf(w, `{"type":"sync","status_code":200,"metadata":{"auth":%q,"environment":{"server":"lxd","driver":"lxc","architectures":["x86_64","i686"]}}}`, auth)
	}))
	d.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, Certificates: []tls.Certificate{pair}}
	d.Config.ErrorLog = log.New(io.Discard, "", 0)
	d.StartTLS()
	t.Cleanup(d.Close)
	sum := sha256.Sum256(pair.Certificate[0])
	d.fingerprint = hex.EncodeToString(sum[:])
	return d
}

// A meeting is a run of icepak that uses a cluster.
type meeting struct {
	vars   map[string]string
	opts   remoteOptions
	warned []string
}

func (m *meeting) cluster(t *testing.T, clusters ...polar.Cluster) (*remote, error) {
	t.Helper()
	m.warned = nil
	env := &Env{Getenv: func(name string) string { return m.vars[name] }}
	r, err := newRemotes(env, m.opts, func(format string, args ...any) {
		m.warned = append(m.warned, fmt.Sprintf(format, args...))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	r.clusters, r.asked = clusters, true
	return first(r.candidates(t.Context(), need{arch: "amd64"}, false))
}

func first(all []*remote, err error) (*remote, error) {
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func clusterAt(t *testing.T, id int64, endpoint string) polar.Cluster {
	t.Helper()
	cert, key, err := lxd.NewIdentity("icepak")
	if err != nil {
		t.Fatal(err)
	}
	return polar.Cluster{ID: id, Type: "lxd", Arch: "amd64", Credential: polar.Credential{
		Endpoint: endpoint, Certificate: string(cert), PrivateKey: polar.Secret(key),
	}}
}

func TestAClustersCertificateIsTrustedAtFirstSightAndThenHeldTo(t *testing.T) {
	d := newDaemon(t)
	c := clusterAt(t, 7, d.URL)
	state := filepath.Join(t.TempDir(), "state", "icepak")
	m := &meeting{vars: map[string]string{"ICEPAK_STATE": state}}
	if _, err := m.cluster(t, c); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(state, "known_clusters")
	if len(m.warned) != 1 || !strings.Contains(m.warned[0], d.fingerprint) || !strings.Contains(m.warned[0], file) {
		t.Errorf("the first time it warned %q", m.warned)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != d.URL+" "+d.fingerprint+"\n" {
		t.Errorf("remembered %q, %v", text, err)
	}
	if _, err := m.cluster(t, c); err != nil || len(m.warned) != 0 {
		t.Errorf("the second time: %v, %q", err, m.warned)
	}

	// Somebody else answers there now.
	other := strings.Repeat("0", 64)
	if err := os.WriteFile(file, []byte("# mine\n"+d.URL+" "+other+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := d.asked.Load()
	_, err = m.cluster(t, c)
	var changed *changedError
	if !errors.As(err, &changed) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{d.fingerprint, other, file + ":2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %q", want, err)
		}
	}
	if hint := hintFor(err); !strings.Contains(hint, "remove line 2 of "+file) {
		t.Errorf("hint %q", hint)
	}
	if exitCode(t.Context(), err) != exitUnknown || d.asked.Load() != asked {
		t.Errorf("exit %d, asked %d times", exitCode(t.Context(), err), d.asked.Load()-asked)
	}

	// What is said now counts more than what was remembered.
	m.opts.fingerprints = []string{strings.ToUpper(d.fingerprint[:2]) + ":" + d.fingerprint[2:]}
	if _, err := m.cluster(t, c); err != nil || len(m.warned) != 0 {
		t.Errorf("given: %v, %q", err, m.warned)
	}
}

func TestNobodyIsTrustedAtFirstSightWhereItWasSaidWhom(t *testing.T) {
	d := newDaemon(t)
	state := t.TempDir()
	m := &meeting{vars: map[string]string{"ICEPAK_STATE": state}, opts: remoteOptions{fingerprints: []string{strings.Repeat("0", 64)}}}
	_, err := m.cluster(t, clusterAt(t, 7, d.URL))
	var stranger *lxd.CertificateError
	if !errors.As(err, &stranger) || d.asked.Load() != 0 {
		t.Errorf("got %v, asked %d times", err, d.asked.Load())
	}
	if left, err := os.ReadDir(state); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestAStateFolderThatCannotBeWrittenEndsNoRun(t *testing.T) {
	d := newDaemon(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, vars := range map[string]map[string]string{
		"a file is in its place": {"ICEPAK_STATE": filepath.Join(file, "state")},
		"there is none":          {},
		"elsewhere":              {"HOME": "/", "XDG_STATE_HOME": file},
	} {
		t.Run(name, func(t *testing.T) {
			m := &meeting{vars: vars}
			if _, err := m.cluster(t, clusterAt(t, 7, d.URL)); err != nil {
				t.Fatal(err)
			}
			if len(m.warned) != 1 || !strings.Contains(m.warned[0], "not remembered") || !strings.Contains(m.warned[0], d.fingerprint) {
				t.Errorf("warned %q", m.warned)
			}
		})
	}
}

func TestAMemoryThatIsBrokenTrustsNobody(t *testing.T) {
	d := newDaemon(t)
	state := t.TempDir()
	if err := os.WriteFile(filepath.Join(state, "known_clusters"), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &meeting{vars: map[string]string{"ICEPAK_STATE": state}}
	_, err := m.cluster(t, clusterAt(t, 7, d.URL))
	if err == nil || !strings.Contains(err.Error(), "known_clusters:1: want a server and a fingerprint") || d.asked.Load() != 0 {
		t.Errorf("got %v, asked %d times", err, d.asked.Load())
	}
}

// Only Polar's clusters are trusted at first sight.
func TestARemoteThatIsNamedIsNotTrustedAtFirstSight(t *testing.T) {
	d := newDaemon(t)
	m := &meeting{vars: map[string]string{"ICEPAK_STATE": t.TempDir(), "LXD_CONF": t.TempDir()}, opts: remoteOptions{name: d.URL}}
	_, err := m.cluster(t)
	var stranger *lxd.CertificateError
	if !errors.As(err, &stranger) || d.asked.Load() != 0 {
		t.Errorf("got %v, asked %d times", err, d.asked.Load())
	}
}

func TestTheClusterIsOneThatFits(t *testing.T) {
	good, gone := newDaemon(t), newDaemon(t)
	gone.Close()
	at := func(id int64, url, typ, arch string) polar.Cluster {
		c := clusterAt(t, id, url)
		c.Type, c.Arch = typ, arch
		return c
	}
	for _, tt := range []struct {
		name     string
		clusters []polar.Cluster
		need     need
		want     string // the cluster, or a part of the error
		warned   bool
	}{
		{"none", nil, need{arch: "amd64"}, "no healthy cluster for amd64", false},
		{"another architecture", []polar.Cluster{at(1, good.URL, "lxd", "arm64")}, need{arch: "amd64"}, "no healthy cluster for amd64", false},
		{"the first", []polar.Cluster{at(1, good.URL, "lxd", "amd64"), at(2, good.URL, "lxd", "amd64")}, need{arch: "amd64"}, "cluster 1", false},
		{"the first that answers", []polar.Cluster{at(1, gone.URL, "lxd", "amd64"), at(2, good.URL, "lxd", "amd64")}, need{arch: "amd64"}, "cluster 2", true},
		{"none answers", []polar.Cluster{at(1, gone.URL, "lxd", "amd64")}, need{arch: "amd64"}, "cluster 1 ", false},
		{"one that reads the feed", []polar.Cluster{at(1, good.URL, "lxd", "amd64"), at(2, good.URL, "incus", "amd64")}, need{arch: "amd64", feed: "incus"}, "cluster 2", false},
		{"none runs virtual machines", []polar.Cluster{at(1, good.URL, "lxd", "amd64"), at(2, good.URL, "lxd", "amd64")}, need{arch: "amd64", vm: true}, "cluster 1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var warned []string
			env := &Env{Getenv: func(string) string { return "" }}
			r, err := newRemotes(env, remoteOptions{fingerprints: []string{good.fingerprint}}, func(format string, args ...any) {
				warned = append(warned, fmt.Sprintf(format, args...))
			})
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			r.clusters, r.asked = tt.clusters, true
			on, err := first(r.candidates(t.Context(), tt.need, false))
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = on.name
			}
			if !strings.Contains(got, tt.want) || (len(warned) > 0) != tt.warned {
				t.Errorf("got %q, warned %q", got, warned)
			}
		})
	}
}
