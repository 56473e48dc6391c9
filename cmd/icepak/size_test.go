package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
	"github.com/upmaru/icepak/cmd/internal/probe/embedded"
)

// Icepak is copied to bare hosts and into small CI images, and its probe into
// every guest: neither may grow without somebody deciding it.
func TestItStaysSmall(t *testing.T) {
	program := build(t)
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if mb := info.Size() / 1e6; mb >= 30 {
		t.Errorf("icepak has %d MB", mb)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		probe, err := embedded.Probe(arch)
		if err != nil {
			t.Fatalf("%v; make probes builds them", err)
		}
		if mb := len(probe) / 1e6; mb >= 10 {
			t.Errorf("the probe for %s has %d MB", arch, mb)
		}
	}

	p := lxdtest.OpenProject(t, "")
	spec := filepath.Join(t.TempDir(), "spec.yaml")
	if err := os.WriteFile(spec, []byte("checks: {up: {file: {/sbin/init: {exists: true}}}}"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "test", "--remote", "local", "--project", p.Name, "--path", lxdtest.Tiny(t), "--spec", spec)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	mb, err := measure(cmd)
	if err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if mb == 0 || mb >= 100 {
		t.Errorf("a run of one image took %.0f MB", mb)
	}
}

// The probe evaluates in the guest, which may be small, what --local evaluates here.
func TestThousandsOfAssertionsTakeLittleMemory(t *testing.T) {
	var spec strings.Builder
	spec.WriteString("checks:\n  many:\n    file:\n")
	for i := range 2500 {
		fmt.Fprintf(&spec, "      f%d: {path: /etc/passwd, exists: true, contents: [root]}\n", i)
	}
	path := filepath.Join(t.TempDir(), "spec.yaml")
	if err := os.WriteFile(path, []byte(spec.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(build(t), "test", "--local", "--spec", path)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	mb, err := measure(cmd)
	if err != nil || !strings.Contains(out.String(), "5000 of 5000") {
		t.Fatalf("%v: %s", err, out.String())
	}
	if mb == 0 || mb >= 64 {
		t.Errorf("5,000 assertions took %.0f MB", mb)
	}
}

// The reports of ten thousand results that all failed fit into memory, and on a disk.
func TestTenThousandFailuresAreReported(t *testing.T) {
	dir := t.TempDir()
	var spec strings.Builder
	for c := range 100 {
		fmt.Fprintf(&spec, "  many-%d:\n    file:\n", c)
		for i := range 100 {
			fmt.Fprintf(&spec, "      f%d: {path: /etc/passwd, exists: false}\n", i)
		}
	}
	path := filepath.Join(dir, "spec.yaml")
	if err := os.WriteFile(path, []byte("checks:\n"+spec.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "--local", "--spec", path, "--format", "text"}
	formats := []string{"json", "junit", "html", "markdown", "tap"}
	for _, f := range formats {
		args = append(args, "--format", f+"="+filepath.Join(dir, f))
	}
	cmd := exec.Command(build(t), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, io.Discard
	mb, err := measure(cmd)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 {
		t.Fatalf("%v: %.2000s", err, out.String())
	}
	if mb == 0 || mb >= 200 {
		t.Errorf("10,000 failures took %.0f MB", mb)
	}
	if n := out.Len(); n > 4<<20 {
		t.Errorf("the text has %d bytes", n)
	}
	for _, f := range formats {
		info, err := os.Stat(filepath.Join(dir, f))
		if err != nil || info.Size() == 0 || info.Size() > 16<<20 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
	var report struct {
		Images []struct {
			Checks []struct{ Results []any } `json:"checks"`
		} `json:"images"`
	}
	data, err := os.ReadFile(filepath.Join(dir, "json"))
	if err == nil {
		err = json.Unmarshal(data, &report)
	}
	results := 0
	for _, c := range report.Images[0].Checks {
		results += len(c.Results)
	}
	if err != nil || results != 10_000 {
		t.Errorf("%d results, %v", results, err)
	}
}

// measure runs the command and returns the most memory, in MB, that it has had. It
// looks while the command runs: what the kernel tells at its end includes the memory
// of the process that started it.
func measure(cmd *exec.Cmd) (peak float64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-time.After(10 * time.Millisecond):
			peak = max(peak, highWater(cmd.Process.Pid))
		}
	}
}

// highWater is the most memory, in MB, that a live process has had so far.
func highWater(pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return 0
	}
	return kb / 1024
}
