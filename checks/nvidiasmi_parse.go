package checks

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An smiElement is an element of nvidia-smi's XML: text, or other elements.
type smiElement struct {
	name     string
	id       string // its attribute
	text     string
	children []*smiElement
}

// maxSMIDepth bounds how deep the elements go; drivers have eight levels.
const maxSMIDepth = 32

// parseNvidiaReport reads the XML that nvidia-smi -q -x prints, after whatever
// it prints before. What could be read is returned with an error as well.
// attached is how many GPUs it says there are, or -1.
func parseNvidiaReport(out []byte) (report *gpuReport, attached int, err error) {
	root, err := parseSMI(out)
	report = &gpuReport{tool: "nvidia-smi", all: map[string]any{}, tree: map[string]any{}}
	attached = -1
	if root == nil {
		return report, attached, err
	}
	gpus := []any{}
	for _, e := range root.children {
		if e.name == "gpu" {
			report.gpus = append(report.gpus, e.facts())
			gpus = append(gpus, e.gpu())
			continue
		}
		if value, told := e.value(); told {
			report.tree[e.name] = value
		}
		if n, err := strconv.Atoi(e.text); e.name == "attached_gpus" && err == nil && n >= 0 {
			attached = n
		}
	}
	report.tree["gpus"] = gpus
	for property, found := range map[string]string{
		"driver-version": root.version("driver_version", "driver", "kmd"),
		"cuda-version":   root.version("cuda_version", "cuda"),
	} {
		if found != "" {
			report.all[property] = found
		}
	}
	return report, attached, err
}

// parseSMI reads the elements. With an error it returns those that were read,
// or nil where it is no report at all.
func parseSMI(out []byte) (*smiElement, error) {
	start := bytes.Index(out, []byte("<?xml"))
	if start < 0 {
		return nil, errors.New("nvidia-smi printed no XML")
	}
	d := xml.NewDecoder(bytes.NewReader(printable(out[start:])))
	d.Strict = false // process names may hold a bare &
	var path []*smiElement
	var root *smiElement
	for {
		token, err := d.RawToken()
		switch t := token.(type) {
		case xml.StartElement:
			e := &smiElement{name: t.Name.Local}
			for _, a := range t.Attr {
				if a.Name.Local == "id" {
					e.id = a.Value
				}
			}
			switch {
			case len(path) > maxSMIDepth:
				return root, errors.New("nvidia-smi printed XML of too many levels")
			case len(path) > 0:
				parent := path[len(path)-1]
				parent.children = append(parent.children, e)
			case e.name != "nvidia_smi_log":
				return nil, fmt.Errorf("nvidia-smi printed XML of another kind, <%s>", head(e.name, 40))
			default:
				root = e
			}
			path = append(path, e)
		case xml.EndElement:
			if len(path) == 0 || path[len(path)-1].name != t.Name.Local {
				return root, errors.New("nvidia-smi printed broken XML")
			}
			if path = path[:len(path)-1]; len(path) == 0 {
				return root, nil
			}
		case xml.CharData:
			if text := strings.TrimSpace(string(t)); text != "" && len(path) > 0 {
				path[len(path)-1].text += text
			}
		}
		if err != nil {
			return root, fmt.Errorf("nvidia-smi printed broken XML: %w", err)
		}
	}
}

// version is the text of the element of that name or, since drivers rename such
// elements from time to time, of one whose name tells the same.
func (e *smiElement) version(name string, words ...string) string {
	found := ""
	for _, c := range e.children {
		alike := strings.HasSuffix(c.name, "version") &&
			slices.ContainsFunc(words, func(word string) bool { return strings.Contains(c.name, word) })
		switch {
		case absent(c.text):
		case c.name == name:
			return c.text
		case alike && found == "":
			found = c.text
		}
	}
	return found
}

// at follows names to an element; it is nil where there is none.
func (e *smiElement) at(path ...string) *smiElement {
	for _, name := range path {
		i := -1
		if e != nil {
			i = slices.IndexFunc(e.children, func(c *smiElement) bool { return c.name == name })
		}
		if i < 0 {
			return nil
		}
		e = e.children[i]
	}
	return e
}

