package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest/fakevm"
)

// crowd is how many images BenchmarkCrowd tests in one run.
const crowd = 1000

// BenchmarkCrowd tests 1,000 images of a feed in one run on a server that only plays
// LXD, so that all that is measured is icepak: its CPU for each image, the most
// memory that it has had after a tenth of them and in the end, and likewise the file
// descriptors. What the probe says is said again for each image, with its own token.
// LXD takes as long as a real one, and 64 are tested at once.
func BenchmarkCrowd(b *testing.B) {
	program := build(b)
	server := &fakevm.Server{Driver: "lxc", Takes: lxdTakes(), Replay: recorded(b, program)}
	addr := server.Start(b)
	feed, products := crowdFeed(b)
	spec := specFile(b, crowdSpec)
	args := []string{"test", "--feed", feed, "--remote", addr, "--spec", spec, "--format", "json", "--parallel", "64"}
	for range b.N {
		before := len(server.Made())
		cmd := exec.Command(program, append(args, products...)...)
		var out, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &stderr
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		early, late := watchProcess(cmd.Process.Pid, func() bool { return len(server.Made())-before >= crowd/10 })
		err := cmd.Wait()
		if err != nil || len(server.Made())-before != crowd {
			b.Fatalf("%v: %d images: %s", err, len(server.Made())-before, &stderr)
		}
		e, l := early(), late()
		cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		b.ReportMetric(cpu.Seconds()*1000/crowd, "cpu-ms/image")
		b.ReportMetric(float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024, "MB")
		b.ReportMetric(float64(e.memory)/1024, "early-MB")
		b.ReportMetric(float64(e.files), "early-fds")
		b.ReportMetric(float64(l.files), "fds")
		b.ReportMetric(float64(l.threads), "threads")
		b.ReportMetric(0, "ns/op")
	}
}

// lxdTakes is how long a real LXD takes for a Debian container on two cores.
func lxdTakes() map[string]time.Duration {
	return map[string]time.Duration{
		"create": 300 * time.Millisecond, "write": 60 * time.Millisecond, "start": 400 * time.Millisecond,
		"exec": 2 * time.Second, "stop": 400 * time.Millisecond, "delete": 300 * time.Millisecond,
	}
}

const crowdSpec = `instance: {ready: {system: false}}
checks:
  ipv4: {interface: {lo: {exists: true, addrs: {contain-element: 127.0.0.1/8}}}}
  assertions:
    file:
      /etc/passwd: {exists: true, filetype: file, owner: root, contents: [root]}
      /bin/sh: {exists: true}
      /etc: {exists: true, filetype: directory, owner: root, group: root}
    user: {root: {exists: true, uid: 0, gid: 0, home: /root}}
    group: {root: {exists: true, gid: 0}}
    command: {"echo 1": {exit-status: 0, stdout: ["1"]}, "true": {exit-status: 0}}
`

// recorded returns what says again what the probe said to the first plan that it was
// given, with each plan's own token.
func recorded(b *testing.B, program string) func(plan []byte) []byte {
	var once sync.Once
	var said []byte
	var token string
	tokenOf := func(plan []byte) string {
		var p struct{ Token string }
		_ = json.Unmarshal(plan, &p) // without one, nothing is believed
		return p.Token
	}
	return func(plan []byte) []byte {
		once.Do(func() {
			cmd := exec.Command(program, "probe")
			cmd.Stdin = bytes.NewReader(plan)
			var err error
			if said, err = cmd.Output(); err != nil {
				b.Errorf("record the probe: %v", err)
			}
			token = tokenOf(plan)
		})
		return bytes.ReplaceAll(said, []byte(token), []byte(tokenOf(plan)))
	}
}

func crowdFingerprint(product string) string {
	sum := sha256.Sum256([]byte(product))
	return hex.EncodeToString(sum[:])
}

// crowdFeed serves a feed with the products, each with one image, and returns its URL.
func crowdFeed(b *testing.B) (string, []string) {
	b.Helper()
	products, all := map[string]any{}, []string(nil)
	for i := range crowd {
		key := fmt.Sprintf("crowd:%d:%s:default", i, runtime.GOARCH)
		hash := crowdFingerprint(key)
		item := func(name, ftype string) map[string]any {
			return map[string]any{"ftype": ftype, "path": "images/" + name, "size": 1000, "sha256": hash}
		}
		meta := item("lxd.tar.xz", "lxd.tar.xz")
		meta["combined_squashfs_sha256"] = hash
		products[key] = map[string]any{
			"aliases": strings.ReplaceAll(key, ":", "/"), "os": "crowd", "release": fmt.Sprint(i), "release_title": fmt.Sprint(i), "arch": runtime.GOARCH, "variant": "default",
			"versions": map[string]any{"20261122-01": map[string]any{"items": map[string]any{"lxd.tar.xz": meta, "root.squashfs": item("root.squashfs", "squashfs")}}},
		}
		all = append(all, key)
	}
	files := map[string]any{
		"/streams/v1/index.json": map[string]any{"format": "index:1.0", "index": map[string]any{"images": map[string]any{
			"datatype": "image-downloads", "path": "streams/v1/images.json", "products": all}}},
		"/streams/v1/images.json": map[string]any{"content_id": "images", "datatype": "image-downloads", "format": "products:1.0", "products": products},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(files[r.URL.Path]) // a client that is gone
	}))
	b.Cleanup(server.Close)
	return server.URL, all
}

// A weight is what a process has.
type weight struct{ memory, files, threads int } // memory in KB

// watchProcess weighs the process until it ends: the first time that begun says so, and
// at the most.
func watchProcess(pid int, begun func() bool) (early, most func() weight) {
	var first, top weight
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			now, err := weigh(pid)
			if err != nil {
				return
			}
			top = weight{max(top.memory, now.memory), max(top.files, now.files), max(top.threads, now.threads)}
			if first == (weight{}) && begun() {
				first = top
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return func() weight { <-done; return first }, func() weight { <-done; return top }
}

func weigh(pid int) (weight, error) {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return weight{}, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return weight{}, err
	}
	w := weight{files: len(files)}
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &w.memory)
		_, _ = fmt.Sscanf(line, "Threads: %d", &w.threads)
	}
	if w.memory == 0 {
		return w, os.ErrProcessDone
	}
	return w, nil
}
