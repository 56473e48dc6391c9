package checks

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

func TestNvidiaReportsOfManyDrivers(t *testing.T) {
	tests := []struct {
		file         string
		driver, cuda string
		attached     int
		facts        string // of the only GPU
	}{
		{"a10g", "515.105.01", "11.7", 1, "ecc:Enabled ecc-errors:0 memory:23028 MiB mig:N/A name:NVIDIA A10G power:25.58 processes:1 temperature:17"},
		{"quadro-p400", "418.43", "10.1", 1, "ecc:N/A ecc-errors:N/A memory:1998 MiB mig:N/A name:Quadro P400 power:N/A processes:0 temperature:33"},
		{"gtx-1070-ti", "", "", -1, "ecc:N/A ecc-errors:N/A memory:4096 MiB mig:N/A name:GeForce GTX 1070 Ti power:N/A processes:N/A temperature:39"},
		{"a100-sxm4-v12", "535.54.03", "12.2", 4, "ecc:Enabled ecc-errors:0 memory:81920 MiB mig:Enabled name:NVIDIA A100-SXM4-80GB power:67.03 processes:0 temperature:27"},
		{"quadro-p2000-v12", "525.125.06", "12.0", 1, "ecc:N/A ecc-errors:N/A memory:5120 MiB mig:N/A name:Quadro P2000 power:4.61 processes:0 temperature:34"},
		{"rtx-3060-v12", "570.124.04", "12.8", 1, "ecc:N/A ecc-errors:N/A memory:12288 MiB mig:N/A name:NVIDIA GeForce RTX 3060 power:11.6 processes:0 temperature:42"},
		{"rtx-3080-v12", "536.40", "12.2", 1, "ecc:N/A ecc-errors:N/A memory:10240 MiB mig:N/A name:NVIDIA GeForce RTX 3080 power:22.78 processes:5 temperature:31"},
		{"rtx-3090-v12", "525.147.05", "12.0", 1, "ecc:N/A ecc-errors:N/A memory:24576 MiB mig:N/A name:NVIDIA GeForce RTX 3090 power:27.23 processes:0 temperature:37"},
		{"rtx-4000-sff-ada-v13", "595.84", "13.2", 1,
			"ecc:Disabled ecc-errors:N/A memory:20475 MiB mig:N/A name:NVIDIA RTX 4000 SFF Ada Generation power:8.81 processes:4 temperature:38"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			got, attached, err := parseNvidiaReport(readTestdata(t, "nvidia/telegraf-"+tt.file+".xml"))
			if err != nil || len(got.gpus) != 1 {
				t.Fatalf("%d GPUs, %v", len(got.gpus), err)
			}
			if toldOf(got, "driver-version") != tt.driver || toldOf(got, "cuda-version") != tt.cuda || attached != tt.attached {
				t.Errorf("got %v, %d attached", got.all, attached)
			}
			if facts := toldFacts(got.gpus[0]); facts != tt.facts {
				t.Errorf("got  %s\nwant %s", facts, tt.facts)
			}
		})
	}
}

// toldOf is what a report tells of all GPUs together, or nothing.
func toldOf(r *gpuReport, property string) string {
	text, _ := r.all[property].(string)
	return text
}

// toldFacts are the facts of a GPU that every report is asked for.
func toldFacts(g gpuFacts) string {
	var parts []string
	for _, name := range []string{"ecc", "ecc-errors", "memory", "mig", "name", "power", "processes", "temperature"} {
		value, told := g[name]
		switch n, _ := value.(float64); {
		case !told:
			value = "N/A"
		case name == "memory":
			value = fmt.Sprint(n/(1<<20), " MiB")
		}
		parts = append(parts, fmt.Sprintf("%s:%v", name, value))
	}
	return strings.Join(parts, " ")
}

