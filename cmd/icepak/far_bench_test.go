package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest/fakevm"
)

// trip is the round trip to the far remote.
const trip = 50 * time.Millisecond

// BenchmarkFarRemote times a whole run on a container, whose image is on the server,
// over HTTPS, in pairs: at once, and a round trip of 50 ms away. trips is the median
// of what the far one takes longer, in round trips. The played server takes always
// the same time; that of a real LXD varies by more than a round trip.
func BenchmarkFarRemote(b *testing.B) {
	program := build(b)
	b.Run("played", func(b *testing.B) {
		feed, products := crowdFeed(b)
		server := &fakevm.Server{Driver: "lxc", Takes: lxdTakes(), Replay: recorded(b, program)}
		far := lxdtest.NewFar(b, lxd.Remote{Addr: server.Start(b)})
		args := append(farArgs(b, far), "--feed", feed, "--spec", specFile(b, crowdSpec), products[0])
		server.Images = map[string]map[string]string{crowdFingerprint(products[0]): {}}
		benchFar(b, far, program, args)
	})
	b.Run("LXD", func(b *testing.B) {
		p, server := benchServer(b)
		remote := lxdtest.Remote(b)
		remote.Project = p.Name
		far := lxdtest.NewFar(b, remote)
		fingerprint := upload(b, server, lxdtest.Tiny(b))
		args := append(farArgs(b, far), "--image", fingerprint, "--project", p.Name, "--spec", specFile(b, "instance: {ready: {system: true}}\nchecks: {files: {file: {/etc/passwd: {exists: true}}}}\n"))
		benchFar(b, far, program, args)
	})
}

// farArgs name the far remote, and how it is logged in to.
func farArgs(b *testing.B, far *lxdtest.Far) []string {
	b.Helper()
	dir := b.TempDir()
	for name, data := range map[string][]byte{"client.crt": far.Remote.ClientCert, "client.key": far.Remote.ClientKey} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return []string{"test", "--remote", far.Remote.Addr, "--server-fingerprint", far.Remote.Fingerprints[0],
		"--client-cert", filepath.Join(dir, "client.crt"), "--client-key", filepath.Join(dir, "client.key")}
}

func benchFar(b *testing.B, far *lxdtest.Far, program string, args []string) {
	b.Helper()
	var near, fars, trips, requests []float64
	for range b.N {
		far.SetTrip(0)
		n := timed(b, program, args...)
		far.SetTrip(trip)
		far.Requests()
		f := timed(b, program, args...)
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
