package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest/fakevm"
)

// vmProduct is of this machine's architecture, on which the probe is really run.
const vmProduct = "alpine:3.22:" + runtime.GOARCH + ":default"

// A vmSite is a Polar that knows a version and a server that runs virtual machines.
type vmSite struct {
	*polarFolder
	vars map[string]string
}

// newVMSite imports a build that is the named files beside its metadata.
func newVMSite(t *testing.T, s *fakevm.Server, roots ...string) *vmSite {
	t.Helper()
	p := &vmSite{polarFolder: newPolarFolder(t)}
	for _, name := range []string{"rootfs.squashfs", "disk.qcow2"} {
		path := filepath.Join(p.build, name)
		if !slices.Contains(roots, name) {
			os.Remove(path)
		} else if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addr := s.Start(t)
	spec := filepath.Join(t.TempDir(), "spec.yaml")
	text := "instance: {ready: {system: false, timeout: 50ms}}\nchecks:\n  works:\n    command: {\"true\": {exit-status: 0}}\n"
	if err := os.WriteFile(spec, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSpace(p.must("password", "--generate"))
	p.must("check", "add", "works")
	p.must("cluster", "add", "here", "--endpoint", addr, "--arch", runtime.GOARCH)
	p.must("product", "add", vmProduct, "--requirement", "secureboot=false")
	p.must("version", "import", p.build, "--product", vmProduct, "--serial", polarSerial, "--test")
	url := p.serve()
	p.vars = map[string]string{
		"POLAR_ENDPOINT": url, "POLAR_AUTH_TOKEN": password, "SPEC": spec, "REMOTE": addr,
		"TESTING_IMAGE_SERVER": strings.TrimSpace(p.must("space", "add", "--channel", "testing", "--type", "lxd", "--url", url)),
	}
	return p
}

// test runs icepak test for the version, or as the arguments say.
func (p *vmSite) test(args ...string) (said string, code int) {
	p.t.Helper()
	if len(args) == 0 {
		args = []string{vmProduct, "--promote"}
	}
	var out strings.Builder
	env := p.env(strings.NewReader(""), &out, &out)
	env.Getenv = func(name string) string { return p.vars[name] }
	code = Run(p.t.Context(), append([]string{"test", "--spec", p.vars["SPEC"]}, args...), env)
	return out.String(), code
}

func (p *vmSite) active() bool {
	p.t.Helper()
	return strings.Contains(p.must("version", "list", vmProduct), "active")
}

func TestBothTypesOfAVersionCountForItsPromotion(t *testing.T) {
	const container, disk = "rootfs.squashfs", "disk.qcow2"
	for _, tt := range []struct {
		name   string
		server *fakevm.Server
		roots  []string
		code   int
		active bool
		says   []string
	}{
		// What the product requires reaches the server, or this one would never boot.
		{"both pass", &fakevm.Server{Unsigned: true}, []string{container, disk}, exitOK, true,
			[]string{"20261122-01 container on", "20261122-01 virtual-machine on", "; promoted"}},
		{"a virtual machine alone", &fakevm.Server{Unsigned: true, Extensions: []string{"instance_boot_mode"}}, []string{disk}, exitOK, true,
			[]string{"20261122-01 virtual-machine on", "; promoted"}},
		{"the virtual machine has no agent", &fakevm.Server{Agent: fakevm.Never}, []string{container, disk}, exitFailed, false,
			[]string{"the agent did not answer within 50ms: is lxd-agent installed and started?", "not promoted"}},
		{"the server runs no virtual machines", &fakevm.Server{Driver: "lxc"}, []string{container, disk}, exitOK, false,
			[]string{"20261122-01 is not tested as a virtual machine: cluster 1 runs none", "not promoted"}},
		{"and there is nothing else", &fakevm.Server{Driver: "lxc"}, []string{disk}, exitUnknown, false,
			[]string{"cluster 1 runs no virtual machines, and there is no container image"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newVMSite(t, tt.server, tt.roots...)
			said, code := p.test()
			if code != tt.code || p.active() != tt.active {
				t.Errorf("exit %d, active %t; want %d, %t", code, p.active(), tt.code, tt.active)
			}
			for _, want := range tt.says {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if left := tt.server.Left(); len(left) > 0 {
				t.Errorf("left %q", left)
			}
			if t.Failed() {
				t.Logf("it said:\n%s", said)
			}
		})
	}
}

func TestAFeedsDiskIsLaunchedByItsFingerprint(t *testing.T) {
	s := &fakevm.Server{Unsigned: true, Metadata: map[string]string{"requirements.secureboot": "false"}}
	p := newVMSite(t, s, "disk.qcow2")
	if said, code := p.test(); code != exitOK {
		t.Fatalf("exit %d: %s", code, said)
	}
	sum := sha256.Sum256([]byte("incus.tar.xzdisk.qcow2")) // the files' contents
	want := hex.EncodeToString(sum[:])
	launched := func() {
		t.Helper()
		made := s.Made()
		if post := made[len(made)-1]; post.Source.Fingerprint != want || post.Type != "virtual-machine" {
			t.Errorf("launched a %s of %s, want %s", post.Type, post.Source.Fingerprint, want)
		}
	}
	launched()

	// The same files without a feed: what they require is in their metadata.
	if said, code := p.test("--path", p.build, "--remote", p.vars["REMOTE"]); code != exitOK {
		t.Fatalf("exit %d: %s", code, said)
	}
	launched()
}
