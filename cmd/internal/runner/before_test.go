package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/probe"
	"github.com/upmaru/icepak/spec"
)

// newborn is a host whose guest has files before it is started.
type newborn struct {
	host
	files  Files
	looked int
	err    error // of Facts
	facts  checks.HostFacts
	asked  []bool // whether the image's facts were wanted
}

func (n *newborn) Launch(ctx context.Context, w *Watch, before Before) (Guest, error) {
	if before != nil {
		n.looked++
		before(ctx, n.files)
	}
	_, err := n.host.Launch(ctx, w, before)
	return n, err
}

func (n *newborn) Facts(_ context.Context, image bool) (checks.HostFacts, error) {
	n.asked = append(n.asked, image)
	return n.facts, n.err
}

// filesOf are files, and what the server says of itself.
type filesOf struct {
	fs.FS
	err error
}

func (f filesOf) Err() error { return f.err }

// checksOf are the checks of a spec, all to be evaluated.
func checksOf(t *testing.T, text string) []Check {
	t.Helper()
	s, err := spec.Parse("x.yaml", []byte(text), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return Checks(s, Place{Arch: "amd64", Type: "container"})
}

func TestWhatIsSeenBeforeTheBootCounts(t *testing.T) {
	image := fstest.MapFS{"image": {Data: []byte("x")}}
	const before = "checks: {a: {file: {/image: {before-boot: true, exists: true}, /other: {before-boot: true, exists: false}}}}"
	for _, tt := range []struct {
		name, spec string
		files      Files
		want       string
		message    string
	}{
		{"it holds", before, filesOf{image, nil}, "pass: a=pass", ""},
		{"it does not", "checks: {a: {file: {/image: {before-boot: true, exists: false}}}}", filesOf{image, nil}, "fail: a=fail", ""},
		{"together with the running guest", "checks: {a: {file: {/image: {before-boot: true, exists: true}, /proc/self: {exists: true}}}}", filesOf{image, nil}, "pass: a=pass", ""},
		{"the server fails", before, filesOf{image, errors.New("connection reset")}, "error: a=error", "connection reset"},
		{"the server shows none", before, noFiles{&lxd.HiddenError{Err: errors.New("not running")}}, "skip: a=skip", "not running"},
		{"nothing could be opened", before, noFiles{errors.New("no route to host")}, "error: a=error", "no route to host"},
		{"it is skipped", "checks: {a: {file: {/image: {before-boot: true, skip: true}, /proc/self: {exists: true}}}}", nil, "pass: a=pass", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &newborn{files: tt.files}
			img := run(t, Runner{}, job(n, checksOf(t, tt.spec)...)).Images[0]
			if got := verdicts(img); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			first := img.Checks[0].Results[0]
			if tt.files != nil && (first.When != checks.BeforeBoot || !strings.Contains(first.Message, tt.message)) {
				t.Errorf("got %+v", first)
			}
		})
	}
	n := &newborn{}
	run(t, Runner{}, job(n, checksOf(t, "checks: {a: {file: {/proc/self: {exists: true}}}}")...))
	if n.looked != 0 {
		t.Error("the files are asked for, of which nobody wants to know")
	}
}

// slow answers when it is told to.
type slow struct {
	fs.FS
	release chan struct{}
}

func (s slow) Open(string) (fs.File, error) { <-s.release; return nil, fs.ErrNotExist }

func TestALookBeforeTheBootThatHangsIsNoFail(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	n := &newborn{files: filesOf{slow{fstest.MapFS{}, release}, nil}}
	j := job(n, checksOf(t, "checks: {a: {user: {root: {before-boot: true, exists: true}}}}")...)
	j.Timeout = 100 * time.Millisecond
	if got := verdicts(run(t, Runner{}, j).Images[0]); got != "error: a=error" {
		t.Errorf("got %s", got)
	}
}

// Two images that are tested with one spec are two.
func TestResultsBeforeTheBootBelongToOneImage(t *testing.T) {
	all := checksOf(t, "checks: {a: {file: {/image: {before-boot: true, exists: true}}}}")
	good := &newborn{files: filesOf{fstest.MapFS{"image": {}}, nil}}
	bad := &newborn{files: filesOf{fstest.MapFS{}, nil}}
	sum := run(t, Runner{}, job(good, all...), job(bad, all...), job(&host{}, all...))
	for i, want := range []string{"pass: a=pass", "fail: a=fail", "skip: a=skip"} {
		if got := verdicts(sum.Images[i]); got != want {
			t.Errorf("image %d: got %s, want %s", i, got, want)
		}
	}
}

func TestThePlanHasWhatTheHostKnows(t *testing.T) {
	var plans []probe.Plan
	n := &newborn{facts: checks.HostFacts{Time: time.Unix(1, 0), Running: time.Second, Image: &checks.ImageFacts{Size: 5}}}
	n.probe = func(ctx context.Context, plan []byte, out Events) error {
		var p probe.Plan
		if err := json.Unmarshal(plan, &p); err != nil {
			t.Error(err)
		}
		plans = append(plans, p)
		return probe.Serve(ctx, bytes.NewReader(plan), out, checks.Local())
	}
	run(t, Runner{}, job(n, command(t, 1, "good", "true")))
	run(t, Runner{}, job(n, checksOf(t, "checks: {a: {image: {size: 5}}}")...))
	if got := fmt.Sprint(n.asked); got != "[false true]" {
		t.Errorf("the image is asked for: %s", got)
	}
	for _, p := range plans {
		if p.Host.Running != time.Second || time.Since(p.Host.Time) > time.Minute {
			t.Errorf("got %+v", p.Host)
		}
	}
	n.err = errors.New("no route to host")
	if got := verdicts(run(t, Runner{}, job(n, checksOf(t, "checks: {a: {image: {size: 5}}}")...)).Images[0]); got != "error: a=error" {
		t.Errorf("an image that could not be asked for: %s", got)
	}
}
