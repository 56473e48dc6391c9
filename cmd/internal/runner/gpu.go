package runner

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/spec"
)

// NeedsGPU tells whether the conditions of the spec ask for a GPU.
func NeedsGPU(s *spec.Spec) bool {
	return slices.ContainsFunc(s.Checks, func(c spec.Check) bool { return c.When.GPU != "" })
}

// vendorName is the vendor's name for people.
func vendorName(vendor string) string {
	if vendor == "any" {
		return ""
	}
	return strings.ToUpper(vendor) + " "
}

func isOf(gpu lxd.GPU, vendor string) bool { return vendor == "any" || gpu.Vendor == vendor }

// serves tells whether instances of the type can be given the GPU. A container
// uses it through its vendor's driver on the host, a virtual machine brings one.
func serves(gpu lxd.GPU, typ string) bool {
	return typ != "container" || gpu.Driver == "nvidia" || gpu.Driver == "amdgpu"
}

// withoutGPU says that there is no GPU of the vendor (any: of either) in the place, or
// nothing.
func (p Place) withoutGPU(vendor string) string {
	var unfit []string
	for _, gpu := range p.GPUs {
		switch {
		case !isOf(gpu, vendor):
		case serves(gpu, p.Type):
			return ""
		case gpu.Driver == "":
			unfit = append(unfit, gpu.PCI+" has no driver there")
		default:
			unfit = append(unfit, fmt.Sprintf("%s has the driver %s there", gpu.PCI, gpu.Driver))
		}
	}
	where := p.Where
	if where == "" {
		where = "here"
	}
	reason := fmt.Sprintf("no %sGPU %s", vendorName(vendor), where)
	if len(unfit) > 0 {
		reason += " that containers can use: " + strings.Join(unfit, ", ")
	}
	return reason
}

// wanted are those of the GPUs that the checks which will be evaluated ask for and
// that instances of the type can be given. A virtual machine takes a card from its
// host, and so gets only one of each vendor that is named, or one of any.
func wanted(gpus []lxd.GPU, typ string, all []Check) []lxd.GPU {
	var found []lxd.GPU
	for _, vendor := range []string{"nvidia", "amd", "any"} { // those by name may serve for any
		if !slices.ContainsFunc(all, func(c Check) bool { return c.GPU == vendor && c.Again && c.Skip == "" }) {
			continue
		}
		for _, gpu := range gpus {
			if typ == "virtual-machine" && slices.ContainsFunc(found, func(g lxd.GPU) bool { return isOf(g, vendor) }) {
				break
			}
			if isOf(gpu, vendor) && serves(gpu, typ) && !slices.Contains(found, gpu) {
				found = append(found, gpu)
			}
		}
	}
	return found
}

// AddGPU gives the instance those of the server's GPUs that its checks ask for: by
// the Container Device Interface where the server has it, else by their PCI
// addresses. What the spec says of GPU devices and of nvidia.runtime stays.
// has tells whether the server has an API extension.
func AddGPU(req *lxd.Request, has func(extension string) bool, gpus []lxd.GPU, all []Check) {
	gpus = wanted(gpus, req.Type, all)
	for _, device := range req.Devices {
		if device["type"] == "gpu" {
			return
		}
	}
	if len(gpus) == 0 {
		return
	}
	req.Devices, req.Config = cloned(req.Devices), cloned(req.Config)
	_, runtimeSet := req.Config["nvidia.runtime"]
	container := req.Type == "container"
	cdi := map[string]bool{
		"nvidia": container && has("gpu_cdi") && !runtimeSet,
		"amd":    container && has("gpu_cdi_amd"),
	}
	count := map[string]int{}
	for _, gpu := range gpus {
		n := count[gpu.Vendor]
		count[gpu.Vendor]++
		name := fmt.Sprintf("icepak-%s%d", gpu.Vendor, n)
		switch {
		case !cdi[gpu.Vendor]:
			req.Devices[name] = map[string]string{"type": "gpu", "gputype": "physical", "pci": gpu.PCI}
		case gpu.Vendor == "amd":
			req.Devices[name] = map[string]string{"type": "gpu", "gputype": "physical", "id": "amd.com/gpu=" + strconv.Itoa(n)}
		case n == 0: // all at once: the driver need not count them as LXD does
			req.Devices[name] = map[string]string{"type": "gpu", "gputype": "physical", "id": "nvidia.com/gpu=all"}
		}
	}
	if container && count["nvidia"] > 0 && !cdi["nvidia"] && !runtimeSet && has("nvidia_runtime") &&
		req.Config["security.privileged"] != "true" {
		req.Config["nvidia.runtime"] = "true"
	}
	if container && count["amd"] > 0 && !cdi["amd"] {
		// What computes opens this device too, which LXD's of type gpu leave out.
		req.Devices["icepak-kfd"] = map[string]string{"type": "unix-char", "path": "/dev/kfd", "required": "false"}
	}
}

func cloned[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

// gpuRefused tells whether an instance did not start since the server could not
// give it its GPU.
func gpuRefused(err error) bool {
	for _, sign := range []string{"GPU device", "NVIDIA container tools", "nvidia-container-cli", "CDI", "vfio"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}

// LocalGPUs lists this machine's GPUs by the kernel drivers that it runs.
func LocalGPUs() []lxd.GPU {
	var gpus []lxd.GPU
	for _, d := range []struct{ vendor, driver, path string }{
		{"nvidia", "nvidia", "/proc/driver/nvidia/version"}, {"amd", "amdgpu", "/sys/module/amdgpu"},
	} {
		if _, err := os.Stat(d.path); err == nil {
			gpus = append(gpus, lxd.GPU{Vendor: d.vendor, Driver: d.driver})
		}
	}
	return gpus
}
