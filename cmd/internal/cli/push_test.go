package cli

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/push"
)

// pushSite is a Polar that is pushed to from the command line.
type pushSite struct {
	*polarFolder
	vars map[string]string
}

func newPushSite(t *testing.T) *pushSite {
	t.Helper()
	p := newPolarFolder(t)
	password := strings.TrimSpace(p.must("password", "--generate"))
	p.must("product", "add", polarProduct)
	return &pushSite{p, map[string]string{"POLAR_ENDPOINT": p.serve(), "POLAR_AUTH_TOKEN": password}}
}

func (p *pushSite) push(ctx context.Context, vars map[string]string, args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	all := maps.Clone(p.vars)
	maps.Copy(all, vars)
	var out, errs strings.Builder
	code = Run(ctx, append([]string{"push"}, args...), &Env{
		In: strings.NewReader(""), Out: &out, Err: &errs,
		Getenv: func(name string) string { return all[name] }, Environ: func() []string { return nil },
	})
	for _, secret := range []string{p.vars["POLAR_AUTH_TOKEN"]} {
		if strings.Contains(out.String()+errs.String(), secret) {
			p.t.Errorf("the password is told: %s %s", &out, &errs)
		}
	}
	return out.String(), errs.String(), code
}

func pushArgs(serial string, more ...string) []string {
	return append([]string{"--serial", serial, "--os", "debian", "--release", "bookworm", "--arch", "amd64", "--variant", "default"}, more...)
}

// These are the lines of a workflow that was written for the first icepak.
func TestPushFromAWorkflow(t *testing.T) {
	p := newPushSite(t)
	workspace := map[string]string{"GITHUB_WORKSPACE": p.build}
	args := []string{"--os", "debian", "--arch", "x86_64", "--release", "bookworm", "--variant", "default", "--serial", polarSerial}
	stdout, stderr, code := p.push(t.Context(), workspace, args...)
	if code != exitOK || !regexp.MustCompile(`^`+polarProduct+` `+polarSerial+`: pushed 2 files, 27 B in \d+\.\d s; in testing\n$`).MatchString(stdout) {
		t.Fatalf("exit %d, %q, %q", code, stdout, stderr)
	}
	if !regexp.MustCompile(`^incus.tar.xz: 100% of 12 B, [0-9.]+ k?B/s\nrootfs.squashfs: 100% of 15 B, [0-9.]+ k?B/s\n$`).MatchString(stderr) {
		t.Errorf("progress %q", stderr)
	}
	if got := p.must("version", "list"); !strings.Contains(got, polarSerial+"  testing") {
		t.Errorf("got\n%s", got)
	}
	stdout, stderr, code = p.push(t.Context(), workspace, args...)
	if code != exitOK || stdout != polarProduct+" "+polarSerial+": was pushed before, with the same files; in testing\n" || stderr != "" {
		t.Errorf("again: exit %d, %q, %q", code, stdout, stderr)
	}
	p.must("version", "event", polarProduct, polarSerial, "activate")
	stdout, _, code = p.push(t.Context(), workspace, args...)
	if code != exitOK || !strings.Contains(stdout, "active already") {
		t.Errorf("active: exit %d, %q", code, stdout)
	}
}