// No element that tells something is left out of the report: for each there is
// its text, or its number without the unit.
func TestNvidiaReportsAreKeptWhole(t *testing.T) {
	files, err := filepath.Glob("testdata/nvidia/*.xml")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data := readTestdata(t, "nvidia/"+filepath.Base(file))
			report, _, err := parseNvidiaReport(data)
			if err != nil {
				t.Fatal(err)
			}
			kept := map[string]int{}
			countLeaves(report.tree, kept)
			d := xml.NewDecoder(bytes.NewReader(data))
			text, leaf, leaves := "", false, 0
			for {
				token, err := d.Token()
				if err != nil {
					break
				}
				switch e := token.(type) {
				case xml.StartElement:
					text, leaf = "", true
				case xml.CharData:
					text += string(e)
				case xml.EndElement:
					if text = strings.TrimSpace(text); leaf && !absent(text) && text != "None" {
						leaves++
						if n := strings.Fields(text); kept[text] == 0 && kept[n[0]] == 0 {
							t.Errorf("%s: %q is not in the report", e.Name.Local, text)
						}
					}
					leaf = false
				}
			}
			if leaves < 10 {
				t.Errorf("only %d elements were looked at", leaves)
			}
		})
	}
}

func countLeaves(v any, counts map[string]int) {
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			countLeaves(e, counts)
		}
	case []any:
		for _, e := range v {
			countLeaves(e, counts)
		}
	case float64:
		counts[strconv.FormatFloat(v, 'f', -1, 64)]++
		counts[strconv.FormatFloat(v, 'f', 2, 64)]++ // as power is printed
		counts[strconv.FormatFloat(v, 'f', 3, 64)]++ // as voltage is
	default:
		counts[fmt.Sprint(v)]++
	}
}

// nvidiaXML is the XML of a driver, with these elements.
func nvidiaXML(elements string) string {
	return `<?xml version="1.0" ?><!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd"><nvidia_smi_log>` + elements + "</nvidia_smi_log>\n"
}

