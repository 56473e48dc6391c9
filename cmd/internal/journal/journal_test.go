package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

var image = report.Image{Product: "debian:bookworm:amd64:default", Serial: "20261122", Type: "container", Remote: "rack1"}

// run is a run of two images of one version, of which two checks are tracked.
func run() Run {
	v := &runner.Version{ID: 7, Product: image.Product, Serial: image.Serial}
	vm := image
	vm.Type = "virtual-machine"
	cs := []Check{{Name: "a", ID: 1, Again: true}, {Name: "b", ID: 2, Again: true}, {Name: "mine", Again: true}}
	return Run{ID: "k3w7", Jobs: []Job{{Image: image, Version: v, Checks: cs}, {Image: vm, Version: v, Checks: cs}}}
}

// decided is the step that decides the image: a passes, and b comes to the verdict.
func decided(t *testing.T, b checks.Verdict) runner.Step {
	t.Helper()
	res := report.ImageResult{Image: image, Verdict: b}
	for name, v := range map[string]checks.Verdict{"a": checks.Pass, "b": b, "mine": checks.Pass} {
		res.Checks = append(res.Checks, report.CheckResult{Name: name, Outcome: checks.Outcome{Verdict: v}})
	}
	slices.SortFunc(res.Checks, func(a, b report.CheckResult) int { return strings.Compare(a.Name, b.Name) })
	doc, err := report.EncodeJSON(report.Summary{Images: []report.ImageResult{res}})
	if err != nil {
		t.Fatal(err)
	}
	return runner.Step{Kind: runner.Decided, Image: image, Report: doc}
}

