package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/spec"
)

var ( // cards of a server
	geforce  = lxd.GPU{Vendor: "nvidia", PCI: "0000:01:00.0", Driver: "nvidia"}
	tesla    = lxd.GPU{Vendor: "nvidia", PCI: "0000:41:00.0", Driver: "nvidia"}
	reserved = lxd.GPU{Vendor: "nvidia", PCI: "0000:61:00.0", Driver: "vfio-pci"}
	instinct = lxd.GPU{Vendor: "amd", PCI: "0000:03:00.0", Driver: "amdgpu"}
	radeon   = lxd.GPU{Vendor: "amd", PCI: "0000:04:00.0", Driver: "amdgpu"}
	idle     = lxd.GPU{Vendor: "amd", PCI: "0000:05:00.0"}
)

// needs is a check that will be evaluated and needs a GPU of the vendor's.
func needs(vendor string) Check { return Check{GPU: vendor, Again: true} }

func TestAnInstanceIsGivenTheGPUsThatItsChecksNeed(t *testing.T) {
	const gpu = "gputype:physical"
	for _, tt := range []struct {
		name       string
		typ        string
		extensions string
		gpus       []lxd.GPU
		checks     []Check
		config     map[string]string
		devices    map[string]map[string]string
		want       string // devices and config
	}{
		{"nvidia, CDI", "container", "gpu_cdi nvidia_runtime", []lxd.GPU{geforce, tesla}, []Check{needs("nvidia")}, nil, nil,
			"map[icepak-nvidia0:map[" + gpu + " id:nvidia.com/gpu=all type:gpu]] map[]"},
		{"nvidia, runtime", "container", "nvidia_runtime", []lxd.GPU{geforce, tesla}, []Check{needs("nvidia")}, nil, nil,
			"map[icepak-nvidia0:map[" + gpu + " pci:0000:01:00.0 type:gpu] icepak-nvidia1:map[" + gpu + " pci:0000:41:00.0 type:gpu]] map[nvidia.runtime:true]"},
		{"nvidia, neither", "container", "", []lxd.GPU{geforce}, []Check{needs("nvidia")}, nil, nil,
			"map[icepak-nvidia0:map[" + gpu + " pci:0000:01:00.0 type:gpu]] map[]"},
		{"nvidia, privileged", "container", "nvidia_runtime", []lxd.GPU{geforce}, []Check{needs("nvidia")}, map[string]string{"security.privileged": "true"}, nil,
			"map[icepak-nvidia0:map[" + gpu + " pci:0000:01:00.0 type:gpu]] map[security.privileged:true]"},
		{"the spec decides on the runtime", "container", "gpu_cdi nvidia_runtime", []lxd.GPU{geforce}, []Check{needs("nvidia")}, map[string]string{"nvidia.runtime": "false"}, nil,
			"map[icepak-nvidia0:map[" + gpu + " pci:0000:01:00.0 type:gpu]] map[nvidia.runtime:false]"},
		{"nvidia, one card is a virtual machine's", "container", "", []lxd.GPU{geforce, reserved}, []Check{needs("nvidia")}, nil, nil,
			"map[icepak-nvidia0:map[" + gpu + " pci:0000:01:00.0 type:gpu]] map[]"},
		{"amd, CDI", "container", "gpu_cdi gpu_cdi_amd", []lxd.GPU{instinct, radeon}, []Check{needs("amd")}, nil, nil,
			"map[icepak-amd0:map[" + gpu + " id:amd.com/gpu=0 type:gpu] icepak-amd1:map[" + gpu + " id:amd.com/gpu=1 type:gpu]] map[]"},
		{"amd, without CDI of its own", "container", "gpu_cdi nvidia_runtime", []lxd.GPU{instinct}, []Check{needs("amd")}, nil, nil,
			"map[icepak-amd0:map[" + gpu + " pci:0000:03:00.0 type:gpu] icepak-kfd:map[path:/dev/kfd required:false type:unix-char]] map[]"},
		{"any, of both", "container", "gpu_cdi gpu_cdi_amd", []lxd.GPU{geforce, instinct}, []Check{needs("any")}, nil, nil,
			"map[icepak-amd0:map[" + gpu + " id:amd.com/gpu=0 type:gpu] icepak-nvidia0:map[" + gpu + " id:nvidia.com/gpu=all type:gpu]] map[]"},
		{"only the vendor's that is needed", "container", "gpu_cdi gpu_cdi_amd", []lxd.GPU{geforce, instinct}, []Check{needs("nvidia")}, nil, nil,
			"map[icepak-nvidia0:map[" + gpu + " id:nvidia.com/gpu=all type:gpu]] map[]"},
		{"a virtual machine gets one card", "virtual-machine", "gpu_cdi nvidia_runtime", []lxd.GPU{geforce, tesla}, []Check{needs("nvidia")}, nil, nil,
			"map[icepak-nvidia0:map[" + gpu + " pci:0000:01:00.0 type:gpu]] map[]"},
		{"a virtual machine, any", "virtual-machine", "", []lxd.GPU{reserved, instinct}, []Check{needs("any")}, nil, nil,
			"map[icepak-nvidia0:map[" + gpu + " pci:0000:61:00.0 type:gpu]] map[]"},
		{"a virtual machine, any after one by name", "virtual-machine", "", []lxd.GPU{geforce, instinct}, []Check{needs("any"), needs("amd")}, nil, nil,
			"map[icepak-amd0:map[" + gpu + " pci:0000:03:00.0 type:gpu]] map[]"},
		{"a virtual machine, both by name", "virtual-machine", "gpu_cdi_amd", []lxd.GPU{geforce, instinct}, []Check{needs("amd"), needs("nvidia")}, nil, nil,
			"map[icepak-amd0:map[" + gpu + " pci:0000:03:00.0 type:gpu] icepak-nvidia0:map[" + gpu + " pci:0000:01:00.0 type:gpu]] map[]"},
		{"no check needs one", "container", "gpu_cdi", []lxd.GPU{geforce}, []Check{needs("")}, nil, nil, "map[] map[]"},
		{"what needs one is skipped", "container", "gpu_cdi", []lxd.GPU{geforce}, []Check{{GPU: "nvidia", Again: true, Check: checks.Check{Skip: "needs a"}}}, nil, nil, "map[] map[]"},
		{"what needs one has passed", "container", "gpu_cdi", []lxd.GPU{geforce}, []Check{{GPU: "nvidia", Earlier: true}}, nil, nil, "map[] map[]"},
		{"there is none", "container", "gpu_cdi", nil, []Check{needs("any")}, nil, nil, "map[] map[]"},
		{"the spec has its own", "container", "gpu_cdi", []lxd.GPU{geforce}, []Check{needs("nvidia")}, nil, map[string]map[string]string{"g": {"type": "gpu", "id": "1"}},
			"map[g:map[id:1 type:gpu]] map[]"},
		{"the spec has others", "container", "gpu_cdi", []lxd.GPU{geforce}, []Check{needs("nvidia")}, nil, map[string]map[string]string{"d": {"type": "disk"}},
			"map[d:map[type:disk] icepak-nvidia0:map[" + gpu + " id:nvidia.com/gpu=all type:gpu]] map[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := lxd.Request{Type: tt.typ, Config: tt.config, Devices: tt.devices}
			before := fmt.Sprint(tt.devices, tt.config)
			AddGPU(&req, func(name string) bool { return slices.Contains(strings.Fields(tt.extensions), name) }, tt.gpus, tt.checks)
			if got := fmt.Sprintf("%v %v", req.Devices, req.Config); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if after := fmt.Sprint(tt.devices, tt.config); after != before {
				t.Errorf("the spec's own became %s", after)
			}
		})
	}
}

