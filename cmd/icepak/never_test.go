package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/cli"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

const (
	looks = `checks: {up: {file: {/etc/passwd: {exists: true}}}}`
	waits = `
checks:
  waits: {command: {sleep 3: {exit-status: 0}}}
  then: {needs: [waits], command: {echo then: {exit-status: 0}}}`
	still   = `checks: {up: {command: {sleep 3: {exit-status: 0}}}}`
	limited = `
instance:
  config: {limits.memory: 64MiB}
  devices: {root: {type: disk, path: /, pool: default, size: 40MiB}}` + waits
	crowded = `
instance: {config: {limits.processes: "60"}, ready: {timeout: 10s}}` + waits
	floods = `
checks:
  floods: {command: {"yes; echo": {exit-status: 0, timeout: 1s}}}`
	soon = `
checks:
  soon: {command: {"true": {exit-status: 0, timeout: 2s}}, file: {/etc/passwd: {exists: true}}}`
)

// Whatever is wrong with an image, it is the image that fails, with the cause; what
// is wrong but does not matter to the checks is not held against it.
func TestImagesThatNeverGetThatFar(t *testing.T) {
	p := lxdtest.OpenProject(t, "")
	const anyStage = "start|ready|checks"
	for _, tt := range []struct {
		name    string
		option  lxdtest.Option
		spec    string
		verdict checks.Verdict
		stage   string // a pattern, as is says; where the checks say it, both are empty
		says    string
	}{
		{"no init", lxdtest.NoInit, looks, checks.Fail, "start", "/sbin/init: no such file or directory"},
		{"init may not be executed", lxdtest.NoExec, looks, checks.Fail, "start", "/sbin/init: permission denied"},
		{"init of another architecture", lxdtest.WrongArch, looks, checks.Fail, anyStage, "/sbin/init is of another architecture"},
		{"init without its loader", lxdtest.NoLoader, looks, checks.Fail, "start", "loader or interpreter .* is missing"},
		{"init ends at once", lxdtest.InitExits, looks, checks.Fail, anyStage, "stopped by itself, .*init gives up"},
		{"init crashes", lxdtest.InitCrashes, looks, checks.Fail, anyStage, "stopped by itself, .*init crashes"},
		{"init takes all memory", lxdtest.EatsMemory, limited, checks.Fail, anyStage, "stopped by itself"},
		{"it stops by itself", lxdtest.PowersOff, waits, checks.Fail, anyStage, "stopped by itself, .*powering off"},
		{"it restarts for ever", lxdtest.Reboots, waits, checks.Fail, anyStage, "restarted by itself 3 times"},
		{"it restarts once", lxdtest.RebootsOnce, waits, checks.Pass, "", ""},
		{"it kills the probe", lxdtest.KillsProbe, waits, checks.Fail, anyStage, "killed the probe 2 times"},
		{"no /dev/null", lxdtest.NoNull, waits, checks.Fail, "", "open /dev/null: no such file"},
		{"no folders to mount on", lxdtest.NoFolders, looks, checks.Pass, "", ""},
		{"no /proc and no /sys", lxdtest.NoMounts, waits, checks.Pass, "", ""},
		{"its disk is full", lxdtest.FillsDisk, limited, checks.Pass, "", ""},
		{"its first process is no init", lxdtest.NoInitHere, waits, checks.Pass, "", ""},
		{"it floods its console", lxdtest.Floods, waits, checks.Pass, "", ""},
		{"a command floods its output", lxdtest.Unique, floods, checks.Fail, "", "timed? ?out|within 1s|not done"},
		{"it takes all memory", lxdtest.HogsMemory, limited, checks.Pass, "", ""},
		{"it starts processes without end", lxdtest.Forks, crowded, checks.Fail, anyStage, "no room for one more process|still starting after 10s"},
		{"each of its commands hangs", lxdtest.HangsShell, soon, checks.Fail, "", "2s"},
		{"another program in the probe's place", lxdtest.BadProbe, still, checks.Error, anyStage, "."},
		{"another program that forges the probe's events", lxdtest.BadTokens, still, checks.Error, anyStage, "."},
		{"no shell", lxdtest.NoShell, looks, checks.Pass, "", ""},
		{"no shell for a command", lxdtest.NoShell, waits, checks.Fail, "", "/bin/sh"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			image := lxdtest.Tiny(t, tt.option, lxdtest.Unique)
			got := testOnce(t, nil, nil, "--path", image, "--remote", "local", "--project", p.Name, "--spec", writeSpec(t, tt.spec))
			want := map[checks.Verdict]int{checks.Pass: 0, checks.Fail: 1, checks.Error: 3}[tt.verdict]
			if got.code != want || got.Verdict != tt.verdict {
				t.Fatalf("exit %d, %s: %s", got.code, got.Verdict, got.all)
			}
			if !match("^("+tt.stage+")$", got.Stage) || !match(tt.says, got.Reason+got.all) || tt.stage != "" && !match(tt.says, got.Reason) {
				t.Errorf("while %q: %s\n%s", got.Stage, got.Reason, got.all)
			}
		})
	}
}

func match(pattern, s string) bool { return regexp.MustCompile(pattern).MatchString(s) }

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

// A tested image is what came of a run.
type tested struct {
	code    int
	all     string
	Verdict checks.Verdict `json:"verdict"`
	Stage   string         `json:"failed_stage"`
	Reason  string         `json:"reason"`
}

// testOnce runs icepak test in this process.
func testOnce(t *testing.T, vars map[string]string, progress writerFunc, args ...string) tested {
	t.Helper()
	var out, said bytes.Buffer
	env := &cli.Env{In: strings.NewReader(""), Out: &out, Err: writerFunc(func(p []byte) {
		said.Write(p)
		if progress != nil {
			progress(p)
		}
	}), Version: "test", Environ: os.Environ, Getenv: func(name string) string {
		if v, ok := vars[name]; ok {
			return v
		}
		return os.Getenv(name)
	}}
	code := cli.Run(t.Context(), append([]string{"test", "--format", "json"}, args...), env)
	var report struct{ Images []tested }
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || len(report.Images) != 1 {
		t.Fatalf("exit %d, %v: %s%s", code, err, out.String(), said.String())
	}
	got := report.Images[0]
	got.code, got.all = code, out.String()+said.String()
	return got
}

func writeSpec(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spec.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
