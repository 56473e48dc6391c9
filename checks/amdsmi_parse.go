package checks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
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

// textAt is the text at the first of the paths that tells any.
func textAt(v any, paths ...[]string) (string, bool) {
	for _, path := range paths {
		if s, ok := jsonAt(v, path...).(string); ok && !absent(s) {
			return s, true
		}
	}
	return "", false
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

// largestNumber is the largest of the numbers in an object.
func largestNumber(v any) (largest float64, told bool) {
	m, _ := v.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if n, ok := numberAt(m, name); ok && (!told || n > largest) {
			largest, told = n, true
		}
	}
	return largest, told
}

func parseAMDStatic(gpus []map[string]any) gpuReport {
	r := gpuReport{tool: "amd-smi", versions: map[string]string{}, tree: map[string]any{"gpus": gpus}}
	for _, gpu := range gpus {
		g := gpuFacts{}
		name, told := textAt(gpu, []string{"asic", "market_name"}, []string{"board", "product_name"})
		g.put("name", name, told)
		gfx, told := textAt(gpu, []string{"asic", "target_graphics_version"})
		g.put("gfx", gfx, told)
		ecc, told := textAt(gpu, []string{"ras", "ecc_block_state", "UMC"})
		g.put("ecc", ecc, told)
		memory, told := numberAt(gpu, "vram", "size")
		g.put("memory", memory, told)
		r.gpus = append(r.gpus, g)
		if r.versions["driver"] == "" {
			version, _ := textAt(gpu, []string{"driver", "version"}, []string{"driver", "driver_version"})
			r.versions["driver"] = driverVersion(version)
		}
	}
	return r
}

// driverVersion is the driver's own version or, of the kernel's own driver, the
// kernel's, which amd-smi prints with all that it was built with.
func driverVersion(text string) string {
	if rest, ok := strings.CutPrefix(strings.ReplaceAll(text, " ", ""), "Linuxversion"); ok {
		text, _, _ = strings.Cut(rest, "(")
	}
	return strings.TrimSpace(text)
}

func parseAMDMetric(gpus []map[string]any) gpuReport {
	r := gpuReport{tool: "amd-smi"}
	for _, gpu := range gpus {
		g := gpuFacts{}
		errors, told := numberAt(gpu, "ecc", "total_uncorrectable_count")
		g.put("ecc-errors", errors, told)
		hottest, told := largestNumber(gpu["temperature"])
		g.put("temperature", hottest, told)
		power, told := numberAt(gpu, "power", "socket_power")
		g.put("power", power, told)
		r.gpus = append(r.gpus, g)
	}
	return r
}

// parseAMDProcess counts processes: objects in a list which, where there are none,
// has a text that says so.
func parseAMDProcess(gpus []map[string]any) gpuReport {
	r := gpuReport{tool: "amd-smi"}
	for _, gpu := range gpus {
		g := gpuFacts{}
		if list, ok := gpu["process_list"].([]any); ok {
			n := 0.0
			for _, one := range list {
				if _, is := jsonAt(one, "process_info").(map[string]any); is {
					n++
				}
			}
			g["processes"] = n
		}
		r.gpus = append(r.gpus, g)
	}
	return r
}
