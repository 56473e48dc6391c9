package checks

import (
	"context"
	"fmt"
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
	return evaluateGPUs(c, func(property string) (*gpuReport, error) {
		if property == "processes" {
			return sys.rocmReport(ctx, parseROCmProcesses, "rocm-smi", "--showpids", "--json")
		}
		return sys.rocmReport(ctx, parseROCm, "rocm-smi",
			"--showproductname", "--showmeminfo", "vram", "--showdriverversion", "--showtemp", "--showpower", "--json")
	})
}

// parseROCmProcesses counts the processes, which rocm-smi does not tell by GPU.
func parseROCmProcesses(out Output) (*gpuReport, error) {
	doc, err := jsonDocument(out.Stdout)
	printed := out.printed()
	if err != nil && !strings.Contains(printed, "No KFD PIDs") && !strings.Contains(printed, "No JSON data") {
		return nil, err
	}
	n := 0
	system, _ := jsonAt(doc, "system").(map[string]any)
	for name := range system {
		if strings.HasPrefix(name, "PID") {
			n++
		}
	}
	return &gpuReport{all: map[string]any{"processes": n}}, nil
}

// parseROCm reads an object with one of each card, and one of the system.
func parseROCm(out Output) (*gpuReport, error) {
	doc, err := jsonDocument(out.Stdout)
	all, isObject := doc.(map[string]any)
	r := &gpuReport{}
	if err != nil || !isObject {
		return r, err
	}
	gpus := []any{}
	for i, left := 0, len(all); left > 0 && i < maxCards; i++ { // there may be gaps
		if fields, ok := all[fmt.Sprintf("card%d", i)].(map[string]any); ok {
			r.gpus = append(r.gpus, rocmFacts(fields))
			gpus = append(gpus, fields)
			left--
		}
	}
	r.tree = map[string]any{"gpus": gpus, "system": all["system"]}
	if version, ok := jsonAt(all, "system", "Driver version").(string); ok && !absent(version) && len(gpus) > 0 {
		r.all = map[string]any{"driver-version": version}
	}
	return r, nil
}

// maxCards is up to which number cards are looked for.
const maxCards = 1024

// rocmFacts are a card's. Names have been spelled with capitals and without.
func rocmFacts(fields map[string]any) gpuFacts {
	g := gpuFacts{}
	rank := 0
	for name, value := range fields {
		text, _ := value.(string)
		if text = strings.TrimSpace(text); absent(text) {
			continue
		}
		name = strings.ToLower(name)
		n, isNumber := measured(text)
		hottest, told := g["temperature"].(float64)
		if better := map[string]int{"card series": 3, "device name": 2, "card model": 1}[name]; better > rank {
			g["name"], rank = text, better
		}
		switch {
		case name == "gfx version":
			g["gfx"] = text
		case !isNumber:
		case name == "vram total memory (b)":
			g["memory"] = n
		case strings.HasPrefix(name, "temperature (sensor") && (!told || n > hottest):
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
