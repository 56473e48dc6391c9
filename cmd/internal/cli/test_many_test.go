package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest/fakevm"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

func TestAllShardsTogetherAreEverythingExactlyOnce(t *testing.T) {
	for n := 1; n <= 7; n++ {
		sizes := make([]int, n)
		for i := range 700 {
			product := fmt.Sprintf("os%d:release:amd64:default", i)
			in := 0
			for k := 1; k <= n; k++ {
				part, err := parseShard(fmt.Sprintf("%d/%d", k, n))
				if err != nil {
					t.Fatal(err)
				}
				if part.has(product) {
					in++
					sizes[k-1]++
				}
			}
			if in != 1 {
				t.Errorf("%s is in %d of %d parts", product, in, n)
			}
		}
		for k, size := range sizes {
			if fair := 700 / n; size < fair/2 || size > 2*fair {
				t.Errorf("part %d of %d has %d of 700", k+1, n, size)
			}
		}
	}
}

func TestAShardIsKOfN(t *testing.T) {
	for _, text := range []string{"1", "0/2", "3/2", "-1/2", "a/b", "1/2/3", "1/0", "/"} {
		if part, err := parseShard(text); err == nil || !isUsage(err) {
			t.Errorf("%q is %v, %v", text, part, err)
		}
	}
}

func TestHowManyAtOnceFollowsCPUsAndMemory(t *testing.T) {
	const gib = 1 << 30
	for _, tt := range []struct {
		has             lxd.Capacity
		containers, vms int
	}{
		{lxd.Capacity{}, 1, 1},
		{lxd.Capacity{CPUs: 2}, 1, 1},
		{lxd.Capacity{CPUs: 2, Memory: 8 * gib}, 4, 4},
		{lxd.Capacity{CPUs: 8, Memory: 3 * gib}, 6, 2},
		{lxd.Capacity{CPUs: 64, Memory: 512 * gib}, 12, 12},
	} {
		if c, v := capacity(tt.has, false), capacity(tt.has, true); c != tt.containers || v != tt.vms {
			t.Errorf("%+v: %d containers and %d virtual machines at once, want %d and %d", tt.has, c, v, tt.containers, tt.vms)
		}
	}
}

func TestWhatIsRememberedDecidesWhatBeginsFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "durations.json")
	p := &planner{env: &Env{Getenv: func(name string) string {
		return map[string]string{"ICEPAK_STATE": filepath.Dir(path)}[name]
	}}, warn: func(format string, args ...any) { t.Errorf(format, args...) }}
	image := func(product, verdict string, seconds int) report.ImageResult {
		return report.ImageResult{
			Image: report.Image{Product: product, Type: "container"}, Verdict: checks.Verdict(verdict),
			Stages: []report.StageTime{{Stage: report.Create, Duration: 2 * time.Second}, {Stage: report.Evaluate, Duration: time.Duration(seconds) * time.Second}},
		}
	}
	p.learn(report.Summary{Images: []report.ImageResult{image("a", "pass", 8), image("b", "pass", 38), image("c", "error", 900)}})
	jobs := []runner.Job{}
	for _, product := range []string{"new", "a", "b", "c"} {
		jobs = append(jobs, runner.Job{Image: report.Image{Product: product, Type: "container"}})
	}
	p.expect(jobs)
	var got []float64
	for _, job := range jobs {
		got = append(got, job.Expected.Seconds())
	}
	if want := []float64{25, 10, 40, 25}; !slices.Equal(got, want) { // what is not known is as the mean
		t.Errorf("expected %v, want %v", got, want)
	}
	p.opts.many.order = orderGiven
	jobs[0].Expected = 0
	if p.expect(jobs); jobs[0].Expected != 0 {
		t.Error("--order given is not as given")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("the folder has %q", left)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.learn(report.Summary{Images: []report.ImageResult{image("a", "pass", 8)}}) // a broken file is made anew
	if known, err := readDurations(path); err != nil || known["a container"] != 10 {
		t.Errorf("got %v, %v", known, err)
	}
}

