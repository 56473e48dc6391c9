package lxd

import (
	"bufio"
	"bytes"
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
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/canonical/lxd/client"
)

// A daemon answers GET /1.0 as LXD does over HTTPS. To anybody without a
// client certificate it says that it does not trust him.
type daemon struct {
	*httptest.Server
	fingerprint string
	asked       atomic.Int32
	connections atomic.Int32
}

func newDaemon(t *testing.T) *daemon {
	d := &daemon{}
	d.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		auth := "untrusted"
		if len(r.TLS.PeerCertificates) > 0 {
			auth = "trusted"
		}
		switch r.URL.Path {
		case "/1.0":
			fmt.Fprintf(w, `{"type":"sync","status_code":200,"metadata":{"auth":%q,"api_extensions":["gpu_cdi"],"environment":{"server":"lxd","server_version":"5.0.2","driver":"lxc | qemu","architectures":["aarch64","armv7l"]}}}`, auth)
		case "/1.0/projects/testing":
			fmt.Fprint(w, `{"type":"sync","status_code":200,"metadata":{}}`)
		case "/1.0/resources":
			fmt.Fprint(w, `{"type":"sync","status_code":200,"metadata":{"gpu":{"cards":[{"vendor_id":"10de","pci_address":"0000:41:00.0","driver":"nvidia"},{"vendor_id":"1a03"},{"vendor_id":"1002","pci_address":"0000:03:00.0","driver":"amdgpu"},{"vendor_id":"10DE","pci_address":"0000:07:00.0","driver":"vfio-pci"}]}}}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"type":"error","error_code":404,"error":"Not Found"}`)
		}
	}))
	d.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	d.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			d.connections.Add(1)
		}
	}
	d.Config.ErrorLog = log.New(io.Discard, "", 0)
	d.StartTLS()
	t.Cleanup(d.Close)
	sum := sha256.Sum256(d.Certificate().Raw)
	d.fingerprint = hex.EncodeToString(sum[:])
	return d
}

