package checks

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// ROCmSMI is what rocm-smi, amd-smi's forerunner, knows of the guest's AMD GPUs. A
// property that it does not tell of one of them fails.
type ROCmSMI struct {
	Common
	// GPUs are the names of the cards' series, one for each GPU.
	GPUs          Matcher `json:"gpus,omitzero" kind:"list"`
	Count         Matcher `json:"count,omitzero" kind:"int"`
	DriverVersion Matcher `json:"driver-version,omitzero" kind:"string"`
	// GFX are the targets that code is compiled for, as gfx942, one for each GPU.
	// Versions before ROCm 6 do not tell them.
	GFX Matcher `json:"gfx,omitzero" kind:"list"`
	// Memory is that of the GPU that has the least.
	Memory      Matcher `json:"memory,omitzero" kind:"size"`
	Temperature Matcher `json:"temperature,omitzero" kind:"int"` // °C, of the hottest place of all
	Power       Matcher `json:"power,omitzero" kind:"int"`       // W, of all together
	Processes   Matcher `json:"processes,omitzero" kind:"int"`   // that it sees on all GPUs
	// Report is what it prints as JSON, the GPUs in the list gpus.
	Report Matcher `json:"report,omitzero" kind:"text"`
}

// Evaluate gives a result for each property that is asserted.
func (c *ROCmSMI) Evaluate(ctx context.Context, sys *System) []Result {
	var list []Result
	if anySet(c.GPUs, c.Count, c.DriverVersion, c.GFX, c.Memory, c.Temperature, c.Power, c.Report) {
		report, err := sys.rocmReport(ctx)
		list = append(list, answered(err, func(r *results) {
			r.match("gpus", c.GPUs, report.names())
			r.match("count", c.Count, len(report.gpus))
			r.find("driver-version", c.DriverVersion, report.version("driver"))
			r.find("gfx", c.GFX, report.list("gfx"))
			r.find("memory", c.Memory, report.least("memory"))
			r.find("temperature", c.Temperature, report.most("temperature"))
			r.find("power", c.Power, report.sum("power"))
			r.find("report", c.Report, report.whole)
		})...)
	}
	if c.Processes.IsSet() {
		report, err := sys.rocmProcesses(ctx)
		list = append(list, answered(err, func(r *results) {
			r.find("processes", c.Processes, report.sum("processes"))
		})...)
	}
	return list
}

// rocmReport reads all but the processes.
func (s *System) rocmReport(ctx context.Context) (gpuReport, error) {
	return fact(ctx, &s.facts, "rocm-smi", func() (gpuReport, error) {
		out, err := s.rocmTool(ctx, "rocm-smi",
			"--showproductname", "--showmeminfo", "vram", "--showdriverversion", "--showtemp", "--showpower", "--json")
		if err != nil {
			return gpuReport{}, err
		}
		report, err := parseROCm(out.Stdout)
		switch {
		case err != nil:
			return gpuReport{}, &commandError{"rocm-smi: " + err.Error(), out.ExitCode, out.printed()}
		case len(report.gpus) == 0:
			return gpuReport{}, &commandError{noAMDDevice, out.ExitCode, out.printed()}
		}
		return report, nil
	})
}

// rocmProcesses counts the processes, which rocm-smi does not tell by GPU.
func (s *System) rocmProcesses(ctx context.Context) (gpuReport, error) {
	return fact(ctx, &s.facts, "rocm-smi --showpids", func() (gpuReport, error) {
		out, err := s.rocmTool(ctx, "rocm-smi", "--showpids", "--json")
		if err != nil {
			return gpuReport{}, err
		}
		doc, err := jsonDocument(out.Stdout)
		none := strings.Contains(out.printed(), "No KFD PIDs") || strings.Contains(out.printed(), "No JSON data")
		if err != nil && !none {
			return gpuReport{}, &commandError{"rocm-smi --showpids: " + err.Error(), out.ExitCode, out.printed()}
		}
		n := 0.0
		system, _ := jsonAt(doc, "system").(map[string]any)
		for name := range system {
			if strings.HasPrefix(name, "PID") {
				n++
			}
		}
		return gpuReport{tool: "rocm-smi", gpus: []gpuFacts{{"processes": n}}}, nil
	})
}

// parseROCm reads an object with one of each card, and one of the system. Names
// have been spelled with capitals and without.
func parseROCm(out []byte) (gpuReport, error) {
	r := gpuReport{tool: "rocm-smi", versions: map[string]string{}}
	doc, err := jsonDocument(out)
	if err != nil {
		return r, err
	}
	all, _ := doc.(map[string]any)
	cards := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b) // card2 before card10
		}
		return strings.Compare(a, b)
	})
	gpus := []any{}
	for _, card := range cards {
		if fields, ok := all[card].(map[string]any); ok && strings.HasPrefix(card, "card") {
			r.gpus = append(r.gpus, rocmFacts(fields))
			gpus = append(gpus, fields)
		}
	}
	system, _ := all["system"].(map[string]any)
	r.versions["driver"], _ = textAt(system, []string{"Driver version"})
	r.tree = map[string]any{"gpus": gpus, "system": system}
	return r, nil
}

func rocmFacts(fields map[string]any) gpuFacts {
	told := make(map[string]string, len(fields))
	for name, value := range fields {
		if text, ok := value.(string); ok && !absent(text) {
			told[strings.ToLower(name)] = strings.TrimSpace(text)
		}
	}
	g := gpuFacts{}
	for _, name := range []string{"card series", "device name", "card model"} {
		if g["name"] == nil && told[name] != "" {
			g["name"] = told[name]
		}
	}
	g.put("gfx", told["gfx version"], told["gfx version"] != "")
	memory, ok := measured(told["vram total memory (b)"])
	g.put("memory", memory, ok)
	for _, name := range slices.Sorted(maps.Keys(told)) {
		n, ok := measured(told[name])
		switch hottest, _ := g["temperature"].(float64); {
		case !ok:
		case strings.HasPrefix(name, "temperature (sensor") && (g["temperature"] == nil || n > hottest):
			g["temperature"] = n
		case strings.HasSuffix(name, "package power (w)") && !strings.HasPrefix(name, "max"):
			g["power"] = n
		}
	}
	return g
}

func (*ROCmSMI) undescribed() []string {
	return []string{"temperature", "power", "processes", "report"}
}