// A night is a Polar with several products in testing, and two servers.
type night struct {
	*vmSite
	first, second *fakevm.Server
	remote2       string
}

var nightly = []string{"alpine:3.21", "alpine:3.22", "debian:bookworm", "debian:trixie"}

func newNight(t *testing.T) *night {
	n := &night{first: &fakevm.Server{Driver: "lxc"}, second: &fakevm.Server{Driver: "lxc"}}
	n.vmSite = newVMSite(t, n.first, "rootfs.squashfs")
	n.remote2 = n.second.Start(t)
	n.vars["ICEPAK_STATE"] = t.TempDir()
	for _, name := range nightly {
		for _, serial := range []string{"20261120-01", "20261121-01"} {
			n.rebuild(name + serial)
			n.must("version", "import", n.build, "--product", n.key(name), "--serial", serial, "--create-product", "--test")
		}
	}
	return n
}

// key is the product's, of the architecture that guests are really run on.
func (n *night) key(name string) string {
	parts := strings.Split(vmProduct, ":")
	return name + ":" + parts[2] + ":default"
}

// tested are the versions whose results were printed, sorted, without what they share.
func tested(said string) string {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z]+:[a-z0-9.]+):\S+:default (\S+) container on (?:\S+|cluster \d+)$`).FindAllStringSubmatch(said, -1) {
		all = append(all, m[1]+" "+strings.TrimPrefix(m[2], "202611"))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

const everyVersion = "alpine:3.21 20-01, alpine:3.21 21-01, alpine:3.22 20-01, alpine:3.22 21-01, alpine:3.22 22-01, " +
	"debian:bookworm 20-01, debian:bookworm 21-01, debian:trixie 20-01, debian:trixie 21-01"

func TestVersionsAreChosen(t *testing.T) {
	n := newNight(t)
	n.vars["POLAR_AUTH_TOKEN"] = "" // nothing is remembered
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"all", []string{"--all"}, everyVersion},
		{"a pattern: the newest of each", []string{"debian:*"}, "debian:bookworm 21-01, debian:trixie 21-01"},
		{"in capitals, with the kernel's name of an architecture", []string{"*:3.2?:*:DEFAULT"}, "alpine:3.21 21-01, alpine:3.22 22-01"},
		{"all of a pattern", []string{"--all", "*:bookworm:*"}, "debian:bookworm 20-01, debian:bookworm 21-01"},
		{"a pattern and a name, once", []string{"alpine:*", n.key("alpine:3.22"), n.key("debian:trixie")}, "alpine:3.21 21-01, alpine:3.22 22-01, debian:trixie 21-01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n.t = t
			said, code := n.test(append(tt.args, "--remote", n.vars["REMOTE"], "--parallel", "3")...)
			if got := tested(said); code != exitOK || got != tt.want {
				t.Errorf("exit %d, tested %s, want %s: %s", code, got, tt.want, said)
			}
		})
	}
	t.Run("shards", func(t *testing.T) {
		n.t = t
		var all []string
		for _, part := range []string{"1/3", "2/3", "3/3"} {
			said, code := n.test("--all", "--shard", part, "--remote", n.vars["REMOTE"])
			if code != exitOK {
				t.Errorf("exit %d: %s", code, said)
			}
			if got := tested(said); got != "" {
				all = append(all, strings.Split(got, ", ")...)
			}
		}
		slices.Sort(all)
		if got := strings.Join(all, ", "); got != everyVersion {
			t.Errorf("together %s", got)
		}
	})
}

func TestPendingIsWhatIsLeftToPass(t *testing.T) {
	n := newNight(t)
	if said, code := n.test("debian:*"); code != exitOK {
		t.Fatalf("exit %d: %s", code, said)
	}
	said, code := n.test("--pending")
	if got, want := tested(said), strings.Replace(everyVersion, "debian:bookworm 20-01, debian:bookworm 21-01, debian:trixie 20-01, debian:trixie 21-01",
		"debian:bookworm 20-01, debian:trixie 20-01", 1); code != exitOK || got != want {
		t.Errorf("exit %d, tested %s, want %s", code, got, want)
	}
	before := len(n.first.Made())
	if said, code := n.test("--pending"); code != exitOK || !strings.Contains(said, "nothing is left to be tested") || len(n.first.Made()) != before {
		t.Errorf("exit %d: %s", code, said)
	}
	// What has passed everything is promoted without being launched.
	if said, code := n.test("--pending", "--promote", "alpine:*"); code != exitOK || strings.Count(said, "nothing is launched") != 5 || len(n.first.Made()) != before {
		t.Errorf("exit %d: %s", code, said)
	}
	if left := n.must("version", "list"); strings.Count(left, "active") < 4 || strings.Contains(left, "alpine:3.22:amd64:default  20261122-01  testing") {
		t.Errorf("left\n%s", left)
	}
	if said, code := n.test("alpine:*"); code != exitOK || !strings.Contains(said, "no version is in the testing channel") {
		t.Errorf("a pattern of which nothing is in testing: exit %d: %s", code, said)
	}
}

func TestImagesAreSpreadOverRemotes(t *testing.T) {
	n := newNight(t)
	said, code := n.test("--all", "--promote", "--parallel", "2", "--remote", n.vars["REMOTE"], "--remote", n.remote2, "--remote", "unix:/nowhere/socket")
	one, two := len(n.first.Made()), len(n.second.Made())
	if code != exitOK || one+two != 9 || one < 2 || two < 2 {
		t.Errorf("exit %d, %d and %d: %s", code, one, two, said)
	}
	for _, want := range []string{
		"unix:/nowhere/socket", "nothing is launched there",
		fmt.Sprintf("\n%s: %d images: %d passed\n", n.vars["REMOTE"], one, one), fmt.Sprintf("\n%s: %d images: %d passed\n", n.remote2, two, two),
		"\npassed: 9 images, 9 checks: 9 passed, in ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	for _, s := range []*fakevm.Server{n.first, n.second} {
		if left := s.Left(); len(left) > 0 {
			t.Errorf("left %q", left)
		}
	}
}

func TestMistakesOfRunsOfManyAreFoundAtOnce(t *testing.T) {
	n := newNight(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"debain:*"}, `no product matches "debain:\*"(.|\n)*did you mean "debian:\*"\?`},
		{[]string{"*:bookwrom:*:*"}, `did you mean "\*:bookworm:\*:\*"\?`},
		{[]string{"plan9*"}, `no product matches "plan9\*"\n +there is alpine:3.21:\S+, .* and 1 more`},
		{[]string{"debian:[a"}, `a bracket is not closed`},
		{[]string{"--all", "--pending"}, `exclude each other`},
		{[]string{"--all", "--serial", "20261121-01"}, `--serial goes with a single product`},
		{[]string{"debian:*", "--serial", "20261121-01"}, `--serial goes with a single product`},
		{[]string{"--all", "--image", "x"}, `do not go with --image`},
		{[]string{"--image", "x", "--remote", "a", "--remote", "b"}, `go with a single --remote`},
		{[]string{"--all", "--shard", "3/2"}, `want K/N`},
		{[]string{"--all", "--parallel", "-1"}, `--parallel: want at least 1, got -1`},
		{[]string{"--all", "--parallel", "0"}, `--parallel: want at least 1, got 0`},
		{[]string{"--image", "x", "--shard", "1/2"}, `--shard does not go with --image`},
		{[]string{"--all", "--order", "longst"}, `did you mean "longest"\?`},
		{[]string{"--all", "--remote", "nowhere"}, `unknown remote "nowhere"`},
		{[]string{"--all", "--remote", n.remote2, "--target", "n1"}, `is no cluster`},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			n.t = t
			said, code := n.test(tt.args...)
			if code != exitUsage || !regexp.MustCompile(tt.want).MatchString(said) {
				t.Errorf("exit %d: %s, want %s", code, said, tt.want)
			}
		})
	}
	n.t = t
	n.vars["POLAR_AUTH_TOKEN"] = ""
	if said, code := n.test("--pending"); code != exitUsage || !strings.Contains(said, "--pending needs Polar") {
		t.Errorf("exit %d: %s", code, said)
	}
	if made := len(n.first.Made()); made > 0 {
		t.Errorf("%d instances were made", made)
	}
}

func TestAProductThatCannotBeTestedIsAnErrorOfItsOwn(t *testing.T) {
	n := newNight(t)
	text, err := os.ReadFile(n.vars["SPEC"])
	if err == nil {
		err = os.WriteFile(n.vars["SPEC"], append([]byte("image: {release: [trixie, '3*']}\n"), text...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	said, code := n.test("debian:*", "alpine:3.21:*", "--remote", n.vars["REMOTE"])
	if code != exitUnknown || tested(said) != "alpine:3.21 21-01, debian:trixie 21-01" || !strings.Contains(said, "is not for debian:bookworm") ||
		!strings.Contains(said, "3 images (2 passed, 1 error)") {
		t.Errorf("exit %d: %s", code, said)
	}
	before := len(n.first.Made())
	if said, code := n.test(n.key("debian:bookworm"), n.key("debian:trixie")); code != exitUsage || len(n.first.Made()) != before {
		t.Errorf("by its name: exit %d: %s", code, said)
	}
}

func TestAClustersMembersAreRemotesOfTheirOwn(t *testing.T) {
	n := newNight(t)
	n.second.Members = map[string]string{"n1": "Online", "n22": "Online", "n3": "Offline"}
	said, code := n.test("--all", "--remote", n.remote2, "--target", "n1", "--target", "n22", "--target", "n3", "--parallel", "2")
	on := map[string]int{}
	for _, name := range n.second.Targets() {
		on[name]++
	}
	if code != exitOK || on["n1"]+on["n22"] != 9 || on["n1"] < 2 || on["n22"] < 2 || !strings.Contains(said, "n3 is not online") ||
		!strings.Contains(said, fmt.Sprintf("\n%s/n22: %d images", n.remote2, on["n22"])) {
		t.Errorf("exit %d, on %v: %s", code, on, said)
	}
	// As the cluster places.
	if said, code := n.test("debian:*", "--force", "--remote", n.remote2); code != exitOK || !slices.Equal(n.second.Targets()[9:], []string{"", ""}) {
		t.Errorf("exit %d, on %q: %s", code, n.second.Targets(), said)
	}
	if said, code := n.test("--all", "--remote", n.remote2, "--target", "n2"); code != exitUsage || !strings.Contains(said, "did you mean") {
		t.Errorf("exit %d: %s", code, said)
	}
}

func TestAClusterThatPlacesByItselfHasTheRoomOfAllItsMembers(t *testing.T) {
	s := &fakevm.Server{Members: map[string]string{"n1": "Online", "n22": "Online", "n3": "Offline"}}
	server, err := lxd.Connect(t.Context(), lxd.Remote{Name: "c", Addr: s.Start(t)}, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, tt := range []struct {
		target string
		want   int
	}{{"", 4 + 6}, {"n22", 6}} {
		if got, err := (&remote{server: server, target: tt.target}).capacity(t.Context(), false); err != nil || got != tt.want {
			t.Errorf("%q: %d, %v, want %d", tt.target, got, err, tt.want)
		}
	}
	for member, want := range map[string]string{"": "<nil>", "n1": "<nil>", "n3": "remote c: the member n3 is Offline"} {
		if err := server.Alive(t.Context(), member); fmt.Sprint(err) != want {
			t.Errorf("%q: %v", member, err)
		}
	}
}
