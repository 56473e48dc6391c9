package runner

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// InstanceName makes a name of its own for an instance of the product, one that is
// a valid host name.
func InstanceName(product string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(product) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	middle := strings.Trim(b.String(), "-")
	if len(middle) > 40 {
		middle = strings.Trim(middle[:40], "-")
	}
	if middle == "" {
		middle = "image"
	}
	return "icepak-" + middle + "-" + newRunID()
}

// AddGPU gives the instance the remote's GPUs, which checks were found to depend on.
// What the spec says of devices stays.
func AddGPU(req *lxd.Request, vendors []string) {
	if len(vendors) == 0 {
		return
	}
	req.Devices, req.Config = maps.Clone(req.Devices), maps.Clone(req.Config)
	for _, d := range req.Devices {
		if d["type"] == "gpu" {
			return
		}
	}
	if req.Devices == nil {
		req.Devices = map[string]map[string]string{}
	}
	req.Devices["icepak-gpu"] = map[string]string{"type": "gpu"}
	if slices.Contains(vendors, "nvidia") && req.Type == "container" {
		if req.Config == nil {
			req.Config = map[string]string{}
		}
		if _, set := req.Config["nvidia.runtime"]; !set {
			req.Config["nvidia.runtime"] = "true"
		}
	}
}

// LocalGPUs lists the vendors whose kernel driver this machine runs.
func LocalGPUs() []string {
	var vendors []string
	for _, d := range []struct{ vendor, path string }{{"nvidia", "/proc/driver/nvidia/version"}, {"amd", "/sys/module/amdgpu"}} {
		if _, err := os.Stat(d.path); err == nil {
			vendors = append(vendors, d.vendor)
		}
	}
	return vendors
}

// A Leftover is an instance whose run is no more.
type Leftover struct {
	lxd.Labelled
	Kept bool // the run may have left it on purpose
}

// Leftovers lists the instances on the server that runs have left behind. Those
// of a live run are never among them.
func Leftovers(ctx context.Context, s *lxd.Server, now time.Time) ([]Leftover, error) {
	all, err := s.Labelled(ctx, LabelRun)
	if err != nil {
		return nil, err
	}
	var found []Leftover
	for _, inst := range all {
		if abandoned, kept := Abandoned(inst.Config, now); abandoned {
			found = append(found, Leftover{inst, kept})
		}
	}
	return found, nil
}