func TestOddNvidiaReports(t *testing.T) {
	const gpu = "<gpu id=\"0\"><product_name>H100</product_name></gpu>"
	tests := []struct {
		name, out, want string
	}{
		{"errors first", "Unable to determine the device handle for GPU0000:CB:00.0: Unknown Error\n" +
			nvidiaXML("<driver_version>550.54.14</driver_version>"+gpu), "550.54.14  [H100] <nil>"},
		{"renamed versions", nvidiaXML("<kmd_version>610.1</kmd_version><cuda_umd_version>14.0</cuda_umd_version>" + gpu), "610.1 14.0 [H100] <nil>"},
		{"both names", nvidiaXML("<cuda_umd_version>14.1</cuda_umd_version><cuda_version>14.0</cuda_version>" + gpu), " 14.0 [H100] <nil>"},
		{"absent CUDA", nvidiaXML("<cuda_version>ERR!</cuda_version>" + gpu), "  [H100] <nil>"},
		{"absent name", nvidiaXML("<gpu><product_name>N/A</product_name></gpu>"), "  [unknown] <nil>"},
		{"odd process names", nvidiaXML("<gpu><product_name>H100</product_name><p>a & b\x01\xff &x;</p></gpu>"), "  [H100] <nil>"},
		{"driver version of a GPU", nvidiaXML("<gpu><driver_version>1</driver_version><product_name>H100</product_name></gpu>"), "  [H100] <nil>"},
		{"no XML", "Failed to initialize NVML\n", "  [] nvidia-smi printed no XML"},
		{"another XML", `<?xml version="1.0"?><html></html>`, "  [] nvidia-smi printed XML of another kind, <html>"},
		{"cut off", nvidiaXML("<driver_version>550.54.14</driver_version>" + gpu)[:180], "550.54.14  [H100] nvidia-smi printed broken XML: "},
		{"too many levels", nvidiaXML(strings.Repeat("<a>", 100)), "  [] nvidia-smi printed XML of too many levels"},
		{"crossed elements", nvidiaXML("<a><b></a></b>"), "  [] nvidia-smi printed broken XML"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _, err := parseNvidiaReport([]byte(tt.out))
			got := fmt.Sprint(toldOf(r, "driver-version"), " ", toldOf(r, "cuda-version"), " ", r.names(), " ", err)
			if got != tt.want && (!strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzParseNvidiaReport(f *testing.F) {
	f.Add(readTestdata(f, "nvidia/telegraf-gtx-1070-ti.xml"))
	f.Add([]byte(nvidiaXML("<attached_gpus>1</attached_gpus><gpu><product_name>x</product_name><processes><p/><p/></processes></gpu>")))
	f.Add([]byte(nvidiaXML("<gpu><fb_memory_usage><total>1 MiB</total></fb_memory_usage><a>1 W</a><a/><a>2</a></gpu>")))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, attached, _ := parseNvidiaReport(data)
		if n := bytes.Count(data, []byte("<")); len(r.gpus) > n {
			t.Errorf("%d GPUs of %d elements", len(r.gpus), n)
		}
		if attached < -1 {
			t.Errorf("%d GPUs attached", attached)
		}
		if _, err := r.property("report"); err != nil {
			t.Error(err)
		}
	})
}

func TestNvidiaProperties(t *testing.T) {
	const query, table = "nvidia-smi -q -x", "nvidia-smi"
	sys := fakeGuest(t, nil, script{
		query: prints(string(readTestdata(t, "nvidia/telegraf-rtx-4000-sff-ada-v13.xml"))),
		table: prints(string(readTestdata(t, "nvidia/l40s__595.80.idle.txt"))),
	})
	for property, v := range map[string]any{
		"gpus":           map[string]any{"contain-element": map[string]any{"match-regexp": "RTX 4000"}},
		"count":          1,
		"uuids":          []any{"GPU-37037c3f-65c8-ec4d-24a9-420204ad8026"},
		"driver-version": map[string]any{"semver-constraint": ">=550.0.0"},
		"cuda-version":   "13.2",
		"memory":         map[string]any{"ge": "16GiB"},
		"ecc":            []any{"Disabled"},
		"temperature":    map[string]any{"lt": 80},
		"power":          8.81,
		"processes":      4,
		"output":         []any{"/CUDA Version: +13/"},
		"report": map[string]any{"gjson": map[string]any{
			"driver_version":              "595.84",
			"gpus.0.fb_memory_usage.used": 3534,
			"gpus.#":                      1,
			"gpus.0.processes.#":          4,
			"gpus.0.pci.pci_gpu_link_info.pcie_gen.max_link_gen": map[string]any{"ge": 4},
		}},
	} {
		t.Run(property, func(t *testing.T) {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			n := new(NvidiaSMI)
			setProperty(t, n, property, string(text))
			checkTold(t, n.Evaluate(t.Context(), sys), property+" pass\n")
		})
	}
	n := &NvidiaSMI{MIG: expects(t, List, map[string]any{"not": map[string]any{"contain-element": "Enabled"}}),
		ECCErrors: expects(t, Int, int64(0))}
	checkTold(t, n.Evaluate(t.Context(), sys), ""+
		"mig fail: nvidia-smi does not tell the property mig of GPU 0, NVIDIA RTX 4000 SFF Ada Generation\n"+
		"ecc-errors fail: nvidia-smi does not tell the property ecc-errors of GPU 0, NVIDIA RTX 4000 SFF Ada Generation\n")
}

// Of several GPUs the one counts that decides, and one that does not tell a
// property is not hidden by another that does.
func TestNvidiaPropertiesOfSeveralGPUs(t *testing.T) {
	gpu := func(name, memory, temp, ecc, errors string) string {
		return "<gpu><product_name>" + name + "</product_name><fb_memory_usage><total>" + memory + "</total></fb_memory_usage>" +
			"<temperature><gpu_temp>" + temp + "</gpu_temp></temperature><ecc_mode><current_ecc>" + ecc + "</current_ecc></ecc_mode>" +
			"<ecc_errors><volatile><double_bit><device_memory>9</device_memory><total>" + errors + "</total></double_bit></volatile></ecc_errors></gpu>"
	}
	sys := fakeGuest(t, nil, script{"nvidia-smi -q -x": prints(nvidiaXML(
		gpu("A", "40960 MiB", "41 C", "Enabled", "0") + gpu("B", "20480 MiB", "67 C", "N/A", "3")))})
	n := &NvidiaSMI{
		Count:       expects(t, Int, int64(2)),
		Memory:      expects(t, Size, map[string]any{"ge": "32GiB"}),
		ECC:         expects(t, List, map[string]any{"not": map[string]any{"contain-element": "Disabled"}}),
		ECCErrors:   expects(t, Int, int64(0)),
		Temperature: expects(t, Int, map[string]any{"lt": int64(60)}),
		Power:       expects(t, Int, map[string]any{"lt": int64(60)}),
	}
	checkTold(t, n.Evaluate(t.Context(), sys), ""+
		"count pass\n"+
		"memory fail: 20 GiB is not at least 32 GiB\n"+
		"ecc fail: nvidia-smi does not tell the property ecc of GPU 1, B\n"+
		"ecc-errors fail\n"+
		"temperature fail: 67 is not less than 60\n"+
		"power fail: nvidia-smi does not tell the property power of GPU 0, A\n")

	none := fakeGuest(t, nil, script{"nvidia-smi -q -x": prints(nvidiaXML("<attached_gpus>0</attached_gpus>"))})
	n = &NvidiaSMI{Count: expects(t, Int, int64(0)), Temperature: expects(t, Int, map[string]any{"lt": int64(60)})}
	checkTold(t, n.Evaluate(t.Context(), none), "count pass\ntemperature fail: nvidia-smi tells of no GPU\n")
}

func TestComputeCapabilityIsTheLowest(t *testing.T) {
	const query = "nvidia-smi --query-gpu=uuid,compute_cap --format=csv,noheader"
	for _, tt := range []struct {
		name string
		out  []Output
		want string
	}{
		{"several", prints("GPU-1, 12.0\nGPU-2, 8.9\nGPU-3, 9.0\n"), "pass"},
		{"one too old", prints("GPU-1, 12.0\nGPU-2, 7.5\n"), "fail: 7.5 is not at least 8"},
		{"one not told", prints("GPU-1, 12.0\nGPU-2, [N/A]\n"), "fail: nvidia-smi tells no compute capability of GPU-2"},
		{"nothing", prints("\n"), "fail: nvidia-smi tells no compute capability"},
		{"an old driver", []Output{{ExitCode: 2, Stdout: readTestdata(t, "nvidia/query-field-unknown-470.rc2.stdout.txt")}},
			"fail: this nvidia-smi does not know compute capabilities: it needs the driver 510 or newer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &NvidiaSMI{ComputeCapability: expects(t, String, map[string]any{"ge": 8.0})}
			checkTold(t, n.Evaluate(t.Context(), fakeGuest(t, nil, script{query: tt.out})), "compute-capability "+tt.want+"\n")
		})
	}
}

func TestTablesOfManyDriversAreSearchedWhole(t *testing.T) {
	files, err := filepath.Glob("testdata/nvidia/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, file := range files {
		table := readTestdata(t, "nvidia/"+filepath.Base(file))
		if !bytes.Contains(table, []byte("MiB /")) {
			continue
		}
		tables++
		t.Run(filepath.Base(file), func(t *testing.T) {
			sys := fakeGuest(t, nil, script{"nvidia-smi": prints(string(table))})
			n := &NvidiaSMI{Output: expects(t, Text, map[string]any{"and": []any{
				map[string]any{"have-len": int64(len(table))},
				map[string]any{"have-patterns": []any{`/\d+MiB +\/ +\d+MiB/`, "GPU-Util"}},
			}})}
			checkTold(t, n.Evaluate(t.Context(), sys), "output pass\n")
		})
	}
	if tables < 13 {
		t.Errorf("only %d tables", tables)
	}
}

func TestNvidiaTableIsPrintedOnlyWhenAsserted(t *testing.T) {
	query := script{"nvidia-smi -q -x": prints(nvidiaXML("<gpu></gpu>"))}
	n := &NvidiaSMI{GPUs: expects(t, List, map[string]any{"have-len": int64(1)})}
	checkTold(t, n.Evaluate(t.Context(), fakeGuest(t, nil, query)), "gpus pass\n")

	table := script{"nvidia-smi": prints(string(readTestdata(t, "nvidia/535.183.06-cuda-ERR.txt")))}
	n = &NvidiaSMI{Output: expects(t, Text, []any{"CUDA Version: ERR!"})}
	checkTold(t, n.Evaluate(t.Context(), fakeGuest(t, nil, table)), "output pass\n")
}

func TestNvidiaTableThatIsCutOffIsNotBelieved(t *testing.T) {
	sys := fakeGuest(t, nil, script{"nvidia-smi": {{Stdout: []byte("x"), Truncated: true}}})
	n := &NvidiaSMI{Output: expects(t, Text, []any{"!ERR!"})}
	checkTold(t, n.Evaluate(t.Context(), sys), "output error: it printed more than can be looked at\n")
}

func TestNvidiaVersionsThatAreNotTold(t *testing.T) {
	sys := fakeGuest(t, nil, script{"nvidia-smi -q -x": prints(nvidiaXML("<cuda_version>N/A</cuda_version><gpu></gpu>"))})
	n := &NvidiaSMI{
		DriverVersion: expects(t, String, map[string]any{"not": "1"}),
		CUDAVersion:   expects(t, String, map[string]any{"not": "1"}),
	}
	checkTold(t, n.Evaluate(t.Context(), sys),
		"driver-version fail: nvidia-smi does not tell the property driver-version\ncuda-version fail: nvidia-smi does not tell the property cuda-version\n")
}

func TestNvidiaFailuresAreToldApart(t *testing.T) {
	file := func(name string, code int, toStdout bool) []Output {
		text := readTestdata(t, "nvidia/"+name+".txt")
		if toStdout {
			return []Output{{ExitCode: code, Stdout: text}}
		}
		return []Output{{ExitCode: code, Stderr: text}}
	}
	const driver = "the NVIDIA driver is not loaded: load its kernel module, in a container that of the host"
	const mismatch = "the loaded driver and the NVIDIA library are of different versions: " +
		"install the library of the driver's version, or load the driver again"
	tests := []struct {
		name    string
		out     []Output
		verdict Verdict
		want    string
	}{
		{"no program", notFound(), Fail, "no nvidia-smi in the guest"},
		{"no driver", file("driver-not-loaded.rc9", 9, false), Fail, driver},
		{"no driver, by the code", exits(9, ""), Fail, driver},
		{"no library", file("libnvidia-ml-not-found.rc12", 12, true), Fail,
			"the library libnvidia-ml.so is missing: install the driver's libraries, or give the container nvidia.runtime"},
		{"another library", file("nvml-version-mismatch-570.rc18.stdout", 18, true), Fail, mismatch + " (the library is 570.124)"},
		{"another library that is not told", exits(18, ""), Fail, mismatch},
		{"no device", file("no-devices-found.rc6", 6, false), Fail, "no NVIDIA device was found: give the guest a GPU that the driver supports"},
		{"no device, called a success", file("no-devices-found.rc6", 0, true), Fail,
			"no NVIDIA device was found: give the guest a GPU that the driver supports"},
		{"no permission", exits(4, "Failed to initialize NVML: Insufficient Permissions\n"), Fail,
			"nvidia-smi may not use the GPUs: see who may open /dev/nvidia0 and /dev/nvidiactl"},
		{"an unknown error", []Output{{ExitCode: 255, Stdout: []byte("Failed to initialize NVML: Unknown Error\n")}}, Error,
			"the NVIDIA library cannot reach the driver, by an unknown error: in a container, see that its cgroup may use the devices"},
		{"a lost GPU", file("gpu-lost.rc15", 15, true), Error, "a GPU is lost, it has fallen off the bus: restart its host"},
		{"a silent GPU", file("device-handle-unknown", 255, true), Error, "a GPU does not answer: reset it, or restart its host"},
		{"a corrupted GPU, after a report", []Output{{ExitCode: 14, Stdout: []byte(nvidiaXML("<gpu></gpu>"))}}, Error,
			"a GPU's infoROM is corrupted: have the card repaired"},
		{"a loader that misses a library", exits(127, "nvidia-smi: error while loading shared libraries"), Fail,
			"nvidia-smi misses a shared library: install what it was built for"},
		{"anything else", exits(99, "of which nobody knows"), Fail, "nvidia-smi: exit 99"},
		{"nothing printed", prints(""), Fail, "nvidia-smi printed no XML"},
		{"fewer GPUs than there are", prints(string(readTestdata(t, "nvidia/telegraf-a100-sxm4-v12.xml"))), Fail,
			"nvidia-smi counts 4 attached GPUs and describes 1: one does not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, nil, script{"nvidia-smi -q -x": tt.out})
			n := &NvidiaSMI{
				GPUs:          expects(t, List, map[string]any{"have-len": int64(0)}),
				DriverVersion: expects(t, String, map[string]any{"not": "1"}),
			}
			list := n.Evaluate(t.Context(), sys)
			checkTold(t, list, fmt.Sprintf("gpus %s: %s\ndriver-version %[1]s: %[2]s\n", tt.verdict, tt.want))
			for _, out := range tt.out {
				if printed := strings.TrimSpace(out.printed()); len(printed) < maxOutput && list[0].Output != printed {
					t.Errorf("output %q, want %q", list[0].Output, printed)
				}
			}
		})
	}
}

