package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// gossModule is what assertions are compared with. It is built in a module of its own.
const gossModule = "module scratch\n\ngo 1.26\n\nrequire github.com/goss-org/goss v0.4.9\n"

// BenchmarkBesideGoss times assertions on a running Debian container, in pairs: icepak
// test --instance, from its start to its report, and the floor, which is to push goss
// into the container with the same client and to run it there. ratio is the median
// of the pairs' ratios; checks-ratio is that of the assertions alone, as the probe and
// goss time them themselves.
func BenchmarkBesideGoss(b *testing.B) {
	program, rival := build(b), buildGoss(b)
	p := lxdtest.OpenProject(b, "")
	remote := lxdtest.Remote(b)
	remote.Project = p.Name
	server, err := lxd.Connect(b.Context(), remote, "icepak-bench")
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	inst := debianContainer(b, server)
	for _, n := range []int{100, 5000} {
		spec := gossSpec(n)
		file := filepath.Join(b.TempDir(), "goss.yaml")
		if err := os.WriteFile(file, []byte(spec), 0o644); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%d assertions", n), func(b *testing.B) {
			var floors, runs, ratios, checkRatios []float64
			for range b.N {
				floor, theirs := runGoss(b, inst, rival, spec, n)
				run, ours := runBesideGoss(b, program, p.Name, inst.Name(), file, n)
				floors, runs = append(floors, floor), append(runs, run)
				ratios, checkRatios = append(ratios, run/floor), append(checkRatios, ours/theirs)
			}
			b.ReportMetric(median(floors), "goss-s")
			b.ReportMetric(median(runs), "run-s")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(median(checkRatios), "checks-ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// buildGoss builds goss as it is released, and returns its path.
func buildGoss(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(gossModule), 0o644); err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, "goss")
	cmd := exec.Command("go", "build", "-mod=mod", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/goss-org/goss/cmd/goss")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return path
}

// debianContainer launches a container that is deleted at the end.
func debianContainer(b *testing.B, server *lxd.Server) *lxd.Instance {
	b.Helper()
	dir := lxdtest.Debian(b)
	fingerprint, err := server.Upload(b.Context(), filepath.Join(dir, "incus.tar.xz"), filepath.Join(dir, "rootfs.squashfs"), "container", func(lxd.Progress) {})
	if err != nil {
		b.Fatal(err)
	}
	inst, err := server.Create(b.Context(), lxd.Request{Name: lxdtest.Name(b), Type: "container", Source: lxd.Source{Fingerprint: fingerprint}}, func(lxd.Progress) {})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the benchmark's has ended
		defer cancel()
		if err := inst.Delete(ctx); err != nil {
			b.Error(err)
		}
	})
	if err := inst.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	wait := []string{"sh", "-c", "until systemctl is-system-running --wait; do sleep 0.1; done"}
	if code, err := inst.Exec(b.Context(), lxd.ExecRequest{Args: wait, Stdout: io.Discard, Stderr: io.Discard}); err != nil || code != 0 {
		b.Fatalf("wait for systemd: exit %d, %v", code, err)
	}
	return inst
}

// gossSpec has n assertions that hold on the Debian image: of files, users, groups,
// packages, commands, and processes.
func gossSpec(n int) string {
	sections := map[string][]string{
		"file":    {"/etc/passwd", "/etc/group", "/etc/hosts", "/usr/bin/env", "/bin/sh", "/etc/apt/sources.list"},
		"user":    {"root", "daemon", "bin", "sys", "mail", "nobody"},
		"group":   {"root", "daemon", "bin", "adm", "tty", "nogroup"},
		"package": {"apt", "bash", "coreutils", "dpkg", "grep", "systemd"},
		"process": {"systemd"},
	}
	property := map[string]string{"file": "exists", "user": "exists", "group": "exists", "package": "installed", "process": "running"}
	var b strings.Builder
	left := n - n/20
	for i, section := range []string{"file", "user", "group", "package", "process"} {
		share := left / (5 - i)
		left -= share
		fmt.Fprintf(&b, "%s:\n", section)
		alias := map[string]string{"file": "path", "user": "username", "group": "groupname", "package": "name", "process": "comm"}[section]
		for k := range share {
			names := sections[section]
			fmt.Fprintf(&b, "  %s%d: {%s: %s, %s: true}\n", section, k, alias, names[k%len(names)], property[section])
		}
	}
	b.WriteString("command:\n")
	for k := range n / 20 {
		fmt.Fprintf(&b, "  echo %d: {exit-status: 0}\n", k)
	}
	return b.String()
}

// runGoss pushes goss and runs it. It returns the seconds of both, and of goss's
// assertions, of which there must be n that hold.
func runGoss(b *testing.B, inst *lxd.Instance, program, spec string, n int) (run, assertions float64) {
	b.Helper()
	file, err := os.Open(program)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	began := time.Now()
	if err := inst.Push(b.Context(), "/goss", file, 0o755); err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	_, err = inst.Exec(b.Context(), lxd.ExecRequest{
		Args: []string{"/goss", "-g", "-", "validate", "--format", "json"}, Stdin: strings.NewReader(spec), Stdout: &out, Stderr: io.Discard,
	})
	run = time.Since(began).Seconds()
	var report struct {
		Summary struct {
			Count    int   `json:"test-count"`
			Failed   int   `json:"failed-count"`
			Duration int64 `json:"total-duration"` // ns
		} `json:"summary"`
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		b.Fatalf("%v: %.300s", err, &out)
	}
	if s := report.Summary; err != nil || s.Count != n || s.Failed != 0 {
		b.Fatalf("goss: %+v, %v", s, err)
	}
	return run, time.Duration(report.Summary.Duration).Seconds()
}

// runBesideGoss returns the seconds of icepak's run, and of the probe's checks.
func runBesideGoss(b *testing.B, program, project, instance, spec string, n int) (run, checks float64) {
	b.Helper()
	cmd := exec.Command(program, "test", "--instance", instance, "--remote", "local", "--project", project, "--spec", spec, "--format", "json")
	began := time.Now()
	out, err := cmd.Output()
	run = time.Since(began).Seconds()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	var report struct {
		Images []struct {
			Checks []struct {
				Passed   int     `json:"passed"`
				Duration float64 `json:"duration_s"`
			} `json:"checks"`
		} `json:"images"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		b.Fatal(err)
	}
	if c := report.Images[0].Checks[0]; c.Passed != n {
		b.Fatalf("%d of %d assertions hold", c.Passed, n)
	}
	return run, report.Images[0].Checks[0].Duration
}