// facts are the properties of a GPU.
func (e *smiElement) facts() gpuFacts {
	g := gpuFacts{}
	for _, f := range []struct{ property, path string }{
		{"name", "product_name"},
		{"uuids", "uuid"},
		{"mig", "mig_mode/current_mig"},
		{"ecc", "ecc_mode/current_ecc"},
		{"memory", "fb_memory_usage/total"},
		{"temperature", "temperature/gpu_temp"},
		// Each generation of the schema has another place for it.
		{"power", "gpu_power_readings/average_power_draw"},
		{"power", "gpu_power_readings/instant_power_draw"},
		{"power", "gpu_power_readings/power_draw"},
		{"power", "power_readings/power_draw"},
		{"ecc-errors", "ecc_errors/volatile/double_bit/total"},
	} {
		found := e.at(strings.Split(f.path, "/")...)
		if found == nil || absent(found.text) || g[f.property] != nil {
			continue
		}
		switch f.property {
		case "name", "uuids", "mig", "ecc":
			g[f.property] = found.text
		default:
			if n, ok := measured(found.text); ok {
				g[f.property] = n
			}
		}
	}
	e.countErrors(g)
	if list := e.at("processes"); list != nil && (list.text == "" || !absent(list.text)) {
		g["processes"] = float64(len(list.children))
	}
	return g
}

// countErrors counts the uncorrected errors since the driver was loaded, where the
// GPU counts any and has not told their sum.
func (e *smiElement) countErrors(g gpuFacts) {
	counts := e.at("ecc_errors", "volatile")
	if counts == nil || g["ecc-errors"] != nil {
		return
	}
	for _, c := range counts.children {
		if n, ok := measured(c.text); ok && strings.Contains(c.name, "uncorrectable") {
			sum, _ := g["ecc-errors"].(float64)
			g["ecc-errors"] = sum + n
		}
	}
}

// gpu is a GPU's element for the report; what there may be several of is a list.
func (e *smiElement) gpu() map[string]any {
	all := map[string]any{"id": e.id}
	for _, c := range e.children {
		switch c.name {
		case "processes", "mig_devices":
			list := []any{}
			for _, one := range c.children {
				if value, told := one.value(); told {
					list = append(list, value)
				}
			}
			all[c.name] = list
		default:
			if value, told := c.value(); told {
				all[c.name] = value
			}
		}
	}
	return all
}

// value is an element for the report: text, a number where the text is one with
// a unit, which is left out, or a map, in which several of one name are a list.
func (e *smiElement) value() (any, bool) {
	if len(e.children) == 0 {
		if m := quantity.FindStringSubmatch(e.text); m != nil && m[2] != "" {
			n, err := strconv.ParseFloat(m[1], 64)
			return n, err == nil
		}
		return e.text, !absent(e.text)
	}
	all := map[string]any{}
	for _, c := range e.children {
		value, told := c.value()
		if !told {
			continue
		}
		switch before := all[c.name].(type) {
		case nil:
			all[c.name] = value
		case []any:
			all[c.name] = append(before, value)
		default:
			all[c.name] = []any{before, value}
		}
	}
	return all, len(all) > 0
}

// lowestCapability reads lines of a GPU's UUID and compute capability.
func lowestCapability(csv string) (string, error) {
	lowest := ""
	for _, line := range linesOf(csv) {
		uuid, capability, ok := strings.Cut(line, ",")
		if strings.TrimSpace(line) == "" {
			continue
		}
		capability = strings.TrimSpace(capability)
		if _, number := parseNumber(capability); !ok || !number {
			return "", fmt.Errorf("nvidia-smi tells no compute capability of %s", head(strings.TrimSpace(uuid), 60))
		}
		if lowest == "" || compareCapabilities(capability, lowest) < 0 {
			lowest = capability
		}
	}
	if lowest == "" {
		return "", errors.New("nvidia-smi tells no compute capability")
	}
	return lowest, nil
}

// compareCapabilities compares two versions of a major and a minor number.
func compareCapabilities(a, b string) int {
	majorA, minorA, _ := strings.Cut(a, ".")
	majorB, minorB, _ := strings.Cut(b, ".")
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	return cmp.Or(cmp.Compare(number(majorA), number(majorB)), cmp.Compare(number(minorA), number(minorB)))
}

// printable replaces what XML does not allow: names of processes hold anything.
func printable(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return '?'
		}
		return r
	}, b)
}
