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
// working driver every one fails. nvidia-smi is only asked for what that takes.
func (n *NvidiaSMI) Evaluate(ctx context.Context, sys *System) []Result {
	var list []Result
	if anySet(n.GPUs, n.Count, n.UUIDs, n.DriverVersion, n.CUDAVersion, n.Memory, n.MIG, n.ECC,
		n.ECCErrors, n.Temperature, n.Power, n.Processes, n.Report) {
		report, err := sys.nvidiaReport(ctx)
		list = append(list, answered(err, func(r *results) { n.match(r, report) })...)
	}
	if n.ComputeCapability.IsSet() {
		lowest, err := sys.computeCapability(ctx)
		list = append(list, answered(err, func(r *results) { r.match("compute-capability", n.ComputeCapability, lowest) })...)
	}
	if n.Output.IsSet() {
		out, err := sys.nvidiaSMI(ctx)
		if err == nil && out.Truncated {
			err = errTooMuch
		}
		list = append(list, answered(err, func(r *results) { r.match("output", n.Output, string(out.Stdout)) })...)
	}
	return list
}

// match matches what stands in the report.
func (n *NvidiaSMI) match(r *results, report gpuReport) {
	r.match("gpus", n.GPUs, report.names())
	r.match("count", n.Count, len(report.gpus))
	r.find("uuids", n.UUIDs, report.list("uuid"))
	r.find("driver-version", n.DriverVersion, report.version("driver"))
	r.find("cuda-version", n.CUDAVersion, report.version("CUDA"))
	r.find("memory", n.Memory, report.least("memory"))
	r.find("mig", n.MIG, report.list("mig"))
	r.find("ecc", n.ECC, report.list("ecc"))
	r.find("ecc-errors", n.ECCErrors, report.sum("ecc-errors"))
	r.find("temperature", n.Temperature, report.most("temperature"))
	r.find("power", n.Power, report.sum("power"))
	r.find("processes", n.Processes, report.sum("processes"))
	r.find("report", n.Report, report.whole)
}

// nvidiaReport reads nvidia-smi's report on all GPUs.
func (s *System) nvidiaReport(ctx context.Context) (gpuReport, error) {
	return fact(ctx, &s.facts, "nvidia-smi -q -x", func() (gpuReport, error) {
		out, err := s.nvidiaSMI(ctx, "-q", "-x")
		if err != nil {
			return gpuReport{}, err
		}
		report, attached, err := parseNvidiaReport(out.Stdout)
		if out.Truncated {
			// A report on very many GPUs; the versions stand at its top.
			report.cut = true
			if report.gpus, err = s.nvidiaNames(ctx); err != nil {
				return gpuReport{}, err
			}
		}
		if err == nil && attached >= 0 && attached != len(report.gpus) {
			err = fmt.Errorf("nvidia-smi counts %d attached GPUs and describes %d: one does not answer", attached, len(report.gpus))
		}
		if err != nil {
			return gpuReport{}, &commandError{message: err.Error(), output: out.printed()}
		}
		return report, nil
	})
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
func (s *System) computeCapability(ctx context.Context) (string, error) {
	out, err := s.nvidiaSMI(ctx, "--query-gpu=uuid,compute_cap", "--format=csv,noheader")
	if err != nil && bytes.Contains(out.Stdout, []byte("is not a valid field")) {
		return "", &commandError{"this nvidia-smi does not know compute capabilities: it needs the driver 510 or newer", out.ExitCode, out.printed()}
	}
	if err != nil {
		return "", err
	}
	return lowestCapability(string(out.Stdout))
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