func TestPushMistakes(t *testing.T) {
	p := newPushSite(t)
	if _, stderr, code := p.push(t.Context(), nil, pushArgs(polarSerial, "--path", p.build)...); code != exitOK {
		t.Fatal(stderr)
	}
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer broken.Close()
	another := t.TempDir()
	for _, name := range []string{"incus.tar.xz", "rootfs.squashfs"} {
		if err := os.WriteFile(filepath.Join(another, name), []byte("another "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		vars map[string]string
		args []string
		code int
		want string
	}{
		"no flags":              {nil, nil, exitUsage, "missing: --serial, --os, --arch, --release"},
		"no folder":             {nil, pushArgs(polarSerial), exitUsage, "name it with --path; GITHUB_WORKSPACE is not set"},
		"no such folder":        {nil, pushArgs(polarSerial, "--path", another+"/nope"), exitUsage, "nope: no such file or directory"},
		"a file":                {nil, pushArgs(polarSerial, "--path", "/etc/passwd"), exitUsage, "/etc/passwd is no folder"},
		"no password":           {map[string]string{"POLAR_AUTH_TOKEN": ""}, pushArgs(polarSerial, "--path", another), exitUsage, "set POLAR_AUTH_TOKEN"},
		"no URL":                {map[string]string{"POLAR_ENDPOINT": "images"}, pushArgs(polarSerial, "--path", another), exitUsage, "see --endpoint and POLAR_ENDPOINT"},
		"an argument":           {nil, []string{"build"}, exitUsage, "takes no arguments"},
		"a colon":               {nil, pushArgs(polarSerial, "--path", another, "--os", "a:b"), exitUsage, "has a colon"},
		"a wrong password":      {map[string]string{"POLAR_AUTH_TOKEN": "hunter2hunter2"}, pushArgs(polarSerial, "--path", another), exitUsage, "wrong password"},
		"an unknown product":    {nil, pushArgs(polarSerial, "--path", another, "--release", "sid"), exitUsage, "icepak polar product add"},
		"an invisible serial":   {nil, pushArgs("one", "--path", another), exitUsage, "LXD would not see the version"},
		"an incomplete build":   {nil, pushArgs(polarSerial, "--path", t.TempDir()), exitUsage, "it has no incus.tar.xz"},
		"another build":         {nil, pushArgs(polarSerial, "--path", another), exitUsage, "has a version " + polarSerial + " already, with another incus.tar.xz"},
		"files of another":      {nil, pushArgs("20261123-01", "--path", p.build), exitUsage, "incus.tar.xz is the same file as in " + polarProduct + " " + polarSerial},
		"a Polar that fails":    {map[string]string{"POLAR_ENDPOINT": broken.URL}, pushArgs(polarSerial, "--path", another), exitUnknown, "500 internal server error"},
		"an architecture's":     {nil, pushArgs(polarSerial, "--path", another, "--arch", "aarch64"), exitUsage, "debian:bookworm:arm64:default"},
		"a password is no flag": {nil, pushArgs(polarSerial, "--password", "x"), exitUsage, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := p.push(t.Context(), tt.vars, tt.args...)
			if code != tt.code || !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("exit %d, stdout %q, stderr %q, want %d and %q", code, stdout, stderr, tt.code, tt.want)
			}
		})
	}
}

// interruptingWriter cancels when something is written to it.
type interruptingWriter struct{ cancel context.CancelFunc }

func (w interruptingWriter) Write(p []byte) (int, error) {
	w.cancel()
	return io.Discard.Write(p)
}

func TestInterruptedPush(t *testing.T) {
	p := newPushSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	var out strings.Builder
	code := Run(ctx, append([]string{"push"}, pushArgs(polarSerial, "--path", p.build)...), &Env{
		Out: &out, Err: interruptingWriter{cancel}, Getenv: func(name string) string { return p.vars[name] },
	})
	if code != exitInterrupted || out.String() != "" {
		t.Errorf("exit %d, %q", code, &out)
	}
	if got := p.must("version", "list"); strings.Contains(got, polarSerial) {
		t.Errorf("got\n%s", got)
	}
}

func TestPushProgressIsSparse(t *testing.T) {
	var errs strings.Builder
	p := newPushProgress(&Env{Err: &errs, Getenv: func(string) string { return "" }})
	for sent := int64(0); sent <= 1000; sent++ {
		p.update(push.Progress{File: "a", Sent: sent * 1e5, Size: 1e8})
		if sent == 600 {
			p.update(push.Progress{File: "a", Sent: 55e6, Size: 1e8}) // a part is sent again
		}
	}
	p.erase()
	if got := regexp.MustCompile(`(?m), .*$`).ReplaceAllString(errs.String(), ""); got != "a: 25% of 100.0 MB\na: 50% of 100.0 MB\na: 75% of 100.0 MB\na: 100% of 100.0 MB\n" {
		t.Errorf("got %q", errs.String())
	}
}
