package checks

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestNvidiaReportsOfManyDrivers(t *testing.T) {
	tests := []struct {
		file         string
		driver, cuda string
		attached     int
		gpu          string
	}{
		{"a10g", "515.105.01", "11.7", 1, "NVIDIA A10G"},
		{"quadro-p400", "418.43", "10.1", 1, "Quadro P400"},
		{"gtx-1070-ti", "", "", -1, "GeForce GTX 1070 Ti"},
		{"a100-sxm4-v12", "535.54.03", "12.2", 4, "NVIDIA A100-SXM4-80GB"},
		{"rtx-4000-sff-ada-v13", "595.84", "13.2", 1, "NVIDIA RTX 4000 SFF Ada Generation"},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			got, err := parseNvidiaReport(readTestdata(t, "nvidia/telegraf-"+tt.file+".xml"))
			if err != nil {
				t.Fatal(err)
			}
			if got.driver != tt.driver || got.cuda != tt.cuda || got.attached != tt.attached || !slices.Equal(got.gpus, []string{tt.gpu}) {
				t.Errorf("got %+v", got)
			}
		})
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
		{"crossed elements", nvidiaXML("<a><b></a></b>"), "  [] nvidia-smi printed broken XML"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := parseNvidiaReport([]byte(tt.out))
			got := fmt.Sprint(r.driver, " ", r.cuda, " ", r.gpus, " ", err)
			if got != tt.want && (!strings.HasSuffix(tt.want, ": ") || !strings.HasPrefix(got, tt.want)) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzParseNvidiaReport(f *testing.F) {
	f.Add(readTestdata(f, "nvidia/telegraf-gtx-1070-ti.xml"))
	f.Add([]byte(nvidiaXML("<attached_gpus>1</attached_gpus><gpu><product_name>x</product_name></gpu>")))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, _ := parseNvidiaReport(data)
		if n := bytes.Count(data, []byte("<")); len(r.gpus) > n {
			t.Errorf("%d GPUs of %d elements", len(r.gpus), n)
		}
		if r.attached < -1 {
			t.Errorf("%d GPUs attached", r.attached)
		}
	})
}

func TestNvidiaProperties(t *testing.T) {
	const query, table = "nvidia-smi -q -x", "nvidia-smi"
	sys := fakeGuest(t, nil, script{
		query: prints(string(readTestdata(t, "nvidia/telegraf-rtx-4000-sff-ada-v13.xml"))),
		table: prints(string(readTestdata(t, "nvidia/l40s__595.80.idle.txt"))),
	})
	n := &NvidiaSMI{
		GPUs:          expects(t, List, map[string]any{"contain-element": map[string]any{"match-regexp": "RTX 4000"}}),
		DriverVersion: expects(t, String, map[string]any{"semver-constraint": ">=550.0.0"}),
		CUDAVersion:   expects(t, String, "13.2"),
		Output:        expects(t, Text, []any{"/CUDA Version: +13/"}),
	}
	checkTold(t, n.Evaluate(t.Context(), sys), "gpus pass\ndriver-version pass\ncuda-version pass\noutput pass\n")
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
		"driver-version fail: nvidia-smi tells no driver version\ncuda-version fail: nvidia-smi tells no CUDA version\n")
}

func TestNvidiaFailuresAreToldApart(t *testing.T) {
	file := func(name string, code int, toStdout bool) []Output {
		text := readTestdata(t, "nvidia/"+name+".txt")
		if toStdout {
			return []Output{{ExitCode: code, Stdout: text}}
		}
		return []Output{{ExitCode: code, Stderr: text}}
	}
	tests := []struct {
		name string
		out  []Output
		want string
	}{
		{"no program", notFound(), "no nvidia-smi in the guest"},
		{"no driver", file("driver-not-loaded.rc9", 9, false), "the NVIDIA driver is not loaded"},
		{"no driver, by the code", exits(9, ""), "the NVIDIA driver is not loaded"},
		{"no library", file("libnvidia-ml-not-found.rc12", 12, true), "the library libnvidia-ml.so is missing"},
		{"another library", file("nvml-version-mismatch-570.rc18.stdout", 18, true),
			"the loaded driver and the NVIDIA library are of different versions"},
		{"no device", file("no-devices-found.rc6", 6, false), "no NVIDIA device was found"},
		{"no device, called a success", file("no-devices-found.rc6", 0, true), "no NVIDIA device was found"},
		{"a lost GPU", file("gpu-lost.rc15", 15, true), "a GPU is lost: it has fallen off the bus"},
		{"a silent GPU", file("device-handle-unknown", 255, true), "a GPU does not answer"},
		{"a corrupted GPU, after a report", []Output{{ExitCode: 14, Stdout: []byte(nvidiaXML("<gpu></gpu>"))}}, "a GPU's infoROM is corrupted"},
		{"anything else", exits(127, "nvidia-smi: error while loading shared libraries"), "nvidia-smi: exit 127"},
		{"nothing printed", prints(""), "nvidia-smi printed no XML"},
		{"fewer GPUs than there are", prints(string(readTestdata(t, "nvidia/telegraf-a100-sxm4-v12.xml"))),
			"nvidia-smi counts 4 attached GPUs and describes 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, nil, script{"nvidia-smi -q -x": tt.out})
			n := &NvidiaSMI{
				GPUs:          expects(t, List, map[string]any{"have-len": int64(0)}),
				DriverVersion: expects(t, String, map[string]any{"not": "1"}),
			}
			list := n.Evaluate(t.Context(), sys)
			checkTold(t, list, "gpus fail: "+tt.want+"\ndriver-version fail: "+tt.want+"\n")
			for _, out := range tt.out {
				if printed := strings.TrimSpace(out.printed()); len(printed) < maxOutput && list[0].Output != printed {
					t.Errorf("output %q, want %q", list[0].Output, printed)
				}
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
	}
	checkTold(t, n.Evaluate(t.Context(), sys), "gpus pass\ndriver-version pass\n")
}
