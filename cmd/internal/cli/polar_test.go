package cli

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

const (
	polarProduct = "debian:bookworm:amd64:default"
	polarSerial  = "20261122-01"
)

// A polarFolder is a data folder that a test gives commands for.
type polarFolder struct {
	t     *testing.T
	data  string
	build string
}

func newPolarFolder(t *testing.T) *polarFolder {
	t.Helper()
	p := &polarFolder{t: t, data: filepath.Join(t.TempDir(), "polar"), build: t.TempDir()}
	p.rebuild("")
	return p
}

// rebuild writes the build's files anew, other ones for another seed.
func (p *polarFolder) rebuild(seed string) {
	p.t.Helper()
	for _, name := range []string{"incus.tar.xz", "rootfs.squashfs"} {
		if err := os.WriteFile(filepath.Join(p.build, name), []byte(name+seed), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *polarFolder) env(in io.Reader, out, errs io.Writer) *Env {
	vars := map[string]string{"ICEPAK_POLAR_DATA": p.data, "USER": "maintainer"}
	return &Env{In: in, Out: out, Err: errs, Getenv: func(name string) string { return vars[name] }, Environ: func() []string { return nil }}
}

// run runs icepak polar with the arguments.
func (p *polarFolder) run(in string, args ...string) (stdout, stderr string, code int) {
	var out, errs strings.Builder
	code = Run(p.t.Context(), append([]string{"polar"}, args...), p.env(strings.NewReader(in), &out, &errs))
	return out.String(), errs.String(), code
}

// must runs icepak polar, which must succeed, and returns what it printed.
func (p *polarFolder) must(args ...string) string {
	p.t.Helper()
	stdout, stderr, code := p.run("", args...)
	if code != exitOK {
		p.t.Fatalf("%q: exit %d: %s", args, code, stderr)
	}
	return stdout
}

// importBuild imports the build into testing.
func (p *polarFolder) importBuild() string {
	p.t.Helper()
	return p.must("version", "import", p.build, "--product", polarProduct, "--serial", polarSerial, "--create-product", "--test")
}

// serve serves the folder until the test ends, and returns where.
func (p *polarFolder) serve(args ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	r, w := io.Pipe()
	var errs strings.Builder
	ended := make(chan int, 1)
	go func() {
		code := Run(ctx, append([]string{"polar", "serve", "--listen", "127.0.0.1:0"}, args...), p.env(strings.NewReader(""), w, &errs))
		w.Close()
		ended <- code
	}()
	p.t.Cleanup(func() {
		cancel()
		if code := <-ended; code != exitOK || errs.String() != "" {
			p.t.Errorf("serve: exit %d: %s", code, &errs)
		}
	})
	line := make([]byte, 200)
	n, err := r.Read(line)
	if err != nil {
		p.t.Fatalf("serve: %v", err)
	}
	url, ok := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "serving Polar on ")
	if !ok {
		p.t.Fatalf("serve said %q", line[:n])
	}
	go io.Copy(io.Discard, r)
	return url
}

func TestPolarFromPasswordToFeed(t *testing.T) {
	p := newPolarFolder(t)
	ctx := t.Context()
	password := strings.TrimSpace(p.must("password", "--generate"))
	p.must("check", "add", "ipv4", "ipv6")
	p.must("cluster", "add", "here", "--endpoint", "unix:/var/lib/lxd/unix.socket", "--arch", "amd64")
	url := p.serve() // the rest is seen while the server runs
	feedURL := strings.TrimSpace(p.must("space", "add", "--channel", "testing", "--type", "lxd", "--url", url+"/"))
	if got := p.importBuild(); got != polarProduct+" "+polarSerial+": imported; testing\n" {
		t.Errorf("import said %q", got)
	}

	feed, err := simplestreams.Fetch(ctx, http.DefaultClient, feedURL)
	if err != nil {
		t.Fatal(err)
	}
	if got := feed.Serials(polarProduct); len(got) != 1 || got[0] != polarSerial {
		t.Errorf("serials %v", got)
	}

	client, err := polar.New(url, polar.Options{Actor: "octocat"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Authenticate(ctx, password); err != nil {
		t.Fatal(err)
	}
	checks, err := client.Checks(ctx)
	if err != nil || len(checks) != 2 || checks[1].Slug != "ipv6" {
		t.Errorf("checks %v, %v", checks, err)
	}
	clusters, err := client.Clusters(ctx)
	if err != nil || len(clusters) != 1 || clusters[0].Credential.Endpoint != "unix:/var/lib/lxd/unix.socket" {
		t.Errorf("clusters %v, %v", clusters, err)
	}
	product, err := client.Product(ctx, polarProduct)
	if err != nil {
		t.Fatal(err)
	}
	version, err := client.Version(ctx, product.ID, polarSerial)
	if err != nil {
		t.Fatal(err)
	}
	if posted, err := client.Settle(ctx, version.ID, checks[0].ID, clusters[0].ID, polar.Container, polar.Pass); err != nil || posted != polar.Pass {
		t.Errorf("posted %q, %v", posted, err)
	}
	if got := p.must("version", "event", polarProduct, polarSerial, "activate", "--comment", "by hand"); got != polarProduct+" "+polarSerial+": active\n" {
		t.Errorf("event said %q", got)
	}
	if feed, err = simplestreams.Fetch(ctx, http.DefaultClient, feedURL); err != nil || len(feed.Products) != 0 {
		t.Errorf("in testing still: %v, %v", feed, err)
	}
	shown := p.must("version", "show", polarProduct, polarSerial)
	for _, want := range []string{polarSerial + ": active", "rootfs.squashfs", `ipv4 +container +passed +here`,
		`version +test +created +testing +maintainer@`, `ipv4 container +run +created +running +octocat`, `ipv4 container +pass +running +passed +octocat`,
		`version +activate +testing +active +maintainer@\S+ +by hand`} {
		if !regexp.MustCompile(want).MatchString(shown) {
			t.Errorf("no %q in\n%s", want, shown)
		}
	}
}

func TestPolarLists(t *testing.T) {
	p := newPolarFolder(t)
	p.must("product", "add", "alpine:3.22:arm64:default", "--requirement", "secureboot=false", "--requirement", "cgroup=v2")
	p.importBuild()
	p.must("check", "add", "ipv4")
	p.must("space", "add", "--channel", "active", "--type", "incus")
	p.must("space", "add", "--name", "visitor", "--expires", "720h")
	p.must("cluster", "add", "rack1", "--endpoint", "https://rack1.example.com:8443")
	for _, tt := range []struct {
		args []string
		want string // a pattern
	}{
		{[]string{"product", "list"}, `^PRODUCT +REQUIREMENTS\nalpine:3.22:arm64:default +cgroup=v2 secureboot=false\n` + polarProduct + ` *\n$`},
		{[]string{"version", "list"}, `^PRODUCT +SERIAL +STATE +CREATED\n` + polarProduct + `  20261122-01  testing  20\d\d-`},
		{[]string{"version", "list", "alpine:3.22:arm64:default"}, `^PRODUCT  SERIAL  STATE  CREATED\n$`},
		{[]string{"check", "list"}, `^CHECK\nipv4\n$`},
		{[]string{"space", "list"}, `^SPACE +CHANNEL +TYPE +CREATED +EXPIRES +NAME\n1 +active +incus +20\S+ +never *\n2 +testing +lxd +20\S+ +20\S+ +visitor\n$`},
		{[]string{"cluster", "list"}, `^CLUSTER +TYPE +ARCH +STATE +ENDPOINT\nrack1 +lxd +amd64 +healthy +https://rack1.example.com:8443\n$`},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			if got := p.must(tt.args...); !regexp.MustCompile(tt.want).MatchString(got) {
				t.Errorf("got\n%s\nwant %s", got, tt.want)
			}
			var all []map[string]any
			if err := json.Unmarshal([]byte(p.must(append(tt.args, "--format", "json")...)), &all); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPolarMistakes(t *testing.T) {
	p := newPolarFolder(t)
	p.importBuild()
	p.must("check", "add", "ipv4")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"nonsense"}, `unknown command "nonsense"`},
		{[]string{"product", "add", "debian:bookworm:x86_64:default"}, "want amd64 or arm64"},
		{[]string{"product", "add", polarProduct}, "exists already"},
		{[]string{"product", "add", "a:b:amd64:c", "--requirement", "secureboot"}, "want name=value"},
		{[]string{"version", "import", p.build, "--serial", polarSerial}, "--product and --serial are needed"},
		{[]string{"version", "import", p.build, "--product", "debian:sid:amd64:default", "--serial", polarSerial}, "icepak polar product list shows"},
		{[]string{"version", "import", p.build, "--product", polarProduct, "--serial", "one"}, "LXD would not see"},
		{[]string{"version", "import", p.build, "--product", polarProduct, "--serial", "20261122-02"}, "is the same file as in"},
		{[]string{"version", "import", p.build + "/nowhere", "--product", polarProduct, "--serial", polarSerial}, "there is no such folder"},
		{[]string{"version", "import", p.data, "--product", polarProduct, "--serial", polarSerial}, "it has no incus.tar.xz"},
		{[]string{"version", "list", "debian:sid:amd64:default"}, "not found"},
		{[]string{"version", "list", "--format", "xml"}, "want text or json"},
		{[]string{"version", "event", polarProduct, polarSerial, "explode"}, "want test, activate or deactivate"},
		{[]string{"version", "event", polarProduct, polarSerial, "test", "--comment", "\x1b[31m"}, "comment must be at most 2000 bytes that print"},
		{[]string{"version", "event", polarProduct, "20261122-09", "test"}, "version 20261122-09 not found"},
		{[]string{"version", "show", polarProduct, "20261122-09"}, "version 20261122-09 not found"},
		{[]string{"space", "add", "--channel", "inactive"}, "must be testing or active"},
		{[]string{"space", "add", "--url", "127.0.0.1:8080"}, "want http://host:port"},
		{[]string{"space", "add", "--url", "http://127.0.0.1:8080?x=1"}, "want http://host:port"},
		{[]string{"space", "add", "--expires", "-1h"}, "--expires: want a time such as 720h"},
		{[]string{"space", "add", "--expires", "soon"}, "want a time such as"},
		{[]string{"space", "add", "--name", "a\nb"}, "name is invalid"},
		{[]string{"space", "remove", "7"}, "space 7 not found"},
		{[]string{"space", "remove", "seven"}, "want a space's number"},
		{[]string{"check", "add", "ipv6", "ipv4"}, "check ipv4 exists already"},
		{[]string{"cluster", "add", "x", "--endpoint", "ftp://x.example.com"}, "must be https://host:port"},
		{[]string{"cluster", "add", "x", "--endpoint", "https://x.example.com", "--client-cert", "x"}, "belong together"},
		{[]string{"cluster", "add", "x", "--remote", "local", "--arch", "amd64"}, "--arch does not go with --remote"},
		{[]string{"cluster", "add", "x", "--endpoint", "unix:", "--token"}, "--token needs --remote"},
		{[]string{"cluster", "add", "x", "--remote", "https://127.0.0.1:9", "--token", "--password"}, "exclude each other"},
		{[]string{"cluster", "add", "x", "--remote", "https://127.0.0.1:9", "--token"}, "standard input has no trust token"},
		{[]string{"cluster", "add", "x", "--remote", "nowhere"}, `unknown remote "nowhere"`},
		{[]string{"cluster", "check", "x"}, "cluster x not found"},
		{[]string{"cluster", "remove", "x"}, "cluster x not found"},
		{[]string{"cluster", "remove", "x", "--revoke"}, "cluster x not found"},
		{[]string{"serve", "--listen", "8080"}, "want host:port"},
		{[]string{"serve", "--listen", "127.0.0.1:99999"}, "want host:port"},
		{[]string{"serve", "--keep", "0"}, "at least 1"},
		{[]string{"serve", "--prune-after", "-1h"}, "want a time such as 72h, or 0 for never"},
		{[]string{"serve", "--tls-cert", "cert.pem"}, "belong together"},
		{[]string{"serve", "--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"}, "open nowhere.pem"},
		{[]string{"prune", "--after", "0s"}, "want a time such as 72h"},
		{[]string{"version", "show", polarProduct, polarSerial, "--format", "xml"}, "want text or json"},
		{[]string{"password"}, "standard input has no password"},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			stdout, stderr, code := p.run("", tt.args...)
			if code != exitUsage || !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("exit %d, stdout %q, stderr %q, want %q", code, stdout, stderr, tt.want)
			}
		})
	}
}

