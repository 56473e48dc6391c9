package checks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// maxJSONStarts is at how many lines a document is looked for: before it, the
// tools print warnings, which may begin with a bracket as well.
const maxJSONStarts = 64

// jsonDocument reads the first object or list that begins a line.
func jsonDocument(out []byte) (any, error) {
	i := jsonStart(out)
	if i < 0 {
		return nil, errors.New("it printed no JSON")
	}
	var doc any
	err := json.NewDecoder(bytes.NewReader(out[i:])).Decode(&doc)
	return doc, err
}

// jsonStart is where the first whole object or list begins, or -1.
func jsonStart(out []byte) int {
	for start, tried := 0, 0; start < len(out) && tried < maxJSONStarts; {
		line := out[start:]
		blank := len(line) - len(bytes.TrimLeft(line, " \t"))
		if blank < len(line) && (line[blank] == '{' || line[blank] == '[') {
			tried++
			var doc json.RawMessage
			if json.NewDecoder(bytes.NewReader(line[blank:])).Decode(&doc) == nil {
				return start + blank
			}
		}
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			break
		}
		start += end + 1
	}
	return -1
}

// amdGPUs are the GPUs that amd-smi describes: a list, which newer versions put
// into an object.
func amdGPUs(out []byte) ([]map[string]any, error) {
	doc, err := jsonDocument(out)
	if err != nil {
		return nil, err
	}
	if all, ok := doc.(map[string]any); ok {
		doc = all["gpu_data"]
	}
	list, ok := doc.([]any)
	if !ok {
		return nil, errors.New("it printed JSON of another kind")
	}
	var gpus []map[string]any
	for _, one := range list {
		gpu, ok := one.(map[string]any)
		if !ok {
			return nil, errors.New("it printed JSON of another kind")
		}
		if _, ok := gpu["gpu"]; ok { // else it is of the CPU's sockets
			gpus = append(gpus, gpu)
		}
	}
	return gpus, nil
}

// jsonAt follows names to a value; it is nil where there is none.
func jsonAt(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// numberAt is a number, of a text, or of an object of a value and its unit.
func numberAt(v any, path ...string) (float64, bool) {
	switch v := jsonAt(v, path...).(type) {
	case float64:
		return v, true
	case string:
		return measured(v)
	case map[string]any:
		unit, _ := v["unit"].(string)
		switch n := v["value"].(type) {
		case float64:
			return measured(strings.TrimSpace(fmt.Sprintf("%f %s", n, unit)))
		case string:
			return measured(strings.TrimSpace(n + " " + unit))
		}
	}
	return 0, false
}

// parseAMD reads what any subcommand of amd-smi tells.
func parseAMD(out Output) (*gpuReport, error) {
	gpus, err := amdGPUs(out.Stdout)
	if err != nil || len(gpus) == 0 {
		return &gpuReport{}, err
	}
	r := &gpuReport{all: map[string]any{}, tree: map[string]any{"gpus": gpus}}
	for _, gpu := range gpus {
		r.gpus = append(r.gpus, amdFacts(gpu))
		version, _ := jsonAt(gpu, "driver", "version").(string)
		if version = driverVersion(version); !absent(version) {
			r.all["driver-version"] = version
		}
	}
	return r, nil
}

func amdFacts(gpu map[string]any) gpuFacts {
	g := gpuFacts{}
	for _, f := range []struct{ property, object, field string }{
		{"name", "asic", "market_name"},
		{"name", "board", "product_name"},
		{"gfx", "asic", "target_graphics_version"},
		{"memory", "vram", "size"},
		{"ecc-errors", "ecc", "total_uncorrectable_count"},
		{"power", "power", "socket_power"},
		{"temperature", "temperature", "edge"},
		{"temperature", "temperature", "hotspot"},
		{"temperature", "temperature", "mem"},
	} {
		n, isNumber := numberAt(gpu, f.object, f.field)
		text, isText := jsonAt(gpu, f.object, f.field).(string)
		before, told := g[f.property].(float64)
		switch f.property {
		case "name", "gfx":
			if isText && !absent(text) && g[f.property] == nil {
				g[f.property] = text
			}
		default:
			if isNumber && (!told || n > before) {
				g[f.property] = n
			}
		}
	}
	if ecc, ok := jsonAt(gpu, "ras", "ecc_block_state", "UMC").(string); ok && !absent(ecc) {
		g["ecc"] = ecc
	}
	if list, ok := gpu["process_list"].([]any); ok { // of one text where there are none
		n := 0.0
		for _, one := range list {
			if _, is := jsonAt(one, "process_info").(map[string]any); is {
				n++
			}
		}
		g["processes"] = n
	}
	return g
}

// driverVersion is the driver's own version or, of the kernel's own driver, the
// kernel's, which amd-smi prints with all that it was built with.
func driverVersion(text string) string {
	if rest, ok := strings.CutPrefix(strings.ReplaceAll(text, " ", ""), "Linuxversion"); ok {
		text, _, _ = strings.Cut(rest, "(")
	}
	return strings.TrimSpace(text)
}
