package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/journal"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest/fakevm"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// What a journal has of a command line makes the same options of it, and holds no URL
// of a feed.
func TestACommandLineIsKeptAsItWasGiven(t *testing.T) {
	env := &Env{Getenv: func(string) string { return "" }, Environ: func() []string { return nil }}
	for _, line := range [][]string{
		{"test", "a:b:amd64:c", "d/e", "--promote", "--remote", "rack1", "--check", "x,y", "--check", "z", "--timeout=1h"},
		{"test", "--feed", "https://images.example.com/spaces/secret", "--spec", "s p.yaml", "--set", "a=1,2", "--set", "b=", "a"},
		{"test", "--pending", "--shard", "2/4", "--remote", "r1", "--remote", "r2", "--parallel", "3", "--order", "given", "--post-wait", "1h"},
		{"test", "--all", "debian:*:amd64:*", "--remote", "r1", "--target", "m1", "--target", "m2", "--fail-fast"},
		{"test", "--path=-", "--type", "vm", "--format", "json", "--format", "junit=r.xml", "-q", "--vars-inline", "{a: \"b, c\"}"},
		{"validate", "--serial", "1", "--os", "debian", "--arch", "x86_64", "--release", "r", "--variant", "v", "--checks", "ipv4,ipv6"},
	} {
		if line[0] == "validate" {
			env.Getenv = func(string) string { return "set" }
		}
		want, err := optionsOf(t.Context(), env, line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got, err := optionsOf(t.Context(), env, want.args)
		want.source.feed = ""
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is kept as %q: %v\n%+v\n%+v", line, want.args, err, got, want)
		}
		if strings.Contains(strings.Join(want.args, " "), "secret") {
			t.Errorf("a feed's URL is in %q", want.args)
		}
	}
}

func TestARunOfWhichSomethingCanBeLostHasAJournal(t *testing.T) {
	tracked := &runner.Version{ID: 7}
	for _, tt := range []struct {
		name    string
		job     runner.Job
		promote bool
		want    bool
	}{
		{"an image that is launched on a remote", runner.Job{Host: runner.Local{}}, false, true},
		{"one that is launched wherever there is room", runner.Job{Place: func(string) (runner.Job, error) { return runner.Job{}, nil }}, false, true},
		{"a version that is only to be promoted", runner.Job{Nothing: "all has passed", Version: tracked}, true, true},
		{"nothing to do", runner.Job{Nothing: "all has passed", Version: tracked}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			state := t.TempDir()
			p := &planner{
				env: &Env{Getenv: func(name string) string { return map[string]string{"ICEPAK_STATE": state}[name] }}, owner: runner.NewOwner(time.Now()),
				opts: testOptions{promote: tt.promote}, warn: func(format string, args ...any) { t.Errorf(format, args...) },
			}
			kept := p.journal([]runner.Job{tt.job})
			if got := kept.journal != nil; got != tt.want {
				t.Errorf("it has a journal: %v", got)
			}
			if kept.journal != nil {
				kept.journal.Close()
			}
		})
	}
}

// A run that cannot keep a journal says so and is the same otherwise.
func TestARunWithoutAJournalIsARun(t *testing.T) {
	p := newVMSite(t, &fakevm.Server{Unsigned: true}, "rootfs.squashfs")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.vars["ICEPAK_STATE"] = file
	said, code := p.test()
	if code != exitOK || !strings.Contains(said, "the run has no journal") || !strings.Contains(said, "; promoted") {
		t.Errorf("exit %d: %s", code, said)
	}
}

func TestResumeNamesItsMistakes(t *testing.T) {
	p := newVMSite(t, &fakevm.Server{Unsigned: true}, "rootfs.squashfs")
	p.vars["ICEPAK_STATE"] = t.TempDir()
	dir := filepath.Join(p.vars["ICEPAK_STATE"], "runs")
	img := report.Image{Product: vmProduct, Serial: polarSerial, Type: "container", Remote: p.vars["REMOTE"]}
	for _, id := range []string{"k3w7aaaa", "k3w7bbbb"} {
		j, err := journal.Create(dir, journal.Run{ID: id, Started: time.Now(), Args: []string{"test", vmProduct}, Feed: id == "k3w7bbbb", Jobs: []journal.Job{{Image: img}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		if id == "k3w7bbbb" {
			j.Close()
		}
	}
	resume := func(args ...string) (string, int) {
		var out strings.Builder
		env := p.env(strings.NewReader(""), &out, &out)
		env.Getenv = func(name string) string { return p.vars[name] }
		return out.String(), Run(t.Context(), append([]string{"resume"}, args...), &Env{In: env.In, Out: &out, Err: &out, Getenv: env.Getenv, Environ: env.Environ})
	}
	for _, tt := range []struct {
		args []string
		code int
	}{
		{[]string{"k3w7"}, exitUsage},              // two begin so
		{[]string{"nobody"}, exitUsage},            // none does
		{[]string{"k3w7aaaa"}, exitUnknown},        // it goes on
		{[]string{"--forget"}, exitUsage},          // which?
		{[]string{"--forget", "k3w7a"}, exitUsage}, // it goes on
		{[]string{"k3w7bbbb"}, exitUsage},          // its feed is not known
		{[]string{"--list"}, exitOK},
		{[]string{"--forget", "k3w7b"}, exitOK},
		{nil, exitOK}, // what goes on is left alone
	} {
		if _, code := resume(tt.args...); code != tt.code {
			t.Errorf("resume %q: exit %d, want %d", tt.args, code, tt.code)
		}
	}
	left, err := journal.List(dir)
	if err != nil || len(left) != 1 || !left[0].Live || !slices.Contains(left[0].State.Run.Args, vmProduct) {
		t.Errorf("left %+v, %v", left, err)
	}
}

// A run goes on with its own versions, which need not be the newest, on its own remotes.
// What could not be planned then is planned now.
func TestARunOnMembersIsResumedOnThem(t *testing.T) {
	n := newNight(t)
	n.second.Members = map[string]string{"n1": "Online", "n22": "Online", "n3": "Online"}
	launched := report.Image{Product: n.key("alpine:3.21"), Serial: "20261120-01", Type: "container", Remote: n.remote2 + "/n22"}
	unplanned := report.Image{Product: n.key("debian:trixie"), Serial: "20261121-01"}
	j, err := journal.Create(filepath.Join(n.vars["ICEPAK_STATE"], "runs"), journal.Run{
		ID: "k3w7aaaa", Started: time.Now(), Endpoint: n.vars["POLAR_ENDPOINT"],
		Args: []string{"test", "--spec=" + n.vars["SPEC"], "--pending", "--remote=" + n.remote2, "--target=n1", "--target=n22", "--"},
		Jobs: []journal.Job{{Image: launched}, {Image: unplanned}},
	}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	j.Note(runner.Step{Kind: runner.Launching, Image: launched})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	env := n.env(strings.NewReader(""), &out, &out)
	env.Getenv = func(name string) string { return n.vars[name] }
	code := Run(t.Context(), []string{"resume", "k3w7"}, env)
	if got := tested(out.String()); code != exitOK || got != "alpine:3.21 20-01, debian:trixie 21-01" {
		t.Errorf("exit %d, tested %s: %s", code, got, out.String())
	}
	if on := n.second.Targets(); len(on) != 2 || slices.Contains(on, "n3") || slices.Contains(on, "") {
		t.Errorf("launched on %q", on)
	}
	if left, err := journal.List(filepath.Join(n.vars["ICEPAK_STATE"], "runs")); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