func create(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := Create(dir, run(), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestWhatWasNotedIsReadAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "runs")
	j := create(t, dir)
	fetching := image
	fetching.Fingerprint = "abc"
	for _, s := range []runner.Step{
		{Kind: runner.Launching, Image: image}, {Kind: runner.Fetching, Image: fetching}, decided(t, checks.Fail),
		{Kind: runner.Posted, Image: image, Check: "a", Event: "pass"}, {Kind: runner.Sending, Image: image, Check: "b"},
	} {
		j.Note(s)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "k3w7.jsonl"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	again, err := Open(filepath.Join(dir, "k3w7.jsonl"), func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	got := again.State().Images[0]
	if !got.Decided() || len(got.Left) != 1 || got.Left["rack1"] != "abc" || !slices.Equal(got.Unposted(), []string{"b"}) {
		t.Errorf("%+v, to be posted %v", got, got.Unposted())
	}
	job := got.Resumed()
	if a, b := job.Checks[0], job.Checks[1]; !a.Settled || a.Sent || b.Settled || !b.Sent || job.Decided.Checks[0].Posted != "pass" {
		t.Errorf("%+v", job)
	}
	if other := again.State().Images[1]; other.Decided() || other.Job.Version != got.Job.Version {
		t.Errorf("%+v", other)
	}
	again.Note(runner.Step{Kind: runner.Cleaned, Image: image})
	again.Note(runner.Step{Kind: runner.Promoted, Image: image})
	if len(got.Left) > 0 || !again.State().Images[1].Promoted {
		t.Errorf("%+v", got)
	}
	if err := again.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestWhatCouldNotBeFoundOutIsNotDecided(t *testing.T) {
	j := create(t, t.TempDir())
	j.Note(decided(t, checks.Error))
	if p := j.State().Images[0]; p.Decided() || !slices.Equal(p.Unposted(), []string{"a"}) {
		t.Errorf("decided %v, to be posted %v", p.Decided(), p.Unposted())
	}
	// Another run of the image has verdicts of its own.
	j.Note(runner.Step{Kind: runner.Posted, Image: image, Check: "a"})
	j.Note(decided(t, checks.Fail))
	if p := j.State().Images[0]; !p.Decided() || !slices.Equal(p.Unposted(), []string{"a", "b"}) {
		t.Errorf("decided %v, to be posted %v", p.Decided(), p.Unposted())
	}
}

// An image that its remote could not decide moves to another, whose checks count, and
// may have left something on both.
func TestAnImageThatMovesIsWhereItWasLaunchedLast(t *testing.T) {
	j := create(t, t.TempDir())
	moved := image
	moved.Remote, moved.Fingerprint = "rack2", "def"
	cs := []runner.Check{{Check: checks.Check{Name: "a"}, ID: 1}, {Check: checks.Check{Name: "b", Skip: "no GPU"}, ID: 2}, {Check: checks.Check{Name: "mine"}}}
	j.Note(runner.Step{Kind: runner.Launching, Image: image})
	j.Note(runner.Step{Kind: runner.Launching, Image: moved, Checks: cs})
	j.Note(runner.Step{Kind: runner.Cleaned, Image: moved})
	p := j.State().Images[0]
	if _, left := p.Left["rack1"]; !left || len(p.Left) != 1 || p.Job.Image != moved || p.Job.Checks[1].Skip != "no GPU" {
		t.Errorf("%+v", p)
	}
}

// A version of which nothing was known but its name is planned anew as its images.
func TestWhatCouldNotBePlannedIsPlannedAnew(t *testing.T) {
	whole := image
	whole.Type, whole.Remote = "", ""
	j, err := Create(t.TempDir(), Run{ID: "k3w7", Jobs: []Job{{Image: whole}}}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	vm := image
	vm.Type = "virtual-machine"
	for _, img := range []report.Image{image, vm, vm} {
		j.Plan(runner.Job{Image: img, Version: &runner.Version{ID: 7}})
	}
	all := j.State().Images
	if len(all) != 2 || all[0].Job.Image != image || all[1].Job.Image != vm || all[0].Job.Version != all[1].Job.Version {
		t.Errorf("%+v", all)
	}
}

// Wherever a write ended, what was written whole counts, and what is noted later
// counts, too.
func TestATornLineIsNoLine(t *testing.T) {
	dir := t.TempDir()
	j := create(t, dir)
	j.Note(runner.Step{Kind: runner.Launching, Image: image})
	j.Note(decided(t, checks.Pass))
	j.Close()
	path := filepath.Join(dir, "k3w7.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := bytes.IndexByte(whole, '\n') + 1
	second := first + bytes.IndexByte(whole[first:], '\n') + 1
	for n := first; n <= len(whole); n++ {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		torn, err := Open(path, func(error) {})
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		p := torn.State().Images[0]
		if (len(p.Left) > 0) != (n >= second) || p.Decided() != (n == len(whole)) {
			t.Fatalf("%d bytes: left %v, decided %v", n, p.Left, p.Decided())
		}
		torn.Note(runner.Step{Kind: runner.Sending, Image: image, Check: "b"})
		torn.Close()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		state, _, err := Read(f)
		f.Close()
		if err != nil || !state.Images[0].Sent["b"] {
			t.Fatalf("%d bytes: what was noted later is lost: %v", n, err)
		}
	}
	for n := range first {
		if _, _, err := Read(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("%d bytes: a journal without its first line is read", n)
		}
	}
}

func TestALiveRunsJournalIsItsOwn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k3w7.jsonl")
	j := create(t, dir)
	if _, err := Open(path, func(error) {}); !errors.Is(err, ErrLive) {
		t.Errorf("opened: %v", err)
	}
	if all, err := List(dir); err != nil || len(all) != 1 || !all[0].Live || all[0].ID() != "k3w7" {
		t.Errorf("%+v, %v", all, err)
	}
	j.Close()
	if all, err := List(dir); err != nil || len(all) != 1 || all[0].Live {
		t.Errorf("%+v, %v", all, err)
	}
	again, err := Open(path, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := Open(path, func(error) {}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if all, err := List(filepath.Join(dir, "missing")); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestSeveralNoteAtOnce(t *testing.T) {
	dir := t.TempDir()
	j := create(t, dir)
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			for k := range 20 {
				j.Note(runner.Step{Kind: runner.Posted, Image: image, Check: fmt.Sprintf("%d/%d", i, k)})
			}
		})
	}
	group.Wait()
	j.Close()
	again, err := Open(filepath.Join(dir, "k3w7.jsonl"), func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if n := len(again.State().Images[0].Posted); n != 400 {
		t.Errorf("%d of 400 steps are there", n)
	}
}

// Where the disk is full the run is told once and goes on; what could not be written is
// written when there is room again.
func TestAFullDiskIsToldOnceAndLosesNothingThatItHasRoomForLater(t *testing.T) {
	dir := t.TempDir()
	var told []error
	j, err := Create(dir, run(), func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	full := was
	full.Cur = uint64(j.size) + 10 // where files end, in the middle of a line
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	j.Note(runner.Step{Kind: runner.Launching, Image: image})
	j.Note(decided(t, checks.Pass))
	whole := j.Complete()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || whole {
		t.Errorf("told %v, complete %v", told, whole)
	}
	if _, size, err := Read(open(t, j.path)); err != nil || size != j.size {
		t.Errorf("%d of %d bytes: %v", size, j.size, err)
	}
	j.Note(runner.Step{Kind: runner.Posted, Image: image, Check: "a"})
	j.Close()
	state, _, err := Read(open(t, j.path))
	if err != nil || !state.Images[0].Decided() || !slices.Equal(state.Images[0].Unposted(), []string{"b"}) || !j.Complete() {
		t.Errorf("%+v, %v", state, err)
	}
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func FuzzRead(f *testing.F) {
	first, err := json.Marshal(run())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(first, '\n'))
	for _, line := range []string{
		`{"step":"launching","image":{"product":"debian:bookworm:amd64:default","serial":"20261122","type":"container"}}`,
		`{"step":"decided","image":{"product":"debian:bookworm:amd64:default","serial":"20261122","type":"container"},"report":{"schema_version":1,"images":[{"checks":[{"name":"a"}]}]}}`,
		`{"step":"launching","image":{"product":"debian:bookworm:amd64:default","serial":"20261122","type":"container","remote":"b"},"checks":[{"name":"a"}]}`,
		`{"step":"planned","image":{"product":"debian:bookworm:amd64:default","serial":"20261122","type":"container"},"job":{"checks":null}}`,
		`{"step":"posted","check":"a"}`, `{}`, `[`, "\x00\x00",
	} {
		f.Add([]byte(string(first) + "\n" + line + "\n{\"step"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		state, size, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		if size <= 0 || size > int64(len(data)) || data[size-1] != '\n' {
			t.Fatalf("%d of %d bytes count", size, len(data))
		}
		for _, p := range state.Images {
			p.Decided()
			p.Unposted()
			p.Resumed()
		}
		again, same, err := Read(bytes.NewReader(data[:size]))
		if err != nil || same != size || len(again.Images) != len(state.Images) {
			t.Fatalf("what counts is read as something else: %d, %v", same, err)
		}
	})
}