func TestWhyThereIsNoGPU(t *testing.T) {
	for _, tt := range []struct {
		name, vendor string
		place        Place
		want         string
	}{
		{"none", "nvidia", Place{Type: "container"}, "no NVIDIA GPU here"},
		{"none of either", "any", Place{Type: "container", Where: "on rack1"}, "no GPU on rack1"},
		{"of another vendor", "amd", Place{Type: "container", Where: "on rack1", GPUs: []lxd.GPU{geforce}}, "no AMD GPU on rack1"},
		{"one that is there", "nvidia", Place{Type: "container", GPUs: []lxd.GPU{reserved, geforce}}, ""},
		{"any that is there", "any", Place{Type: "container", GPUs: []lxd.GPU{instinct}}, ""},
		{"one that only virtual machines can use", "nvidia", Place{Type: "container", Where: "on rack1", GPUs: []lxd.GPU{reserved}},
			"no NVIDIA GPU on rack1 that containers can use: 0000:61:00.0 has the driver vfio-pci there"},
		{"two that nothing drives", "any", Place{Type: "container", Where: "on rack1", GPUs: []lxd.GPU{idle, reserved}},
			"no GPU on rack1 that containers can use: 0000:05:00.0 has no driver there, 0000:61:00.0 has the driver vfio-pci there"},
		{"a virtual machine", "nvidia", Place{Type: "virtual-machine", GPUs: []lxd.GPU{reserved}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.place.withoutGPU(tt.vendor); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A GPU that is required and missing is nobody's fault but the machine's: the
// verdict is an error, which is never posted, and keeps the version from being
// promoted. What the check is not for, such as another type, stays a skip.
func TestAGPUThatIsRequired(t *testing.T) {
	const text = `
checks:
  a: {file: {/etc/passwd: {exists: true}}}
  gpu: {when: {gpu: nvidia}, nvidia-smi: {count: 1}}
  after: {needs: gpu, file: {/etc/passwd: {exists: true}}}
  vm: {when: {gpu: any, type: virtual-machine}, file: {/etc/passwd: {exists: true}}}
`
	s, err := spec.Parse("spec.yaml", []byte(text), spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name                string
		place               Place
		wanted              []string
		checks              string
		verdict             checks.Verdict
		reason, notPromoted string
	}{
		{"not required", Place{Type: "container", Where: "on rack1"}, nil,
			"a pass, gpu skip: no NVIDIA GPU on rack1, after skip: needs gpu, which is skipped, vm skip: only for virtual-machine", checks.Pass, "", report.Promoted},
		{"required", Place{Type: "container", Where: "on rack1", RequireGPU: true}, nil,
			"a pass, gpu error: no NVIDIA GPU on rack1 (--require-gpu), after skip: needs gpu, which is not evaluated, vm skip: only for virtual-machine",
			checks.Error, "", "not promoted: gpu (container) could not be found out"},
		{"nothing else is wanted", Place{Type: "container", RequireGPU: true}, []string{"gpu"},
			"gpu error: no NVIDIA GPU here (--require-gpu)", checks.Error, "no check can be evaluated; nothing is launched", "not promoted: gpu (container) could not be found out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			record := &Record{version: &Version{ID: 1}, ids: map[string]int64{"a": 1, "gpu": 2, "after": 3}, passed: map[Gate]bool{}}
			job := NewJob(report.Image{Type: "container"}, s, tt.place, Wanted{Checks: tt.wanted}, record, time.Minute)
			job.Host = Local{System: checks.Local()}
			tracker := &posts{}
			r := &Runner{Tracker: tracker, Emit: func(report.Event) {}, Promote: true}
			sum := r.Run(t.Context(), []Job{job})
			img := sum.Images[0]
			var got []string
			for _, c := range img.Checks {
				got = append(got, strings.TrimSuffix(fmt.Sprintf("%s %s: %s", c.Name, c.Verdict, c.Reason), ": "))
			}
			if found := strings.Join(got, ", "); found != tt.checks {
				t.Errorf("got  %s\nwant %s", found, tt.checks)
			}
			if img.Verdict != tt.verdict || sum.Verdict != tt.verdict || img.Reason != tt.reason {
				t.Errorf("the image: %s, %q", img.Verdict, img.Reason)
			}
			if img.Promotion != tt.notPromoted {
				t.Errorf("promotion: %q", img.Promotion)
			}
			if slices.Contains(tracker.checks, 2) {
				t.Error("a verdict of the check without a GPU was posted")
			}
		})
	}
}

// posts notes of which checks verdicts are posted.
type posts struct{ checks []int64 }

func (p *posts) Settle(_ context.Context, _, checkID, _ int64, _, _ string) (string, error) {
	p.checks = append(p.checks, checkID)
	return "", nil
}

func (p *posts) Promote(context.Context, string, polar.Version, string) error { return nil }

func TestAGPUThatTheServerRefusesIsNotTheImagesFault(t *testing.T) {
	for _, text := range []string{
		`Failed to start device "gpu0": Failed to detect requested GPU device`,
		"The NVIDIA container tools couldn't be found",
		`Failed to start device "icepak-nvidia0": Failed to generate CDI spec`,
	} {
		if !gpuRefused(errors.New(text)) {
			t.Errorf("not recognised: %s", text)
		}
	}
	if gpuRefused(errors.New("Failed to run: forkstart: exit status 1")) {
		t.Error("any failure is taken for a GPU's")
	}
}
