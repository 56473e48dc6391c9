package runner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/spec"
)

const planned = `
checks:
  a: {file: {/a: {exists: true}}}
  b: {needs: [a], file: {/b: {exists: true}}}
  gpu: {when: {gpu: nvidia}, file: {/g: {exists: true}}}
  after: {needs: gpu, file: {/h: {exists: true}}}
  vm: {when: {type: virtual-machine}, file: {/v: {exists: true}}}
  arm: {when: {arch: "arm*"}, file: {/m: {exists: true}}}
`

func TestJobsRunWhatIsLeftAndWhatThatNeeds(t *testing.T) {
	s, err := spec.Parse("spec.yaml", []byte(planned), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	record := func(passed ...string) *Record {
		r := &Record{version: &Version{ID: 1}, ids: map[string]int64{"a": 1, "b": 2, "gpu": 3}, passed: map[Gate]bool{}}
		for _, name := range passed {
			r.passed[Gate{Type: "container", Check: name}] = true
		}
		return r
	}
	place := Place{Arch: "amd64", Type: "container"}
	for _, tt := range []struct {
		name    string
		place   Place
		wanted  Wanted
		record  *Record
		run     string // what is evaluated
		skip    string
		nothing bool
	}{
		{"all of it", place, Wanted{}, nil, "a b", "gpu after vm arm", false},
		{"with a GPU", Place{Arch: "amd64", Type: "container", GPUs: []lxd.GPU{{Vendor: "nvidia", Driver: "nvidia"}}}, Wanted{}, nil, "a b gpu after", "vm arm", false},
		{"another GPU", Place{Arch: "amd64", Type: "container", GPUs: []lxd.GPU{{Vendor: "amd", Driver: "amdgpu"}}}, Wanted{}, nil, "a b", "gpu after vm arm", false},
		{"a virtual machine", Place{Arch: "arm64", Type: "virtual-machine"}, Wanted{}, nil, "a b vm arm", "gpu after", false},
		{"a part", place, Wanted{Checks: []string{"a"}}, nil, "a", "", false},
		{"what is left, and what that needs", place, Wanted{}, record("a"), "a b", "gpu after vm arm", false},
		{"what is left needs nothing", place, Wanted{}, record("b"), "a", "gpu after vm arm", false},
		{"nothing is left", place, Wanted{}, record("a", "b"), "", "gpu after vm arm", true},
		{"nothing of the part is left", place, Wanted{Checks: []string{"a"}}, record("a"), "", "", true},
		{"by force", place, Wanted{Force: true}, record("a", "b"), "a b", "gpu after vm arm", false},
		{"only what is skipped", place, Wanted{Checks: []string{"gpu"}}, nil, "", "gpu", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			job := NewJob(report.Image{Type: tt.place.Type}, s, tt.place, tt.wanted, tt.record, time.Minute)
			var run, skip []string
			for _, c := range job.Checks {
				switch {
				case c.Skip != "":
					skip = append(skip, c.Name)
				case c.Again:
					run = append(run, c.Name)
				}
			}
			if got := strings.Join(run, " "); got != tt.run {
				t.Errorf("runs %q, want %q", got, tt.run)
			}
			if got := strings.Join(skip, " "); got != tt.skip {
				t.Errorf("skips %q, want %q", got, tt.skip)
			}
			if (job.Nothing != "") != tt.nothing {
				t.Errorf("nothing to do: %q", job.Nothing)
			}
		})
	}
}

func TestWhatIsWantedAloneMayGate(t *testing.T) {
	passed, failed, open := Gate{Passed: true}, Gate{Failed: true}, Gate{}
	of := func(g Gate, typ, check string) Gate { g.Type, g.Check = typ, check; return g }
	all := []Gate{of(passed, "container", "a"), of(open, "container", "b"), of(failed, "container", "c"), of(open, "virtual-machine", "a"), of(passed, "virtual-machine", "b")}
	for _, tt := range []struct {
		wanted []string
		want   []Gate
	}{
		{nil, all},
		{[]string{"a"}, []Gate{all[0], all[2], all[3]}},
		{[]string{"a", "b", "c"}, all},
		{[]string{"other"}, []Gate{all[2]}},
	} {
		r := &Record{version: &Version{Gates: slices.Clone(all)}}
		r.Narrow(Wanted{Checks: tt.wanted})
		if !slices.Equal(r.version.Gates, tt.want) {
			t.Errorf("%v: %v", tt.wanted, r.version.Gates)
		}
	}
}
