// Package imagetest tests the built-in specs on real images: good ones, which must
// pass, and broken ones, each of which must be caught by the right check, with a cause
// that names what was broken.
package imagetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// A base is an image that works, and of which broken ones are made.
type base struct {
	name    string
	dir     string // its files
	spec    string // the built-in spec that it is tested with
	args    []string
	repo    string // the packages for it; empty where it installs none
	project string // where it is launched
	tree    tree   // of what is to be edited
}

// baseNames are all bases: Debian with ifupdown, with systemd's network in a stable
// and in the newest state, with another init; and a megabyte of busybox.
func baseNames() []string { return []string{"bookworm", "trixie", "sid", "openrc", "tiny"} }

// newBase finds the base's files, which .ci/images builds, and makes a project for it.
func newBase(t *testing.T, name string) *base {
	t.Helper()
	b := &base{name: name, spec: "../../../images/debian.yaml"}
	switch name {
	case "tiny":
		b.dir, b.spec = lxdtest.Tiny(t), "testdata/tiny.yaml"
	case "bookworm":
		b.dir = lxdtest.Debian(t)
	default:
		b.dir = lxdtest.Built(t, name)
	}
	if name == "openrc" {
		b.args = []string{"--set", "init=openrc"} // Debian's own is systemd
	}
	if name != "tiny" {
		b.repo = filepath.Join(b.dir, "repo")
	}
	b.project = lxdtest.OpenProject(t, b.repo).Name
	return b
}

// read reads the base for the images that are made of it.
func (b *base) read(t *testing.T) {
	t.Helper()
	b.tree = readTree(t, filepath.Join(b.dir, "rootfs.squashfs"))
}

// broken makes an image of the base with edits.
func (b *base) broken(t *testing.T, edits []edit) string {
	t.Helper()
	dir := t.TempDir()
	b.tree.with(t, edits).write(t, filepath.Join(dir, "rootfs.squashfs"))
	meta, err := os.ReadFile(filepath.Join(b.dir, "incus.tar.xz"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "incus.tar.xz"), meta, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// An outcome is what icepak says of one image.
type outcome struct {
	code  int
	image result
	text  string // as people see it
}

// result is what is looked at of the JSON report.
type result struct {
	Verdict checks.Verdict `json:"verdict"`
	Reason  string         `json:"reason"`
	Causes  []string       `json:"causes"`
	Checks  []struct {
		Name    string          `json:"name"`
		Verdict checks.Verdict  `json:"verdict"`
		Reason  string          `json:"reason"`
		Causes  []string        `json:"causes"`
		Results []checks.Result `json:"results"`
	} `json:"checks"`
}

// program builds icepak with the probes in it.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "icepak")
	cmd := exec.Command("go", "build", "-o", path, "github.com/upmaru/icepak/cmd/icepak")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// test has icepak test the files of an image in the base's way.
func (b *base) test(t *testing.T, icepak, dir string, args ...string) outcome {
	t.Helper()
	report := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.CommandContext(t.Context(), icepak, slices.Concat([]string{
		"test", "--path", dir, "--spec", b.spec, "--remote", "local", "--project", b.project,
		"--format", "text", "--format", "json=" + report,
	}, b.args, args)...)
	cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "ICEPAK_STATE="+t.TempDir())
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	o := outcome{text: said.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		o.code = exit.ExitCode()
	case err != nil:
		t.Fatal(err)
	}
	data, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("%v: %s", err, o.text)
	}
	var whole struct {
		Images []json.RawMessage `json:"images"`
	}
	if err := json.Unmarshal(data, &whole); err != nil || len(whole.Images) != 1 {
		t.Fatalf("%v: %s", err, data)
	}
	if err := json.Unmarshal(whole.Images[0], &o.image); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return o
}

// failed names the checks that failed, or says that the whole image did.
func (o outcome) failed() string {
	var names []string
	reasons := map[string]bool{}
	for _, c := range o.image.Checks {
		if c.Verdict == checks.Fail || c.Verdict == checks.Error {
			names = append(names, c.Name)
			reasons[c.Reason] = true
		}
	}
	if len(names) > 1 && len(reasons) == 1 && reasons[o.image.Reason] && o.image.Reason != "" {
		return "image"
	}
	return strings.Join(names, " ")
}

// why is all that is said of the faults.
func (o outcome) why() string {
	lines := append([]string{o.image.Reason}, o.image.Causes...)
	for _, c := range o.image.Checks {
		if c.Verdict == checks.Pass || c.Verdict == checks.Skip {
			continue
		}
		lines = append(append(lines, c.Reason), c.Causes...)
		for _, r := range c.Results {
			if r.Verdict == checks.Fail || r.Verdict == checks.Error {
				lines = append(lines, fmt.Sprintf("%s %s %s: %s %v %s", r.Type, r.ID, r.Property, r.Message, r.Actual, r.Output))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// caught holds that the image failed by the checks, for that reason.
func (o outcome) caught(t *testing.T, checks, why string) {
	t.Helper()
	if o.code != 1 {
		t.Errorf("exit code %d, want 1", o.code)
	}
	if got := o.failed(); got != checks {
		t.Errorf("it was caught by %q, want %q", got, checks)
	}
	if !regexp.MustCompile(why).MatchString(o.why()) {
		t.Errorf("nothing says %q:\n%s", why, o.why())
	}
	if t.Failed() {
		t.Log(o.text)
	}
}
