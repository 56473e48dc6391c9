// Package soak tests the tiny image again and again while random faults befall the
// run, the server, the way there, and Polar, and holds after each that no verdict is
// wrong, none is posted twice or lost, and nothing is left behind.
//
//	go test ./cmd/icepak/soak -args -runs 1000
//	go test ./cmd/icepak/soak -args -runs 1 -seed 8461 # the run that failed, once more
package soak

import (
	"flag"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
	"github.com/upmaru/icepak/cmd/internal/polarserver"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

var (
	runs = flag.Int("runs", 5, "how many runs")
	seed = flag.Uint64("seed", 0, "of the first run; the next one has the next number; 0: by the clock")
	span = flag.Duration("for", 0, "no run begins after so long; 0: all do")
)

const (
	password = "bot-password-0123456789"
	product  = "tiny:one:amd64:default"
)

// A site is what all runs have in common.
type site struct {
	program string // icepak
	daemon  *lxdtest.Daemon
	store   *polarstore.Store
	polar   http.Handler
	space   string // the testing feed's path
	id      int64  // the product's
	dir     string // of specs, and of icepak's state
}

func TestSoak(t *testing.T) {
	s := newSite(t)
	first := *seed
	if first == 0 {
		first = uint64(time.Now().UnixNano()) % 1_000_000
	}
	t.Logf("seed %d", first)
	began, done := time.Now(), 0
	ends := map[int]int{}
	for n := range *runs {
		if *span > 0 && time.Since(began) > *span {
			break
		}
		r := &round{site: s, t: t, seed: first + uint64(n)}
		r.chance = rand.New(rand.NewPCG(r.seed, 0))
		ends[r.run()]++
		done++
		if t.Failed() {
			break
		}
	}
	t.Logf("%d runs in %s, by their exit codes: %v", done, time.Since(began).Round(time.Second), ends)
}

// newSite readies a server and a Polar, and builds the program.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir()}
	s.program = filepath.Join(s.dir, "icepak")
	if out, err := exec.Command("go", "build", "-o", s.program, "github.com/upmaru/icepak/cmd/icepak").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.daemon = lxdtest.NewDaemon(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.store, err = polarstore.Open(t.Context(), filepath.Join(s.dir, "polar"), polarstore.Options{})
	must(err)
	t.Cleanup(func() { must(s.store.Close()) })
	must(s.store.SetPassword(t.Context(), password))
	p, err := s.store.AddProduct(t.Context(), product, nil)
	must(err)
	s.id = p.ID
	_, err = s.store.AddChecks(t.Context(), "files", "waits")
	must(err)
	_, err = s.store.AddCluster(t.Context(), polarstore.Cluster{Name: "here", Type: "lxd", Arch: "amd64", Endpoint: "unix:"})
	must(err)
	_, token, err := s.store.AddSpace(t.Context(), polarstore.Space{Channel: "testing", Type: "lxd"})
	must(err)
	s.space = "/spaces/" + token
	s.polar = polarserver.New(s.store, polarserver.Options{})
	return s
}
