package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// trip is the round trip to the far remote.
const trip = 50 * time.Millisecond

// BenchmarkFarRemote times a whole run on a container, whose image is on the server,
// over HTTPS, in pairs: at once, and a round trip of 50 ms away. trips is the median
// of what the far one takes longer, in round trips.
func BenchmarkFarRemote(b *testing.B) {
	program := build(b)
	p := lxdtest.OpenProject(b, "")
	far := lxdtest.NewFar(b)
	far.Remote.Project = p.Name
	dir := b.TempDir()
	for name, data := range map[string][]byte{"client.crt": far.Remote.ClientCert, "client.key": far.Remote.ClientKey} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	server, err := lxd.Connect(b.Context(), far.Remote, "icepak-bench")
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	tiny := lxdtest.Tiny(b)
	fingerprint, err := server.Upload(b.Context(), filepath.Join(tiny, "incus.tar.xz"), filepath.Join(tiny, "rootfs.squashfs"), "container", nil)
	if err != nil {
		b.Fatal(err)
	}
	spec := filepath.Join(dir, "spec.yaml")
	if err := os.WriteFile(spec, []byte("instance: {ready: {system: true}}\nchecks: {files: {file: {/etc/passwd: {exists: true}, /bin/sh: {exists: true}}}}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(d time.Duration) float64 {
		far.SetTrip(d)
		far.Requests()
		return timed(b, program, "test", "--image", fingerprint, "--remote", far.Remote.Addr, "--project", p.Name, "--spec", spec,
			"--client-cert", filepath.Join(dir, "client.crt"), "--client-key", filepath.Join(dir, "client.key"), "--server-fingerprint", far.Remote.Fingerprints[0])
	}
	run(0) // the first one unpacks the image
	var near, fars, trips, requests []float64
	for range b.N {
		n, f := run(0), run(trip)
		all := far.Requests()
		near, fars, trips = append(near, n), append(fars, f), append(trips, (f-n)/trip.Seconds())
		requests = append(requests, float64(len(all)))
		b.Logf("%.3f s, %.3f s: %s", n, f, strings.Join(all, ", "))
	}
	b.ReportMetric(median(near), "near-s")
	b.ReportMetric(median(fars), "far-s")
	b.ReportMetric(median(trips), "trips")
	b.ReportMetric(median(requests), "requests")
	b.ReportMetric(0, "ns/op")
}
