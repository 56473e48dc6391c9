package checks

import "time"

// HostFacts are what whoever launched a guest knows of it and the guest itself
// cannot find out. They go into the guest with the plan.
type HostFacts struct {
	// Time is the host's clock when the plan was sent; zero where there is no host.
	Time time.Time `json:"time,omitzero"`
	// SharedClock: the guest has its server's clock, and none of its own.
	SharedClock bool `json:"shared_clock,omitempty"`
	// Running is how long the server took from being told to start the guest until
	// it said that the guest runs; zero where nobody started it.
	Running time.Duration `json:"running,omitempty"`
	// Image is what the guest was made from; nil where nobody can tell.
	Image *ImageFacts `json:"image,omitempty"`
}

// ImageFacts are what an image's metadata, its server and its feed say of it.
type ImageFacts struct {
	Fingerprint  string            `json:"fingerprint,omitempty"`
	Type         string            `json:"type,omitempty"`         // container, virtual-machine
	Architecture string            `json:"architecture,omitempty"` // amd64, arm64
	Created      time.Time         `json:"created,omitzero"`
	Size         int64             `json:"size,omitempty"`  // bytes of all files
	Files        map[string]int64  `json:"files,omitempty"` // bytes by the file's type in feeds, as squashfs; where they are known
	Properties   map[string]string `json:"properties,omitempty"`
}