func TestPolarShowsACommentInOneLine(t *testing.T) {
	p := newPolarFolder(t)
	p.importBuild()
	p.must("version", "event", polarProduct, polarSerial, "deactivate", "--comment", "no IPv6\n\tat boot")
	if got := p.must("version", "show", polarProduct, polarSerial); !strings.HasSuffix(got, "  no IPv6 at boot\n") {
		t.Errorf("got\n%q", got)
	}
}

func TestPolarPasswordIsNotWaitedForAfterAnInterrupt(t *testing.T) {
	p := newPolarFolder(t)
	in, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs strings.Builder
	if code := Run(ctx, []string{"polar", "password"}, p.env(in, &out, &errs)); code != exitInterrupted || out.String() != "" {
		t.Errorf("exit %d, %q, %q", code, &out, &errs)
	}
}

func TestPolarServeMayLockItsPage(t *testing.T) {
	p := newPolarFolder(t)
	p.must("password", "--generate")
	for _, tt := range []struct {
		flags []string
		want  int
	}{{nil, 200}, {[]string{"--lock-page"}, 401}} {
		res, err := http.Get(p.serve(tt.flags...) + "/")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != tt.want {
			t.Errorf("with %q: %s", tt.flags, res.Status)
		}
	}
}

func TestPolarServeSaysWhichPortIsTaken(t *testing.T) {
	p := newPolarFolder(t)
	p.must("password", "--generate")
	taken := strings.TrimPrefix(p.serve(), "http://")
	_, stderr, code := p.run("", "serve", "--listen", taken)
	if code != exitUnknown || !strings.Contains(stderr, taken) || !strings.Contains(stderr, "in use") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestPolarImportAgainKeepsTheState(t *testing.T) {
	p := newPolarFolder(t)
	p.importBuild()
	p.must("version", "event", polarProduct, polarSerial, "activate")
	if got := p.importBuild(); got != polarProduct+" "+polarSerial+": was imported before, with the same files; active\n" {
		t.Errorf("said %q", got)
	}
}

func TestPolarPasswordIsReadFromStandardInput(t *testing.T) {
	p := newPolarFolder(t)
	if stdout, stderr, code := p.run("correct horse\nand more\n", "password"); code != exitOK || stdout != "" || stderr != "" {
		t.Fatalf("exit %d, %q, %q", code, stdout, stderr)
	}
	client, err := polar.New(p.serve(), polar.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Authenticate(t.Context(), "correct horse"); err != nil {
		t.Error(err)
	}
}

func TestPolarDataFolder(t *testing.T) {
	for _, tt := range []struct {
		name string
		flag string
		vars map[string]string
		want string
	}{
		{"flag first", "/flag", map[string]string{"ICEPAK_POLAR_DATA": "/data", "HOME": "/home/me"}, "/flag"},
		{"then its variable", "", map[string]string{"ICEPAK_POLAR_DATA": "/data", "XDG_DATA_HOME": "/xdg"}, "/data"},
		{"then the data home", "", map[string]string{"XDG_DATA_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/icepak/polar"},
		{"then home", "", map[string]string{"XDG_DATA_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/share/icepak/polar"},
		{"or none", "", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			env := &Env{Getenv: func(name string) string { return tt.vars[name] }}
			if got, err := (dataOptions{dir: tt.flag}).folder(env); got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
