package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// BenchmarkOneImageCold times a whole run on a Debian image that LXD has to fetch
// from a feed first, beside the floor twice: with an image that is there, and with
// one that it fetches. ratio is the median of what the run takes besides LXD's own
// fetching, over the floor.
func BenchmarkOneImageCold(b *testing.B) {
	program := build(b)
	p, server := benchServer(b)
	feed := lxdtest.NewFeed(b)
	product := "debian:bookworm:" + runtime.GOARCH + ":default"
	fingerprint := feed.Publish(b, product, "20261122-01", lxdtest.Debian(b))
	spec := benchSpec(b, 10)
	fetched := lxd.Source{Fingerprint: fingerprint, Server: feed.URL}
	forget := func() {
		if err := server.DeleteImage(b.Context(), fingerprint); err != nil {
			b.Fatal(err)
		}
	}
	var warms, colds, runs, ratios []float64
	for range b.N {
		cold := floorFrom(b, server, fetched)
		warm := floorFrom(b, server, fetched)
		forget()
		run := timed(b, program, "test", product, "--feed", feed.URL, "--remote", "local", "--project", p.Name, "--spec", spec)
		warms, colds, runs = append(warms, warm), append(colds, cold), append(runs, run)
		ratios = append(ratios, (run-(cold-warm))/warm)
	}
	b.ReportMetric(median(warms), "floor-s")
	b.ReportMetric(median(colds), "cold-floor-s")
	b.ReportMetric(median(runs), "run-s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0, "ns/op")
}

// together is how many containers BenchmarkTogether tests in one run.
const together = 8

// BenchmarkTogether times a run of eight products whose image is on the server, and
// evaluates twenty assertions in each, in pairs with the floor: to create, start, stop
// and delete eight containers at once with the same client. The tiny image asks for no
// address, which some guests get seconds later than others. Of Debian, whose boot is
// most of it on few processors, the floor waits until the systems are up, as a run
// does. A run tests all eight at once, or as many as it does by itself.
func BenchmarkTogether(b *testing.B) {
	program := build(b)
	for _, image := range []struct {
		name string
		dir  string
		wait []string
	}{
		{"tiny", lxdtest.Tiny(b, lxdtest.NoIPv4), nil},
		{"debian", lxdtest.Debian(b), []string{"sh", "-c", "systemctl is-system-running --wait || :"}},
	} {
		p, server := benchServer(b)
		feed := lxdtest.NewFeed(b)
		fingerprint := upload(b, server, image.dir)
		args := []string{"test", "--feed", feed.URL, "--remote", "local", "--project", p.Name, "--spec", commandSpec(b, 10)}
		for i := range together {
			product := fmt.Sprintf("debian:bookworm:%s:v%d", runtime.GOARCH, i)
			feed.Publish(b, product, "20261122-01", image.dir)
			args = append(args, product)
		}
		bare := func() float64 {
			began := time.Now()
			var all sync.WaitGroup
			for range together {
				all.Go(func() { lifeOf(b, server, lxd.Source{Fingerprint: fingerprint}, image.wait) })
			}
			all.Wait()
			return time.Since(began).Seconds()
		}
		for _, mode := range []struct {
			name string
			args []string
		}{
			{"all", append(slices.Clone(args), "--parallel", strconv.Itoa(together))},
			{"default", args},
		} {
			b.Run(image.name+"/"+mode.name, func(b *testing.B) {
				var floors, runs, ratios []float64
				for range b.N {
					f, r := bare(), timed(b, program, mode.args...)
					floors, runs, ratios = append(floors, f), append(runs, r), append(ratios, r/f)
				}
				b.ReportMetric(median(floors), "floor-s")
				b.ReportMetric(median(runs), "run-s")
				b.ReportMetric(median(ratios), "ratio")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// benchServer connects to the tests' server, in a project of its own.
func benchServer(b *testing.B) (*lxdtest.Project, *lxd.Server) {
	b.Helper()
	p := lxdtest.OpenProject(b, "")
	remote := lxdtest.Remote(b)
	remote.Project = p.Name
	server, err := lxd.Connect(b.Context(), remote, "icepak-bench")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Close)
	return p, server
}

func upload(b *testing.B, server *lxd.Server, dir string) string {
	b.Helper()
	fingerprint, err := server.Upload(b.Context(), filepath.Join(dir, "incus.tar.xz"), filepath.Join(dir, "rootfs.squashfs"), "container", nil)
	if err != nil {
		b.Fatal(err)
	}
	lifeOf(b, server, lxd.Source{Fingerprint: fingerprint}, nil) // the first one unpacks the image
	return fingerprint
}

// lifeOf creates, starts and deletes a container, and waits in it, where it is told for
// what.
func lifeOf(b *testing.B, server *lxd.Server, from lxd.Source, wait []string) {
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	inst, err := server.Create(ctx, lxd.Request{Name: lxdtest.Name(b), Type: "container", Source: from}, nil)
	if err != nil {
		b.Error(err)
		return
	}
	if err := inst.Start(ctx); err != nil {
		b.Error(err)
	} else if len(wait) > 0 {
		if code, err := inst.Exec(ctx, lxd.ExecRequest{Args: wait, Stdout: io.Discard, Stderr: io.Discard}); err != nil || code != 0 {
			b.Errorf("%v: exit %d, %v", wait, code, err)
		}
	}
	if err := inst.Delete(ctx); err != nil {
		b.Error(err)
	}
}
