package cli

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// age has the build's version be in testing for years.
func (p *polarFolder) age() {
	p.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(p.data, "polar.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(p.t.Context(), "UPDATE version_events SET created_at = 0"); err != nil {
		p.t.Fatal(err)
	}
}

// shown is what version show tells of the build's version.
type shown struct {
	State string
	Files []struct {
		Name string
		Hits int
		Here bool
	}
	Events []struct{ Name, Actor, Comment string }
}

func (p *polarFolder) show() (v shown) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.must("version", "show", polarProduct, polarSerial, "--format", "json")), &v); err != nil {
		p.t.Fatal(err)
	}
	return v
}

func TestPolarPrune(t *testing.T) {
	p := newPolarFolder(t)
	p.importBuild()
	if got := p.must("prune"); got != "no version has been in testing for longer than 72h0m0s\n" {
		t.Errorf("said %q", got)
	}
	p.age()
	const version, since = polarProduct + " " + polarSerial + ": ", ", in testing since 1970-01-01T00:00:00Z\n"
	if got := p.must("prune", "--dry-run"); got != version+"would become inactive"+since {
		t.Errorf("said %q", got)
	}
	if v := p.show(); v.State != "testing" {
		t.Errorf("after a dry run it is %s", v.State)
	}
	if got := p.must("prune", "--after", "1h"); got != version+"inactive"+since {
		t.Errorf("said %q", got)
	}
	v := p.show()
	if last := v.Events[len(v.Events)-1]; v.State != "inactive" || last.Name != "deactivate" || last.Actor != "polar" || last.Comment != "testing period expired" {
		t.Errorf("%+v", v)
	}
}

func TestPolarServePrunes(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "inactive"},
		{[]string{"--prune-after", "0"}, "testing"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			p := newPolarFolder(t)
			p.must("password", "--generate")
			p.importBuild()
			p.age()
			p.serve(tt.args...)
			if v := p.show(); v.State != tt.want {
				t.Errorf("it is %s", v.State)
			}
		})
	}
}

func TestPolarGC(t *testing.T) {
	p := newPolarFolder(t)
	p.importBuild()
	if got := p.must("gc"); got != "there is nothing to delete\n" {
		t.Errorf("said %q", got)
	}
	p.must("version", "event", polarProduct, polarSerial, "deactivate")
	const table = `^FILE +SIZE +OF\nimages/debian/bookworm/amd64/default/20261122-01/incus.tar.xz +12 B +` + polarProduct + ` 20261122-01\n` +
		`images/\S+/rootfs.squashfs +15 B +\S+ 20261122-01\n2 files, 27 B: `
	for _, tt := range []struct {
		args []string
		want string
		here bool
	}{
		{[]string{"gc"}, table + `--delete deletes them\n$`, true},
		{[]string{"gc", "--delete"}, table + `deleted\n$`, false},
		{[]string{"gc", "--delete"}, `^there is nothing to delete\n$`, false},
	} {
		if got := p.must(tt.args...); !regexp.MustCompile(tt.want).MatchString(got) {
			t.Errorf("%q said\n%s", tt.args, got)
		}
		for _, f := range p.show().Files {
			if f.Here != tt.here {
				t.Errorf("after %q, %s is here: %v", tt.args, f.Name, f.Here)
			}
		}
	}
	if got := p.must("version", "show", polarProduct, polarSerial); !regexp.MustCompile(`rootfs.squashfs +not here`).MatchString(got) {
		t.Errorf("got\n%s", got)
	}
	_, stderr, code := p.run("", "version", "event", polarProduct, polarSerial, "test")
	if code != exitUsage || !strings.Contains(stderr, "import or push the same files first") {
		t.Errorf("exit %d, %q", code, stderr)
	}
	p.importBuild()
	p.must("version", "event", polarProduct, polarSerial, "test")
}

func TestPolarShowsHowOftenFilesWereAskedFor(t *testing.T) {
	p := newPolarFolder(t)
	p.must("password", "--generate")
	p.importBuild()
	url := p.serve()
	feed := strings.TrimSpace(p.must("space", "add", "--url", url))
	for range 2 {
		res, err := http.Get(feed + "/items/3")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	for _, f := range p.show().Files {
		if want := map[string]int{"rootfs.squashfs": 2}[f.Name]; f.Hits != want {
			t.Errorf("%s has %d hits, want %d", f.Name, f.Hits, want)
		}
	}
	if got := p.must("version", "show", polarProduct, polarSerial); !regexp.MustCompile(`rootfs.squashfs +15 B +2 `).MatchString(got) {
		t.Errorf("got\n%s", got)
	}
}

func TestPolarServesOverTLS(t *testing.T) {
	p := newPolarFolder(t)
	p.must("password", "--generate")
	lender := httptest.NewTLSServer(nil) // of a certificate for 127.0.0.1
	defer lender.Close()
	pair := lender.TLS.Certificates[0]
	secret, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	url := p.serve("--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key) // and says no warning
	port := url[strings.LastIndex(url, ":"):]
	if !strings.HasPrefix(url, "https://") {
		t.Errorf("serving on %s", url)
	}
	res, err := lender.Client().Get("https://127.0.0.1" + port + "/health")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.TLS.Version < tls.VersionTLS12 {
		t.Errorf("TLS version %x", res.TLS.Version)
	}
}

func TestPolarSaysWhatToDoAboutTheKeyFile(t *testing.T) {
	p := newPolarFolder(t)
	p.must("cluster", "add", "rack1", "--endpoint", "https://rack1.example.com:8443")
	key := filepath.Join(p.data, "key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"cluster", "list"}, {"cluster", "add", "rack2", "--endpoint", "unix:"}} {
		stdout, stderr, code := p.run("", args...)
		if code != exitUnknown || stdout != "" || !strings.Contains(stderr, "credentials of rack1: key file "+key+" is missing") || !strings.Contains(stderr, "put it back from a backup") {
			t.Errorf("%q: exit %d, %q, %q", args, code, stdout, stderr)
		}
	}
	if _, err := os.Stat(key); err == nil {
		t.Error("there is another key now")
	}
	p.must("cluster", "remove", "rack1")
	p.must("cluster", "add", "rack1", "--endpoint", "https://rack1.example.com:8443")
}
