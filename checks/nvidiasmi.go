package checks

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// NvidiaSMI is what nvidia-smi knows of the guest's NVIDIA GPUs.
type NvidiaSMI struct {
	Common
	// GPUs are the product names, one for each GPU.
	GPUs          Matcher `json:"gpus,omitzero" kind:"list"`
	DriverVersion Matcher `json:"driver-version,omitzero" kind:"string"`
	CUDAVersion   Matcher `json:"cuda-version,omitzero" kind:"string"`
	// Output is the table that plain nvidia-smi prints.
	Output Matcher `json:"output,omitzero" kind:"text"`
}

// Evaluate gives a result for each property that is asserted. Without a
// working driver every one fails.
func (n *NvidiaSMI) Evaluate(ctx context.Context, sys *System) []Result {
	return append(n.evaluateReport(ctx, sys), n.evaluateTable(ctx, sys)...)
}

func (n *NvidiaSMI) evaluateReport(ctx context.Context, sys *System) []Result {
	if !n.GPUs.IsSet() && !n.DriverVersion.IsSet() && !n.CUDAVersion.IsSet() {
		return nil
	}
	var r results
	report, err := sys.nvidiaReport(ctx)
	if err != nil {
		r.errRest(err)
	}
	r.match("gpus", n.GPUs, report.gpus)
	r.find("driver-version", n.DriverVersion, version("driver", report.driver))
	r.find("cuda-version", n.CUDAVersion, version("CUDA", report.cuda))
	withOutput(r.list, err)
	return r.list
}

func (n *NvidiaSMI) evaluateTable(ctx context.Context, sys *System) []Result {
	if !n.Output.IsSet() {
		return nil
	}
	var r results
	out, err := sys.nvidiaSMI(ctx)
	switch {
	case err != nil:
		r.errRest(err)
	case out.Truncated:
		r.errRest(errTooMuch)
	}
	r.match("output", n.Output, string(out.Stdout))
	withOutput(r.list, err)
	return r.list
}

func version(of, found string) func() (any, error) {
	return func() (any, error) {
		if found == "" {
			return nil, fmt.Errorf("nvidia-smi tells no %s version", of)
		}
		return found, nil
	}
}

// nvidiaReport reads nvidia-smi's report on all GPUs.
func (s *System) nvidiaReport(ctx context.Context) (nvidiaReport, error) {
	return fact(ctx, &s.facts, "nvidia-smi -q -x", func() (nvidiaReport, error) {
		out, err := s.nvidiaSMI(ctx, "-q", "-x")
		if err != nil {
			return nvidiaReport{}, err
		}
		report, err := parseNvidiaReport(out.Stdout)
		if out.Truncated {
			// A report on very many GPUs; the versions stand at its top.
			if report.gpus, err = s.nvidiaNames(ctx); err != nil {
				return nvidiaReport{}, err
			}
		}
		if err == nil && report.attached >= 0 && report.attached != len(report.gpus) {
			err = fmt.Errorf("nvidia-smi counts %d attached GPUs and describes %d", report.attached, len(report.gpus))
		}
		if err != nil {
			return nvidiaReport{}, &commandError{message: err.Error(), output: out.printed()}
		}
		return report, nil
	})
}

// nvidiaNames lists the GPUs' product names.
func (s *System) nvidiaNames(ctx context.Context) ([]string, error) {
	out, err := s.nvidiaSMI(ctx, "--query-gpu=name", "--format=csv,noheader")
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(out.Stdout), func(r rune) bool { return r == '\n' }), nil
}

// nvidiaSMI runs nvidia-smi. That it failed is said in words: its exit code
// alone tells little, and is zero at times.
func (s *System) nvidiaSMI(ctx context.Context, args ...string) (Output, error) {
	out, err := s.run(ctx, "nvidia-smi", Command{Args: append([]string{"nvidia-smi"}, args...)})
	if _, failed := errors.AsType[*commandError](err); err != nil && !failed {
		return out, err
	}
	if why := nvidiaFailure(out); why != "" {
		return out, &commandError{why, out.ExitCode, out.printed()}
	}
	return out, nil
}

func (*NvidiaSMI) undescribed() []string { return []string{"output"} }
