package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// BenchmarkOneImage times a whole run of the program on a Debian image that is on
// the server already, in pairs with the floor: what LXD itself takes to create,
// start, get addresses into, stop and delete such a container. ratio is the
// median of the pairs' ratios.
func BenchmarkOneImage(b *testing.B) {
	program := build(b)
	p, server := benchServer(b)
	fingerprint := upload(b, server, lxdtest.Debian(b))
	for _, assertions := range []int{20, 100} {
		b.Run(fmt.Sprintf("%d assertions", assertions), func(b *testing.B) {
			spec := benchSpec(b, assertions/2)
			var floors, runs, ratios []float64
			var evaluated, memory float64
			for range b.N {
				f := floor(b, server, fingerprint)
				r, checks, rss := benchRun(b, program, p.Name, fingerprint, spec)
				floors, runs, ratios = append(floors, f), append(runs, r), append(ratios, r/f)
				evaluated, memory = checks, max(memory, rss)
			}
			b.ReportMetric(median(floors), "floor-s")
			b.ReportMetric(median(runs), "run-s")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(evaluated, "checks-s")
			b.ReportMetric(memory, "MB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// floor is the seconds that LXD takes for a container whose addresses are ready.
func floor(b *testing.B, server *lxd.Server, fingerprint string) float64 {
	b.Helper()
	return floorFrom(b, server, lxd.Source{Fingerprint: fingerprint})
}

func floorFrom(b *testing.B, server *lxd.Server, from lxd.Source) float64 {
	b.Helper()
	const ready = `until ip -4 addr show dev eth0 scope global | grep -q inet && ip -6 addr show dev eth0 scope global -tentative | grep -q inet6; do sleep 0.05; done`
	began := time.Now()
	lifeOf(b, server, from, []string{"sh", "-c", ready})
	return time.Since(began).Seconds()
}

// benchRun returns the seconds of a run, those of its checks, and its memory in MB.
func benchRun(b *testing.B, program, project, fingerprint, spec string) (run, checks, rss float64) {
	b.Helper()
	cmd := exec.Command(program, "test", "--image", fingerprint, "--remote", "local", "--project", project, "--spec", spec, "--format", "json")
	var out bytes.Buffer
	cmd.Stdout = &out
	began := time.Now()
	rss, err := measure(cmd)
	run = time.Since(began).Seconds()
	if err != nil {
		b.Fatalf("%v: %s", err, out.String())
	}
	var report struct {
		Images []struct {
			Stages []struct {
				Stage    string  `json:"stage"`
				Duration float64 `json:"duration_s"`
			} `json:"stages"`
		} `json:"images"`
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		b.Fatal(err)
	}
	for _, s := range report.Images[0].Stages {
		if s.Stage == "checks" {
			checks = s.Duration
		}
	}
	return run, checks, rss
}

// benchSpec has an address of each family and commands, with two assertions each.
func benchSpec(b *testing.B, commands int) string {
	b.Helper()
	return specFile(b, "checks:\n"+
		"  ipv4: {network: {eth0: {ipv4: true, within: 30s}}}\n"+
		"  ipv6: {network: {eth0: {ipv6: true, within: 30s}}}\n"+commandCheck(commands))
}

// commandSpec has the commands only.
func commandSpec(b *testing.B, commands int) string {
	b.Helper()
	return specFile(b, "checks:\n"+commandCheck(commands))
}

func commandCheck(commands int) string {
	var text strings.Builder
	text.WriteString("  commands:\n    command:\n")
	for i := range commands {
		fmt.Fprintf(&text, "      echo %d: {exit-status: 0, stdout: [\"%d\"]}\n", i, i)
	}
	return text.String()
}

func specFile(b *testing.B, text string) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "spec.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	return path
}

// build makes the program as a release is made, and returns its path.
func build(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "icepak")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "stdlibjson", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// timed returns the seconds that the program takes, which must succeed.
func timed(b *testing.B, program string, args ...string) float64 {
	b.Helper()
	began := time.Now()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return time.Since(began).Seconds()
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