// keyPair makes a client's certificate, as LXD's client does.
func keyPair(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

func TestConnectOverTLS(t *testing.T) {
	d := newDaemon(t)
	cert, key := keyPair(t)
	remote := Remote{Name: "rack1", Addr: d.URL, ClientCert: cert, ClientKey: key}
	pinned := remote
	pinned.ServerCert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw})
	known := remote
	known.Fingerprints = []string{strings.Repeat("0", 64), strings.ToUpper(d.fingerprint[:2]) + ":" + d.fingerprint[2:]}
	for name, r := range map[string]Remote{"pinned": pinned, "by fingerprint": known} {
		t.Run(name, func(t *testing.T) {
			s, err := Connect(t.Context(), r, "icepak/test")
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if s.Name() != "rack1" || s.Version() != "5.0.2" || s.IsIncus() || !s.SupportsVM() || s.Fingerprint() != d.fingerprint || s.Architectures()[0] != "arm64" {
				t.Errorf("got %+v", s.info)
			}
			const want = "[{amd 0000:03:00.0 amdgpu} {nvidia 0000:07:00.0 vfio-pci} {nvidia 0000:41:00.0 nvidia}]"
			if gpus, err := s.GPUs(t.Context()); err != nil || fmt.Sprint(gpus) != want {
				t.Errorf("GPUs: %v, %v", gpus, err)
			}
			if !s.HasExtension("gpu_cdi") || s.HasExtension("gpu_cdi_amd") {
				t.Error("it has other extensions than it says")
			}
		})
	}
	t.Run("of another project", func(t *testing.T) {
		r := pinned
		r.Project = "testing"
		if _, err := Connect(t.Context(), r, "icepak/test"); err != nil {
			t.Error(err)
		}
		r.Project = "nosuch"
		var missing *NotFoundError
		if _, err := Connect(t.Context(), r, "icepak/test"); !errors.As(err, &missing) || missing.What != "project" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("untrusted", func(t *testing.T) {
		r := pinned
		r.ClientCert, r.ClientKey = nil, nil
		var untrusted *UntrustedError
		if _, err := Connect(t.Context(), r, "icepak/test"); !errors.As(err, &untrusted) || untrusted.Remote != "rack1" {
			t.Errorf("got %v", err)
		}
	})
}

// Each call has a client of its own, but not a connection of its own.
func TestConnectionsAreKept(t *testing.T) {
	d := newDaemon(t)
	cert, key := keyPair(t)
	s, err := Connect(t.Context(), Remote{Name: "rack1", Addr: d.URL, Fingerprints: []string{d.fingerprint}, ClientCert: cert, ClientKey: key}, "icepak/test")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 3 {
		if _, err := s.GPUs(t.Context()); err != nil {
			t.Error(err)
		}
		inst := &Instance{server: s, name: "nosuch"}
		if err := inst.Push(t.Context(), "/x", strings.NewReader("x"), 0o644); err == nil {
			t.Error("a push to nothing works")
		}
		if _, err := inst.Log(t.Context(), "lxc.log"); err == nil {
			t.Error("nothing has a log")
		}
	}
	if n := d.connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A server that is not the one we know gets nothing from us.
func TestConnectToStranger(t *testing.T) {
	d := newDaemon(t)
	cert, key := keyPair(t)
	other, _ := keyPair(t)
	for name, r := range map[string]Remote{
		"nothing is known":           {},
		"another is pinned":          {ServerCert: other},
		"another is known":           {Fingerprints: []string{strings.Repeat("0", 64)}},
		"part of a fingerprint only": {Fingerprints: []string{d.fingerprint[:12], ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r.Name, r.Addr, r.ClientCert, r.ClientKey = "rack1", d.URL, cert, key
			var stranger *CertificateError
			_, err := Connect(t.Context(), r, "icepak/test")
			if !errors.As(err, &stranger) || stranger.Remote != "rack1" || stranger.Fingerprint != d.fingerprint || stranger.Err == nil {
				t.Errorf("got %v", err)
			}
		})
	}
	if d.asked.Load() != 0 {
		t.Errorf("it got %d requests", d.asked.Load())
	}
}

// A CA's word is good for the server's own name only.
func TestTLSVerifiesTheName(t *testing.T) {
	d := newDaemon(t)
	roots := x509.NewCertPool()
	roots.AddCert(d.Certificate())
	state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{d.Certificate()}}
	for addr, good := range map[string]bool{
		d.URL:                             true,
		"https://example.com:8443":        true, // httptest's certificate names it
		"https://127.0.0.2:8443":          false,
		"https://rack1.example.net:8443":  false,
		"https://example.com.example.net": false,
	} {
		config, err := tlsConfig(Remote{Name: "rack1", Addr: addr}, roots)
		if err != nil {
			t.Fatal(err)
		}
		if err := config.VerifyConnection(state); (err == nil) != good {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestConnectFails(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	cert, _ := keyPair(t)
	_, key := keyPair(t)
	tests := []struct {
		name        string
		remote      Remote
		unreachable bool
		says        string
	}{
		{"nobody listens", Remote{Name: "a", Addr: "https://" + closed.Addr().String()}, true, "connection refused"},
		{"no socket", Remote{Name: "a", Addr: "unix://" + filepath.Join(t.TempDir(), "s")}, true, "no such file"},
		{"OpenID Connect", Remote{Name: "a", Addr: "https://127.0.0.1:1", AuthType: "oidc"}, false, "OpenID Connect"},
		{"a key of another certificate", Remote{Name: "a", Addr: "https://127.0.0.1:1", ClientCert: cert, ClientKey: key}, false, "client certificate"},
		{"a broken pin", Remote{Name: "a", Addr: "https://127.0.0.1:1", ServerCert: []byte("x")}, false, "not PEM"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Connect(t.Context(), test.remote, "icepak/test")
			var unreachable *UnreachableError
			if err == nil || errors.As(err, &unreachable) != test.unreachable || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A peekingListener accepts as LXD does at its socket: no other connection, until one
// that it has accepted says something.
type peekingListener struct{ net.Listener }

func (l peekingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	_, _ = r.Peek(1)
	return bufferedConn{conn, r}, nil
}

type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// A connection that nothing is said on keeps LXD from all others, of whomever.
func TestNoConnectionToASocketIsSilent(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"type":"sync","metadata":{"auth":"trusted"}}`))
	})}
	go func() { _ = server.Serve(peekingListener{listener}) }()
	t.Cleanup(func() { server.Close() })
	for range 100 {
		ask := func(ctx context.Context, s *Server) {
			err := s.call(ctx, func(c client.InstanceServer) error {
				_, _, err := c.RawQuery(http.MethodGet, "/1.0/images", nil, "")
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		s, err := Connect(t.Context(), Remote{Name: "a", Addr: "unix:" + socket}, "icepak/test", ask, ask, ask, ask, ask, ask)
		if err != nil {
			t.Fatal(err)
		}
		other, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		_ = other.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = io.WriteString(other, "GET / HTTP/1.0\r\n\r\n")
		if err == nil {
			_, err = other.Read(make([]byte, 1))
		}
		other.Close()
		if err != nil {
			t.Fatalf("somebody else's request: %v", err)
		}
		s.Close()
	}
}

// A server's answers are not to be trusted: they are bounded, and what is not
// LXD is an error.
func TestHostileAnswers(t *testing.T) {
	var answer func(w http.ResponseWriter)
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w) })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	text := func(status int, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, f := range map[string]func(http.ResponseWriter){
		"HTML":          text(200, "<html>"),
		"an empty body": text(200, ""),
		"half of it":    text(200, `{"type":"sync","metad`),
		"a list":        text(200, `{"type":"sync","metadata":[]}`),
		"no metadata":   text(200, `{"type":"sync"}`),
		"a redirection": func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(302) },
		"a gateway":     text(502, "bad gateway"),
		"no end": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"type":"`))
			for {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer = f
			s, err := Connect(t.Context(), Remote{Name: "a", Addr: "unix://" + socket}, "icepak/test")
			if err == nil {
				t.Errorf("connected: %+v", s.info)
			}
			if errors.Is(err, context.DeadlineExceeded) {
				t.Error("it took until the deadline")
			}
		})
	}
}

// LXD's command and daemon are under another licence than its client library:
// only that, and what it shares with them, may be used.
func TestOnlyTheLibraryOfLXDIsImported(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/...")
	cmd.Dir = "../../.."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "github.com/upmaru/icepak/cmd/internal/lxd") {
		t.Fatal("the list is not that of this module")
	}
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		rest, of := strings.CutPrefix(name, "github.com/canonical/lxd/")
		if of && rest != "client" && rest != "shared" && !strings.HasPrefix(rest, "shared/") {
			t.Errorf("%s is imported", name)
		}
	}
}
