package checks

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A gpuReport is what a vendor's tool tells of the GPUs.
type gpuReport struct {
	tool     string
	versions map[string]string // of the driver and such, by what they are of
	gpus     []gpuFacts
	tree     map[string]any // all of it
	cut      bool           // it was too much to be kept: of the GPUs only the names are known
}

// gpuFacts are a GPU's properties: text, or a number, of bytes for its memory.
// What the tool does not tell is not there.
type gpuFacts map[string]any

// put keeps a fact where it is told.
func (g gpuFacts) put(property string, value any, told bool) {
	if told {
		g[property] = value
	}
}

// names are the GPUs' product names.
func (r gpuReport) names() []string {
	names := make([]string, len(r.gpus))
	for i, gpu := range r.gpus {
		names[i], _ = gpu["name"].(string)
		if names[i] == "" {
			names[i] = "unknown"
		}
	}
	return names
}

// version looks up the version of the driver, say.
func (r gpuReport) version(of string) func() (any, error) {
	return func() (any, error) {
		if r.versions[of] == "" {
			return nil, fmt.Errorf("%s tells no %s version", r.tool, of)
		}
		return r.versions[of], nil
	}
}

// every looks up what each GPU tells. One that does not tell it is an error: what
// the others tell would say nothing of that one.
func (r gpuReport) every(property string) ([]any, error) {
	switch {
	case r.cut:
		return nil, errTooMuch
	case len(r.gpus) == 0:
		return nil, fmt.Errorf("%s tells of no GPU", r.tool)
	}
	all := make([]any, len(r.gpus))
	for i, gpu := range r.gpus {
		value, told := gpu[property]
		if !told {
			return nil, fmt.Errorf("%s does not tell the property %s of GPU %d, %s", r.tool, property, i, r.names()[i])
		}
		all[i] = value
	}
	return all, nil
}

// list looks up a text of each GPU.
func (r gpuReport) list(property string) func() (any, error) {
	return func() (any, error) {
		all, err := r.every(property)
		return all, err
	}
}

// fold makes one number of those of all GPUs.
func (r gpuReport) fold(property string, both func(a, b float64) float64) func() (any, error) {
	return func() (any, error) {
		all, err := r.every(property)
		if err != nil {
			return nil, err
		}
		folded, _ := all[0].(float64)
		for _, value := range all[1:] {
			n, _ := value.(float64)
			folded = both(folded, n)
		}
		return folded, nil
	}
}

func (r gpuReport) least(property string) func() (any, error) { return r.fold(property, math.Min) }

func (r gpuReport) most(property string) func() (any, error) { return r.fold(property, math.Max) }

func (r gpuReport) sum(property string) func() (any, error) {
	return r.fold(property, func(a, b float64) float64 { return a + b })
}

// whole looks up all that the tool tells, as JSON.
func (r gpuReport) whole() (any, error) {
	if r.cut {
		return nil, errTooMuch
	}
	data, err := json.Marshal(r.tree)
	return string(data), err
}

// answered is the results of properties that depend on one answer of a tool.
// Where there is none, err, they have its verdict.
func answered(err error, match func(*results)) []Result {
	var r results
	if err != nil {
		r.errRest(err)
	}
	match(&r)
	withOutput(r.list, err)
	return r.list
}

func anySet(list ...Matcher) bool { return slices.ContainsFunc(list, Matcher.IsSet) }

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
