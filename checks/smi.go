package checks

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// A gpuReport is what a vendor's tool tells of the GPUs. What it does not tell is
// not there.
type gpuReport struct {
	tool string
	all  map[string]any // properties of all GPUs together, as the driver's version
	gpus []gpuFacts
	tree map[string]any // all of it
	cut  bool           // it was too much to be kept: of the GPUs only the names are known
}

// gpuFacts are a GPU's properties: text, or a number, of bytes for its memory.
type gpuFacts map[string]any

// names are the GPUs' product names.
func (r *gpuReport) names() []string {
	names := make([]string, len(r.gpus))
	for i, gpu := range r.gpus {
		names[i], _ = gpu["name"].(string)
		if names[i] == "" {
			names[i] = "unknown"
		}
	}
	return names
}

// property is what a spec's property is compared with: of numbers that of the GPU
// that decides, or their sum; of texts the list.
func (r *gpuReport) property(name string) (any, error) {
	value, told := r.all[name]
	switch {
	case told:
		return value, nil
	case name == "gpus":
		return r.names(), nil
	case name == "count":
		return len(r.gpus), nil
	case strings.HasSuffix(name, "-version"):
		return nil, fmt.Errorf("%s does not tell the property %s", r.tool, name)
	case r.cut:
		return nil, errTooMuch
	case name == "report":
		data, err := json.Marshal(r.tree)
		return string(data), err
	}
	return r.fold(name)
}

// fold makes one value of those of all GPUs. A GPU that does not tell it makes an
// error: what the others tell would say nothing of that one.
func (r *gpuReport) fold(name string) (any, error) {
	if len(r.gpus) == 0 {
		return nil, fmt.Errorf("%s tells of no GPU", r.tool)
	}
	var texts []string
	var number float64
	for i, gpu := range r.gpus {
		switch value := gpu[name].(type) {
		case nil:
			return nil, fmt.Errorf("%s does not tell the property %s of GPU %d, %s", r.tool, name, i, r.names()[i])
		case string:
			texts = append(texts, value)
		case float64:
			switch {
			case i == 0:
				number = value
			case name == "memory":
				number = min(number, value)
			case name == "temperature":
				number = max(number, value)
			default:
				number += value
			}
		}
	}
	if texts != nil {
		return texts, nil
	}
	return number, nil
}

// evaluateGPUs gives a result for each property of the resource that is asserted. ask
// asks the tool for what tells that property, and remembers the answer.
func evaluateGPUs(resource any, ask func(property string) (*gpuReport, error)) []Result {
	var r results
	var before error
	v := reflect.ValueOf(resource).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		m, is := v.FieldByIndex(f.Index).Interface().(Matcher)
		if !is || !m.IsSet() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		report, err := ask(name)
		r.find(name, m, func() (any, error) {
			if err != nil {
				return nil, err
			}
			return report.property(name)
		})
		if err != before { // what was printed is shown once
			withOutput(r.list[len(r.list)-1:], err)
		}
		before = err
	}
	return r.list
}

// absent tells whether a value says that there is none.
func absent(value string) bool {
	switch strings.Trim(value, "[]") {
	case "", "N/A", "Not Found", "ERR!", "Unknown Error", "Not Supported", "Requested functionality has been deprecated":
		return true
	}
	return false
}

// quantity is a number with its unit, as 20475 MiB.
var quantity = regexp.MustCompile(`^(-?\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|KB|MB|GB|KB/s|MB/s|W|C|%|MHz|us|ms|mV)?$`)

// measured reads a number with or without a unit; sizes are of bytes. Both
// vendors' MB is what others call MiB.
func measured(text string) (float64, bool) {
	m := quantity.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(m[1], 64)
	switch m[2] {
	case "KiB", "KB":
		n *= 1 << 10
	case "MiB", "MB":
		n *= 1 << 20
	case "GiB", "GB":
		n *= 1 << 30
	}
	return n, err == nil
}

// A smiFailure says what a tool means by what it prints, on either stream, or
// by its exit code.
type smiFailure struct {
	sign    string // in what it prints
	code    int    // or its exit code, where not zero
	meaning string // and what to do about it
	// hardware: the machine is broken, and no image is to blame.
	hardware bool
}

// failureOf returns the first of the failures that fits, by the signs before
// the codes: some tools fail with the code zero. It is nil where none does.
func failureOf(list []smiFailure, out Output) *smiFailure {
	printed := strings.ToLower(out.printed())
	for i, f := range list {
		if f.sign != "" && strings.Contains(printed, strings.ToLower(f.sign)) {
			return &list[i]
		}
	}
	for i, f := range list {
		if f.code != 0 && f.code == out.ExitCode {
			return &list[i]
		}
	}
	return nil
}

// err is the failure as an error that shows what was printed.
func (f smiFailure) err(out Output) error {
	var err error = &commandError{f.meaning, out.ExitCode, out.printed()}
	if f.hardware {
		err = inconclusive{err}
	}
	return err
}
