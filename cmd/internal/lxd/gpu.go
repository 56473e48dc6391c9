package lxd

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// A GPU is one of the server's cards.
type GPU struct {
	Vendor string // nvidia, amd
	PCI    string // address, as 0000:01:00.0
	Driver string // of the kernel: nvidia, amdgpu, vfio-pci …, or empty
}

// GPUs returns the cards of the server's that are NVIDIA's or AMD's, by their PCI
// addresses.
func (s *Server) GPUs(ctx context.Context) ([]GPU, error) {
	var resources *api.Resources
	err := s.call(ctx, func(c client.InstanceServer) (err error) {
		resources, err = c.GetServerResources()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("resources of remote %s: %w", s.name, err)
	}
	var gpus []GPU
	for _, card := range resources.GPU.Cards {
		vendor := map[string]string{"10de": "nvidia", "1002": "amd"}[strings.ToLower(card.VendorID)]
		if vendor != "" {
			gpus = append(gpus, GPU{Vendor: vendor, PCI: card.PCIAddress, Driver: card.Driver})
		}
	}
	sort.Slice(gpus, func(i, k int) bool { return gpus[i].PCI < gpus[k].PCI })
	return gpus, nil
}

// HasExtension tells whether the server has the API extension, as gpu_cdi.
func (s *Server) HasExtension(name string) bool { return slices.Contains(s.info.APIExtensions, name) }

// HasGPU tells whether a device of the instance, or of its profiles, is a GPU.
func (i *Instance) HasGPU() bool { return i.gpu }
