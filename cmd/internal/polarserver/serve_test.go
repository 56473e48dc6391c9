package polarserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// start serves the store. stop has it end, and returns with what.
func start(t *testing.T, s *polarstore.Store, opts Options) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan string, 1), make(chan error, 1)
	opts.Listen, opts.Ready = "127.0.0.1:0", func(url string) { ready <- url }
	go func() { done <- Serve(ctx, s, opts) }()
	select {
	case url = <-ready:
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	var err error
	stopped := false
	stop = func() error {
		if cancel(); !stopped {
			stopped, err = true, <-done
		}
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return url, stop
}

func TestServeUntilToldToStop(t *testing.T) {
	s, _ := newStore(t)
	url, stop := start(t, s, Options{})
	res, err := http.Get(url + "/health")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode != 200 || !strings.Contains(string(body), "Polar serving images.") {
		t.Errorf("%s %s %v", res.Status, body, err)
	}
	if err := Serve(t.Context(), s, Options{Listen: strings.TrimPrefix(url, "http://")}); err == nil {
		t.Error("two servers on one port")
	}
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}

// writeCertificate writes a certificate of this machine's, with its key, and
// returns it.
func writeCertificate(t *testing.T, certFile, keyFile string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestServesOverTLSWithTheNewestCertificate(t *testing.T) {
	s, _ := newStore(t)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert := writeCertificate(t, certFile, keyFile, 1)
	var logged strings.Builder
	url, stop := start(t, s, Options{TLSCert: certFile, TLSKey: keyFile, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if !strings.HasPrefix(url, "https://") {
		t.Errorf("ready at %s", url)
	}
	get := func(cert *x509.Certificate, version uint16) error {
		roots := x509.NewCertPool()
		roots.AddCert(cert)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MaxVersion: version}, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		res, err := (&http.Client{Transport: transport}).Get(url + "/health")
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	if err := get(cert, 0); err != nil {
		t.Fatal(err)
	}
	if err := get(cert, tls.VersionTLS12); err != nil {
		t.Error(err)
	}
	if err := get(cert, tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	if res, err := http.Get("http" + strings.TrimPrefix(url, "https") + "/health"); err != nil || res.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %v, %v", res, err)
	}
	// While a renewed pair is half written, the old one is served.
	half := time.Now().Add(time.Minute)
	if err := os.WriteFile(certFile, []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(certFile, half, half); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := get(cert, 0); err != nil {
			t.Error(err)
		}
	}
	renewed := writeCertificate(t, certFile, keyFile, 2)
	if err := get(renewed, 0); err != nil {
		t.Error(err)
	}
	if err := get(cert, 0); err == nil {
		t.Error("the old certificate is served")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := logged.String(); !strings.Contains(got, "certificate not renewed") || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %s", got)
	}
}

func TestServeNeedsAGoodCertificate(t *testing.T) {
	s, _ := newStore(t)
	if err := Serve(t.Context(), s, Options{Listen: "127.0.0.1:0", TLSCert: "nowhere.pem", TLSKey: "nowhere.pem"}); err == nil || !strings.Contains(err.Error(), "nowhere.pem") {
		t.Errorf("got %v", err)
	}
}

func TestServePrunesAtStartAndEveryHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := polarstore.Open(t.Context(), filepath.Join(t.TempDir(), "polar"), polarstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		state := func(serial string) string {
			all, err := s.Versions(t.Context(), testKey)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range all {
				if v.Serial == serial {
					return v.State
				}
			}
			return "gone"
		}
		importBuild(t, s, "20260101", "test")
		time.Sleep(73 * time.Hour)
		importBuild(t, s, "20260102", "test")

		server := newServer(s, Options{})
		if err := server.prepare(t.Context(), 72*time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := state("20260101"); got != "inactive" {
			t.Errorf("at start: %s", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			server.keepTidy(ctx, 72*time.Hour)
		}()
		time.Sleep(72*time.Hour + time.Minute)
		if got := state("20260102"); got != "testing" {
			t.Errorf("between two hours: %s", got)
		}
		time.Sleep(time.Hour)
		if got := state("20260102"); got != "inactive" {
			t.Errorf("an hour later: %s", got)
		}
		cancel()
		<-done
	})
}

func TestServeNeverPrunesWithoutATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := polarstore.Open(t.Context(), filepath.Join(t.TempDir(), "polar"), polarstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		importBuild(t, s, testSerial, "test")
		time.Sleep(1000 * time.Hour)
		server := newServer(s, Options{})
		if err := server.prepare(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Hour)
		defer cancel()
		server.keepTidy(ctx, 0)
		if all, err := s.Versions(t.Context(), testKey); err != nil || all[0].State != "testing" {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestStopLetsDownloadsEnd(t *testing.T) {
	s, dir := newStore(t)
	p, err := s.AddProduct(t.Context(), testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The file is larger than what the kernel takes of an answer that nobody reads.
	it := polarstore.Item{Name: "rootfs.squashfs", FileType: "squashfs", Hash: sum("x"), Size: 64 << 20, Path: "images/rootfs.squashfs"}
	if _, err := s.CreateVersion(t.Context(), p.ID, testSerial, []polarstore.Item{it}, ""); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "files", it.Path)
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, it.Size)); err != nil {
		t.Fatal(err)
	}
	_, token := addSpace(t, s, "testing", "lxd")
	url, stop := start(t, s, Options{})
	res, err := http.Get(url + "/spaces/" + token + "/items/1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// It takes no new requests any more.
	for {
		res, err := http.Get(url + "/health")
		if err != nil {
			break
		}
		res.Body.Close()
	}
	if n, err := io.Copy(io.Discard, res.Body); err != nil || n != it.Size {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