// Both versions are named where the guest can tell them.
func TestNvidiaVersionsThatDifferAreNamed(t *testing.T) {
	for name, module := range map[string]string{
		"closed": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version: 12\n",
		"open":   "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.183.01  Release Build\n",
	} {
		t.Run(name, func(t *testing.T) {
			sys := fakeGuest(t, nil, script{"nvidia-smi -q -x": {{ExitCode: 18, Stdout: readTestdata(t, "nvidia/nvml-version-mismatch-570.rc18.stdout.txt")}}})
			sys.FS.(fstest.MapFS)["proc/driver/nvidia/version"] = &fstest.MapFile{Data: []byte(module)}
			list := (&NvidiaSMI{Count: expects(t, Int, int64(1))}).Evaluate(t.Context(), sys)
			if !strings.HasSuffix(list[0].Message, "(the driver is 535.183.01, the library 570.124)") {
				t.Error(list[0].Message)
			}
		})
	}
}

func TestReportOnVeryManyGPUsIsCompletedByTheirNames(t *testing.T) {
	report := nvidiaXML("<driver_version>550.54.14</driver_version><attached_gpus>2</attached_gpus><gpu><product_name>H100</product_name>")
	sys := fakeGuest(t, nil, script{
		"nvidia-smi -q -x": {{Stdout: []byte(report[:len(report)-20]), Truncated: true}},
		"nvidia-smi --query-gpu=name --format=csv,noheader": prints("H100\nH200\n"),
	})
	n := &NvidiaSMI{
		GPUs:          expects(t, List, []any{"H100", "H200"}),
		DriverVersion: expects(t, String, "550.54.14"),
		Memory:        expects(t, Size, map[string]any{"ge": "1GiB"}),
		Report:        expects(t, Text, []any{"!lost"}),
	}
	checkTold(t, n.Evaluate(t.Context(), sys), "gpus pass\ndriver-version pass\n"+
		"memory error: it printed more than can be looked at\nreport error: it printed more than can be looked at\n")
}
