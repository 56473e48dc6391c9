package checks

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An nvidiaReport is what is taken of nvidia-smi -q -x.
type nvidiaReport struct {
	driver   string   // version, or empty
	cuda     string   // version, or empty
	attached int      // how many GPUs it says there are, or -1
	gpus     []string // product names
}

// parseNvidiaReport reads the XML that nvidia-smi -q -x prints, after whatever
// it prints before. What could be read is returned with an error as well.
func parseNvidiaReport(out []byte) (nvidiaReport, error) {
	report := nvidiaReport{attached: -1}
	start := bytes.Index(out, []byte("<?xml"))
	if start < 0 {
		return report, errors.New("nvidia-smi printed no XML")
	}
	d := xml.NewDecoder(bytes.NewReader(printable(out[start:])))
	d.Strict = false // process names may hold a bare &
	var path []string
	for {
		token, err := d.RawToken()
		switch t := token.(type) {
		case xml.StartElement:
			if path = append(path, t.Name.Local); len(path) == 1 && t.Name.Local != "nvidia_smi_log" {
				return report, fmt.Errorf("nvidia-smi printed XML of another kind, <%s>", head(t.Name.Local, 40))
			}
			if len(path) == 2 && t.Name.Local == "gpu" {
				report.gpus = append(report.gpus, "unknown")
			}
		case xml.EndElement:
			if len(path) == 0 || path[len(path)-1] != t.Name.Local {
				return report, errors.New("nvidia-smi printed broken XML")
			}
			if path = path[:len(path)-1]; len(path) == 0 {
				return report, nil
			}
		case xml.CharData:
			report.take(path, strings.TrimSpace(string(t)))
		}
		if err != nil {
			return report, fmt.Errorf("nvidia-smi printed broken XML: %w", err)
		}
	}
}

// take keeps the text of the element that path leads to, if it is one of ours.
// Drivers rename the elements of versions from time to time, so any name that
// tells the same is taken.
func (n *nvidiaReport) take(path []string, text string) {
	if text == "" || absent(text) {
		return
	}
	switch {
	case len(path) == 3 && path[1] == "gpu" && path[2] == "product_name":
		n.gpus[len(n.gpus)-1] = text
	case len(path) != 2:
	case path[1] == "attached_gpus":
		if count, err := strconv.Atoi(text); err == nil && count >= 0 {
			n.attached = count
		}
	case path[1] == "cuda_version" || n.cuda == "" && isVersionOf(path[1], "cuda"):
		n.cuda = text
	case path[1] == "driver_version" || n.driver == "" && isVersionOf(path[1], "driver", "kmd"):
		n.driver = text
	}
}

func isVersionOf(element string, names ...string) bool {
	for _, name := range names {
		if strings.Contains(element, name) && strings.HasSuffix(element, "version") {
			return true
		}
	}
	return false
}

// absent tells whether a value says that there is none.
func absent(value string) bool {
	switch strings.Trim(value, "[]") {
	case "N/A", "Not Found", "ERR!", "Unknown Error", "Requested functionality has been deprecated":
		return true
	}
	return false
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

// nvidiaFailures says what nvidia-smi means by what it prints, on either
// stream, when it fails. The first that fits counts.
func nvidiaFailures() []struct{ sign, meaning string } {
	return []struct{ sign, meaning string }{
		{"GPU is lost", "a GPU is lost: it has fallen off the bus"},
		{"Unable to determine the device handle", "a GPU does not answer"},
		{"Driver/library version mismatch", "the loaded driver and the NVIDIA library are of different versions"},
		{"couldn't communicate with the NVIDIA driver", "the NVIDIA driver is not loaded"},
		{"couldn't find libnvidia-ml", "the library libnvidia-ml.so is missing"},
		{"No devices were found", "no NVIDIA device was found"},
	}
}

// nvidiaFailure says why nvidia-smi has failed, or is empty where neither its
// output nor its exit code says so.
func nvidiaFailure(out Output) string {
	printed := out.printed()
	if out.ExitCode == 0 && bytes.Contains(out.Stdout, []byte("<nvidia_smi_log")) {
		return "" // the report itself tells how many GPUs it lacks
	}
	for _, f := range nvidiaFailures() {
		if strings.Contains(printed, f.sign) {
			return f.meaning
		}
	}
	switch out.ExitCode {
	case 0:
		return ""
	case 6:
		return "no NVIDIA device was found"
	case 9:
		return "the NVIDIA driver is not loaded"
	case 12:
		return "the library libnvidia-ml.so is missing"
	case 14:
		return "a GPU's infoROM is corrupted"
	case 15:
		return "a GPU is lost: it has fallen off the bus"
	case 18:
		return "the loaded driver and the NVIDIA library are of different versions"
	}
	return fmt.Sprintf("nvidia-smi: exit %d", out.ExitCode)
}
