package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// A validator gives icepak validate for the version that a polarFolder has.
type validator struct {
	*polarFolder
	vars map[string]string
}

func newValidator(t *testing.T) *validator {
	t.Helper()
	v := &validator{polarFolder: newPolarFolder(t)}
	password := strings.TrimSpace(v.must("password", "--generate"))
	v.must("check", "add", "ipv4", "ipv6", "elsewhere")
	v.importBuild()
	url := v.serve()
	space := func(channel string) string {
		return strings.TrimSpace(v.must("space", "add", "--channel", channel, "--type", "lxd", "--url", url))
	}
	v.vars = map[string]string{
		"POLAR_ENDPOINT": url, "POLAR_AUTH_TOKEN": password, "TESTING_IMAGE_SERVER": space("testing"),
		"active": space("active"), "ICEPAK_STATE": t.TempDir(), "LXD_CONF": t.TempDir(),
	}
	return v
}

// validate runs icepak validate with the arguments after those that are needed.
func (v *validator) validate(args ...string) (stdout, stderr string, code int) {
	var out, errs strings.Builder
	env := &Env{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(name string) string { return v.vars[name] }, Environ: func() []string { return nil }}
	all := append([]string{"validate", "--serial", polarSerial, "--os", "debian", "--arch", "x86_64", "--release", "bookworm", "--variant", "default"}, args...)
	code = Run(v.t.Context(), all, env)
	return out.String(), errs.String(), code
}

// holds checks the version's state, and that nothing secret was said.
func (v *validator) holds(state string, said ...string) {
	v.t.Helper()
	if got := v.must("version", "list", polarProduct); !strings.Contains(got, " "+state+" ") {
		v.t.Errorf("want it %s, got\n%s", state, got)
	}
	for _, text := range said {
		for _, name := range []string{"POLAR_AUTH_TOKEN", "TESTING_IMAGE_SERVER", "active"} {
			if strings.Contains(text, v.vars[name]) {
				v.t.Errorf("%s is in %q", name, text)
			}
		}
	}
}

func TestValidateFindsMistakesBeforeAnythingChanges(t *testing.T) {
	v := newValidator(t)
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a flag without its value", []string{"--release", ""}, exitUsage, "missing: --release"},
		{"an architecture that nobody has", []string{"--arch=ppc64"}, exitUsage, "want amd64, x86_64, arm64 or aarch64"},
		{"a colon", []string{"--os", "debian:bookworm"}, exitUsage, "colon"},
		{"an argument", []string{"debian"}, exitUsage, "takes no arguments"},
		{"an unknown flag", []string{"--check", "ipv4"}, exitUsage, "unknown flag"},
		{"a fingerprint that is none", []string{"--server-fingerprint", "ab:cd"}, exitUsage, "64 hexadecimal digits"},
		{"an unknown product", []string{"--release", "bookwurm", "--spec", writeSpec(t)}, exitUsage, "404"},
		{"an unknown version", []string{"--serial=20261122-99"}, exitUsage, "404"},
		{"a serial that LXD does not see", []string{"--serial", "one"}, exitUsage, "does not start with a date"},
		{"a check that nobody has", []string{"--checks", "ipv4,ipv44"}, exitUsage,
			`"ipv44"[^\n]*\n +did you mean "ipv4"\? images/debian.yaml has [^\n]*ipv6[^\n]*; Polar tracks ipv4, ipv6, elsewhere\n$`},
		{"a check that only Polar has", []string{"--checks=ipv4, elsewhere"}, exitUsage, `polar tracks the check "elsewhere", but images/debian.yaml does not have it`},
		{"no cluster", []string{"--checks", "ipv4,ipv6"}, exitUnknown, "no healthy cluster for amd64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := v.validate(tt.args...)
			if code != tt.code || !regexp.MustCompile(tt.want).MatchString(stderr) || stdout != "" {
				t.Errorf("exit %d, stdout %q, stderr %q, want %q", code, stdout, stderr, tt.want)
			}
			v.holds("testing", stderr)
		})
	}
}

