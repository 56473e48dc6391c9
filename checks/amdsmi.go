package checks

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// AMDSMI is what amd-smi knows of the guest's AMD GPUs. A property that it does
// not tell of one of them fails.
type AMDSMI struct {
	Common
	// GPUs are the market names, one for each GPU.
	GPUs          Matcher `json:"gpus,omitzero" kind:"list"`
	Count         Matcher `json:"count,omitzero" kind:"int"`
	DriverVersion Matcher `json:"driver-version,omitzero" kind:"string"`
	ROCmVersion   Matcher `json:"rocm-version,omitzero" kind:"string"`
	// GFX are the targets that code is compiled for, as gfx942, one for each GPU.
	GFX Matcher `json:"gfx,omitzero" kind:"list"`
	// Memory is that of the GPU that has the least.
	Memory Matcher `json:"memory,omitzero" kind:"size"`
	// ECC is that of the memory, ENABLED or DISABLED, one for each GPU.
	ECC Matcher `json:"ecc,omitzero" kind:"list"`
	// ECCErrors are the uncorrected ones of all GPUs.
	ECCErrors   Matcher `json:"ecc-errors,omitzero" kind:"int"`
	Temperature Matcher `json:"temperature,omitzero" kind:"int"` // °C, of the hottest place of all
	Power       Matcher `json:"power,omitzero" kind:"int"`       // W, of all together
	Processes   Matcher `json:"processes,omitzero" kind:"int"`   // that it sees on all GPUs
	// Report is what amd-smi static --json prints, the GPUs in the list gpus.
	Report Matcher `json:"report,omitzero" kind:"text"`
}

// Evaluate gives a result for each property that is asserted. amd-smi is only
// asked for what that takes.
func (a *AMDSMI) Evaluate(ctx context.Context, sys *System) []Result {
	return evaluateGPUs(a, func(property string) (*gpuReport, error) {
		switch property {
		case "rocm-version":
			return sys.amdVersion(ctx)
		case "ecc-errors", "temperature", "power":
			return sys.amdReport(ctx, "metric")
		case "processes":
			return sys.amdReport(ctx, "process")
		}
		return sys.amdReport(ctx, "static")
	})
}

// amdReport reads what a subcommand of amd-smi tells of all GPUs.
func (s *System) amdReport(ctx context.Context, sub string) (*gpuReport, error) {
	return s.rocmReport(ctx, parseAMD, "amd-smi", sub, "--json")
}

// rocmReport reads what amd-smi or rocm-smi tells with these arguments.
func (s *System) rocmReport(ctx context.Context, parse func(Output) (*gpuReport, error), name string, args ...string) (*gpuReport, error) {
	what := name + " " + args[0]
	return fact(ctx, &s.facts, what, func() (*gpuReport, error) {
		out, err := s.rocmTool(ctx, name, args...)
		if err != nil {
			return nil, err
		}
		report, err := parse(out)
		switch {
		case err != nil:
			return nil, &commandError{what + ": " + err.Error(), out.ExitCode, out.printed()}
		case len(report.gpus) == 0 && report.all == nil:
			return nil, &commandError{noAMDDevice, out.ExitCode, out.printed()}
		}
		report.tool = name
		return report, nil
	})
}

// amdVersion reads what amd-smi says of versions: names and values between bars.
func (s *System) amdVersion(ctx context.Context) (*gpuReport, error) {
	return s.rocmReport(ctx, func(out Output) (*gpuReport, error) {
		r := &gpuReport{all: map[string]any{}}
		if version := versionAfter(string(out.Stdout), "ROCm version:"); version != "" {
			r.all["rocm-version"] = version
		}
		return r, nil
	}, "amd-smi", "version")
}

// versionAfter is what follows a name, up to a bar or the line's end.
func versionAfter(text, name string) string {
	_, rest, _ := strings.Cut(text, name)
	if i := strings.IndexAny(rest, "|\n"); i >= 0 {
		rest = rest[:i]
	}
	if rest = strings.TrimSpace(rest); absent(rest) {
		return ""
	}
	return rest
}

const noAMDDevice = "no AMD GPU was found: give the guest one that the amdgpu driver supports"

// amdFailures are those of amd-smi and rocm-smi, which often exit with zero.
func amdFailures() []smiFailure {
	const driver = "the amdgpu driver is not loaded: load its kernel module, in a container that of the host"
	const permission = "no permission to use the GPUs: see who may open /dev/kfd and /dev/dri, as the groups render and video"
	return []smiFailure{
		{sign: "driver not initialized", meaning: driver},
		{sign: "amdgpu not found in modules", meaning: driver},
		{sign: "AMDSMI_STATUS_DRIVER_NOT_LOADED", meaning: driver},
		{sign: "Permission denied", meaning: permission},
		{sign: "AMDSMI_STATUS_NO_PERM", meaning: permission},
		{sign: "RSMI_STATUS_PERMISSION", meaning: permission},
		{sign: "Unable to detect any GPU devices", meaning: noAMDDevice},
		{sign: "No AMD GPUs", meaning: noAMDDevice},
		{sign: "AMDSMI_STATUS_NOT_FOUND", meaning: noAMDDevice},
		{sign: "No module named 'amdsmi'", meaning: "the Python module amdsmi is missing: install the package amd-smi-lib"},
		{sign: "error while loading shared libraries", meaning: "the tool misses a shared library: install ROCm's"},
		{sign: "Unable to load the rocm_smi library", meaning: "the library librocm_smi64.so is missing: install the package rocm-smi-lib"},
	}
}

// rocmTool runs amd-smi or rocm-smi, which are in ROCm's own folder where they are
// not on the PATH.
func (s *System) rocmTool(ctx context.Context, name string, args ...string) (Output, error) {
	program := name
	if !s.hasProgram(name) && s.exists("/opt/rocm/bin/"+name) {
		program = "/opt/rocm/bin/" + name
	}
	out, err := s.run(ctx, name, Command{Args: append([]string{program}, args...)})
	if _, failed := errors.AsType[*commandError](err); err != nil && !failed {
		return out, err
	}
	succeeded := out.ExitCode == 0 && jsonStart(out.Stdout) >= 0
	if failure := failureOf(amdFailures(), out); failure != nil && !succeeded {
		return out, failure.err(out)
	}
	if out.Truncated && err == nil {
		err = errTooMuch
	}
	if err != nil && out.ExitCode != 0 {
		err = &commandError{fmt.Sprintf("%s: exit %d", name, out.ExitCode), out.ExitCode, out.printed()}
	}
	return out, err
}

func (*AMDSMI) undescribed() []string {
	return []string{"temperature", "power", "processes", "report"}
}
