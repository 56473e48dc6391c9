package checks

import (
	"bytes"
	"fmt"
	"io/fs"
	"regexp"
)

// nvidiaFailures are nvidia-smi's. Its manual has the exit codes but 18.
func nvidiaFailures() []smiFailure {
	return []smiFailure{
		{sign: "GPU is lost", code: 15, meaning: "a GPU is lost, it has fallen off the bus: restart its host", hardware: true},
		{sign: "infoROM is corrupted", code: 14, meaning: "a GPU's infoROM is corrupted: have the card repaired", hardware: true},
		{sign: "Unable to determine the device handle", meaning: "a GPU does not answer: reset it, or restart its host", hardware: true},
		{sign: "Driver/library version mismatch", code: 18, meaning: "the loaded driver and the NVIDIA library are of different versions: " +
			"install the library of the driver's version, or load the driver again"},
		{sign: "couldn't communicate with the NVIDIA driver", code: 9, meaning: driverNotLoaded},
		{sign: "Failed to initialize NVML: Driver Not Loaded", meaning: driverNotLoaded},
		{sign: "couldn't find libnvidia-ml", code: 12, meaning: "the library libnvidia-ml.so is missing: install the driver's libraries, " +
			"or give the container nvidia.runtime"},
		{sign: "Insufficient Permissions", code: 4, meaning: "nvidia-smi may not use the GPUs: see who may open /dev/nvidia0 and /dev/nvidiactl"},
		{sign: "Failed to initialize NVML: Unknown Error", meaning: "the NVIDIA library cannot reach the driver, by an unknown error: " +
			"in a container, see that its cgroup may use the devices", hardware: true},
		{sign: "GPU access blocked by the operating system", meaning: "the operating system blocks the GPUs: let the guest have them"},
		{sign: "No devices were found", code: 6, meaning: "no NVIDIA device was found: give the guest a GPU that the driver supports"},
		{code: 8, meaning: "a GPU's power cables are not attached: attach them", hardware: true},
		{code: 10, meaning: "the kernel has trouble with a GPU's interrupts: see its log", hardware: true},
		{code: 13, meaning: "the library libnvidia-ml.so is older than nvidia-smi: install both of one version"},
		{sign: "error while loading shared libraries", meaning: "nvidia-smi misses a shared library: install what it was built for"},
	}
}

const driverNotLoaded = "the NVIDIA driver is not loaded: load its kernel module, in a container that of the host"

// nvidiaFailure says why nvidia-smi has failed, or is nil where neither its
// output nor its exit code says so.
func (s *System) nvidiaFailure(out Output) error {
	if out.ExitCode == 0 && bytes.Contains(out.Stdout, []byte("<nvidia_smi_log")) {
		return nil // the report itself tells how many GPUs it lacks
	}
	failure := failureOf(nvidiaFailures(), out)
	switch {
	case failure == nil && out.ExitCode == 0:
		return nil
	case failure == nil:
		failure = &smiFailure{meaning: fmt.Sprintf("nvidia-smi: exit %d", out.ExitCode)}
	case failure.code == 18:
		failure.meaning = s.versionMismatch(out, failure.meaning)
	}
	return failure.err(out)
}

var (
	libraryVersion = regexp.MustCompile(`NVML library version: (\d[\d.]*)`)
	moduleVersion  = regexp.MustCompile(`Kernel Module\s+(?:for \S+\s+)?(\d[\d.]*)`)
)

// versionMismatch adds the versions that are told to what is said.
func (s *System) versionMismatch(out Output, said string) string {
	module, err := fs.ReadFile(s.FS, "proc/driver/nvidia/version")
	loaded, library := moduleVersion.FindSubmatch(module), libraryVersion.FindStringSubmatch(out.printed())
	switch {
	case library == nil:
		return said
	case err != nil || loaded == nil:
		return fmt.Sprintf("%s (the library is %s)", said, library[1])
	}
	return fmt.Sprintf("%s (the driver is %s, the library %s)", said, loaded[1], library[1])
}