// writeSpec writes a spec for every product.
func writeSpec(t *testing.T) string {
	t.Helper()
	name := t.TempDir() + "/spec.yaml"
	if err := os.WriteFile(name, []byte("checks: {ipv4: {file: {/etc: {exists: true}}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// writeIdentity makes files of a client certificate and its key.
func writeIdentity(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	cert, key, err := lxd.NewIdentity("icepak")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"cert": cert, "key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert"), filepath.Join(dir, "key")
}

func TestValidateNeedsPolar(t *testing.T) {
	for _, name := range []string{"POLAR_AUTH_TOKEN", "TESTING_IMAGE_SERVER"} {
		t.Run(name, func(t *testing.T) {
			v := &validator{polarFolder: newPolarFolder(t), vars: map[string]string{"POLAR_AUTH_TOKEN": "x", "TESTING_IMAGE_SERVER": "x"}}
			v.vars[name] = ""
			if _, stderr, code := v.validate(); code != exitUsage || !strings.Contains(stderr, name+" is not set") {
				t.Errorf("exit %d: %s", code, stderr)
			}
		})
	}
}

func TestValidateOfAnActiveVersionIsASuccessWhereThatIsKnown(t *testing.T) {
	v := newValidator(t)
	v.must("cluster", "add", "gone", "--endpoint", "https://127.0.0.1:9", "--arch", "arm64")
	v.must("version", "event", polarProduct, polarSerial, "activate")

	v.vars["ACTIVE_IMAGE_SERVER"] = v.vars["active"]
	stdout, stderr, code := v.validate()
	if code != exitOK || !strings.Contains(stdout, "promoted already") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	v.holds("active", stdout, stderr)
}

func TestValidateChangesNothingThatItCannotTest(t *testing.T) {
	v := newValidator(t)
	v.must("version", "event", polarProduct, polarSerial, "deactivate")
	_, stderr, code := v.validate("--checks", "ipv4")
	if code != exitUnknown || !strings.Contains(stderr, "no healthy cluster") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	v.holds("inactive", stderr)
}

func TestValidatePromotesNoVersionOfATypeThatNoClusterRuns(t *testing.T) {
	v := newValidator(t)
	d := newDaemon(t) // it runs containers only
	cert, key := writeIdentity(t)
	v.must("cluster", "add", "rack1", "--endpoint", d.URL, "--arch", "amd64", "--client-cert", cert, "--client-key", key)
	v.vars["ICEPAK_SERVER_FINGERPRINTS"] = d.fingerprint
	if err := os.Rename(filepath.Join(v.build, "rootfs.squashfs"), filepath.Join(v.build, "disk.qcow2")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"incus.tar.xz", "disk.qcow2"} {
		if err := os.WriteFile(filepath.Join(v.build, name), []byte("another "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v.must("version", "event", polarProduct, polarSerial, "deactivate")
	v.must("version", "import", v.build, "--product", polarProduct, "--serial", "20261122-02", "--test")
	_, stderr, code := v.validate("--serial", "20261122-02", "--checks", "ipv4")
	if code != exitUnknown || !strings.Contains(stderr, "runs no virtual machines") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	v.holds("testing", stderr)
}

func TestValidatePutsAVersionIntoTestingAgain(t *testing.T) {
	v := newValidator(t)
	d := newDaemon(t)
	cert, key := writeIdentity(t)
	v.must("cluster", "add", "rack1", "--endpoint", d.URL, "--arch", "amd64", "--client-cert", cert, "--client-key", key)
	v.vars["ICEPAK_SERVER_FINGERPRINTS"] = d.fingerprint
	v.must("version", "event", polarProduct, polarSerial, "deactivate")
	_, stderr, code := v.validate("--checks", "ipv4") // the daemon launches nothing
	if code != exitUnknown || !strings.Contains(stderr, "Polar has put it there again") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	v.holds("testing", stderr)

	// What is active stays so, where that is told.
	v.must("version", "event", polarProduct, polarSerial, "activate")
	var stdout string
	stdout, stderr, code = v.validate("--checks", "ipv4")
	if code != exitOK || !strings.Contains(stdout, "promoted already; nothing is launched") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
	v.holds("active", stderr)

	// Where it is not, what that means is said.
	v.vars["POLAR_ENDPOINT"] = asPolar02(t, v.vars["POLAR_ENDPOINT"])
	_, stderr, code = v.validate("--checks", "ipv4")
	if code != exitUnknown || !strings.Contains(stderr, "is not in the testing channel, and does not get there") || !strings.Contains(stderr, "ACTIVE_IMAGE_SERVER") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	v.holds("active", stderr)
}
