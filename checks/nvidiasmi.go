package checks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// NvidiaSMI is what nvidia-smi knows of the guest's NVIDIA GPUs. A property that
// it does not tell of one of them fails.
type NvidiaSMI struct {
	Common
	// GPUs are the product names, one for each GPU.
	GPUs          Matcher `json:"gpus,omitzero" kind:"list"`
	Count         Matcher `json:"count,omitzero" kind:"int"`
	UUIDs         Matcher `json:"uuids,omitzero" kind:"list"`
	DriverVersion Matcher `json:"driver-version,omitzero" kind:"string"`
	CUDAVersion   Matcher `json:"cuda-version,omitzero" kind:"string"`
	// ComputeCapability is the lowest one.
	ComputeCapability Matcher `json:"compute-capability,omitzero" kind:"string"`
	// Memory is that of the GPU that has the least.
	Memory Matcher `json:"memory,omitzero" kind:"size"`
	// MIG and ECC are the current modes, Enabled or Disabled, one for each GPU.
	MIG Matcher `json:"mig,omitzero" kind:"list"`
	ECC Matcher `json:"ecc,omitzero" kind:"list"`
	// ECCErrors are the uncorrected ones of all GPUs since the driver was loaded.
	ECCErrors   Matcher `json:"ecc-errors,omitzero" kind:"int"`
	Temperature Matcher `json:"temperature,omitzero" kind:"int"` // °C, of the hottest
	Power       Matcher `json:"power,omitzero" kind:"int"`       // W, of all together
	Processes   Matcher `json:"processes,omitzero" kind:"int"`   // that it sees on all GPUs
	// Output is the table that plain nvidia-smi prints.
	Output Matcher `json:"output,omitzero" kind:"text"`
	// Report is nvidia-smi -q -x as JSON, by its own names.
	Report Matcher `json:"report,omitzero" kind:"text"`
}

// Evaluate gives a result for each property that is asserted. Without a
// working driver every one fails.
func (n *NvidiaSMI) Evaluate(ctx context.Context, sys *System) []Result {
	return evaluateGPUs(n, func(property string) (*gpuReport, error) {
		switch property {
		case "compute-capability":
			return sys.computeCapability(ctx)
		case "output":
			return sys.nvidiaTable(ctx)
		}
		return sys.nvidiaReport(ctx)
	})
}

// nvidiaReport reads nvidia-smi's report on all GPUs.
func (s *System) nvidiaReport(ctx context.Context) (*gpuReport, error) {
	return fact(ctx, &s.facts, "nvidia-smi -q -x", func() (*gpuReport, error) {
		out, err := s.nvidiaSMI(ctx, "-q", "-x")
		if err != nil {
			return nil, err
		}
		report, attached, err := parseNvidiaReport(out.Stdout)
		if out.Truncated {
			// A report on very many GPUs; the versions stand at its top.
			report.cut = true
			if report.gpus, err = s.nvidiaNames(ctx); err != nil {
				return nil, err
			}
		}
		if err == nil && attached >= 0 && attached != len(report.gpus) {
			err = fmt.Errorf("nvidia-smi counts %d attached GPUs and describes %d: one does not answer", attached, len(report.gpus))
		}
		if err != nil {
			return nil, &commandError{message: err.Error(), output: out.printed()}
		}
		return report, nil
	})
}

// nvidiaTable is the table that it prints.
func (s *System) nvidiaTable(ctx context.Context) (*gpuReport, error) {
	out, err := s.nvidiaSMI(ctx)
	if err == nil && out.Truncated {
		err = errTooMuch
	}
	return &gpuReport{all: map[string]any{"output": string(out.Stdout)}}, err
}

// nvidiaNames lists the GPUs by their product names only.
func (s *System) nvidiaNames(ctx context.Context) ([]gpuFacts, error) {
	out, err := s.nvidiaSMI(ctx, "--query-gpu=name", "--format=csv,noheader")
	if err != nil {
		return nil, err
	}
	var gpus []gpuFacts
	for _, line := range linesOf(string(out.Stdout)) {
		if line = strings.TrimSpace(line); line != "" {
			gpus = append(gpus, gpuFacts{"name": line})
		}
	}
	return gpus, nil
}

// computeCapability is the lowest of all GPUs. The report does not have it.
func (s *System) computeCapability(ctx context.Context) (*gpuReport, error) {
	out, err := s.nvidiaSMI(ctx, "--query-gpu=uuid,compute_cap", "--format=csv,noheader")
	if err != nil && bytes.Contains(out.Stdout, []byte("is not a valid field")) {
		return nil, &commandError{"this nvidia-smi does not know compute capabilities: it needs the driver 510 or newer", out.ExitCode, out.printed()}
	}
	if err != nil {
		return nil, err
	}
	lowest, err := lowestCapability(string(out.Stdout))
	return &gpuReport{all: map[string]any{"compute-capability": lowest}}, err
}

// nvidiaSMI runs nvidia-smi. That it failed is said in words: its exit code
// alone tells little, and is zero at times.
func (s *System) nvidiaSMI(ctx context.Context, args ...string) (Output, error) {
	out, err := s.run(ctx, "nvidia-smi", Command{Args: append([]string{"nvidia-smi"}, args...)})
	if _, failed := errors.AsType[*commandError](err); err != nil && !failed {
		return out, err
	}
	return out, s.nvidiaFailure(out)
}

func (*NvidiaSMI) undescribed() []string {
	return []string{"temperature", "power", "processes", "output", "report"}
}
