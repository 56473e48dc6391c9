package checks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Shaped as amd-smi 26 prints them; of a machine with two GPUs.
const (
	amdMetric = `[
  {"gpu": 0, "power": {"socket_power": {"value": 141, "unit": "W"}},
   "temperature": {"edge": "N/A", "hotspot": {"value": 48, "unit": "C"}, "mem": {"value": 52, "unit": "C"}},
   "ecc": {"total_correctable_count": 7, "total_uncorrectable_count": 0}},
  {"gpu": 1, "power": {"socket_power": {"value": 139, "unit": "W"}},
   "temperature": {"edge": {"value": 40, "unit": "C"}, "hotspot": {"value": 61, "unit": "C"}, "mem": "N/A"},
   "ecc": {"total_correctable_count": 0, "total_uncorrectable_count": 2}}
]`
	amdProcesses = `[{"gpu": 0, "process_list": [{"process_info": "No running processes detected"}]},
 {"gpu": 1, "process_list": [{"process_info": {"name": "python3", "pid": 42}}, {"process_info": {"name": "x", "pid": 43}}]}]`
)

// checkEach looks at each property of a tool by itself, which is to hold.
func checkEach(t *testing.T, sys *System, typ string, properties map[string]any) {
	t.Helper()
	for property, v := range properties {
		t.Run(property, func(t *testing.T) {
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			item, err := NewItem(typ, "")
			if err != nil {
				t.Fatal(err)
			}
			setProperty(t, item.Resource, property, string(text))
			checkTold(t, item.Resource.Evaluate(t.Context(), sys), property+" pass\n")
		})
	}
}

func TestAMDProperties(t *testing.T) {
	sys := fakeGuest(t, nil, script{
		"amd-smi static --json":  prints("WARNING: [deprecated] something\n[not json]\n" + string(readTestdata(t, "amd/amd-smi-static-json.1.json"))),
		"amd-smi version":        prints(string(readTestdata(t, "amd/amd-smi-version.26.2.0.txt"))),
		"amd-smi metric --json":  prints(amdMetric),
		"amd-smi process --json": prints(amdProcesses),
	})
	checkEach(t, sys, "amd-smi", map[string]any{
		"gpus":           []any{"AMD Instinct MI210"},
		"count":          1,
		"driver-version": "6.14.0-24-generic",
		"rocm-version":   map[string]any{"semver-constraint": ">=7.0.0"},
		"gfx":            []any{"gfx90a"},
		"memory":         map[string]any{"and": []any{map[string]any{"gt": "63GiB"}, map[string]any{"lt": "64GiB"}}},
		"ecc":            []any{"ENABLED"},
		"ecc-errors":     2,
		"temperature":    61,
		"power":          280,
		"processes":      2,
		"report":         map[string]any{"gjson": map[string]any{"gpus.0.bus.pcie_interface_version": "Gen 4", "gpus.#": 1}},
	})
}

// amd-smi is run only for what is asserted: some of it takes seconds.
func TestAMDIsAskedOnlyForWhatIsAsserted(t *testing.T) {
	sys := fakeGuest(t, nil, script{"amd-smi version": prints("AMDSMI Tool: 24.6.2 | ROCm version: N/A\n")})
	a := &AMDSMI{ROCmVersion: expects(t, String, "7.1.1")}
	checkTold(t, a.Evaluate(t.Context(), sys), "rocm-version fail: amd-smi does not tell the property rocm-version\n")
}

func TestAMDPropertiesThatAreNotTold(t *testing.T) {
	sys := fakeGuest(t, nil, script{
		"amd-smi static --json": prints(`{"gpu_data": [{"gpu": 0, "asic": {"market_name": "N/A"}, "driver": "N/A", "vram": {"size": "N/A"}}], "cpu_data": []}`),
		"amd-smi metric --json": prints(`[{"gpu": 0, "temperature": "N/A", "ecc": {"total_uncorrectable_count": "N/A"}}, {"cpu": 0}]`),
	})
	number := map[string]any{"lt": int64(100)}
	a := &AMDSMI{
		GPUs: expects(t, List, []any{"unknown"}), DriverVersion: expects(t, String, "1"), GFX: expects(t, List, []any{"x"}),
		Memory: expects(t, Size, number), ECCErrors: expects(t, Int, number), Temperature: expects(t, Int, number),
	}
	checkTold(t, a.Evaluate(t.Context(), sys), "gpus pass\n"+
		"driver-version fail: amd-smi does not tell the property driver-version\n"+
		"gfx fail: amd-smi does not tell the property gfx of GPU 0, unknown\n"+
		"memory fail: amd-smi does not tell the property memory of GPU 0, unknown\n"+
		"ecc-errors fail: amd-smi does not tell the property ecc-errors of GPU 0, unknown\n"+
		"temperature fail: amd-smi does not tell the property temperature of GPU 0, unknown\n")
}

func TestAMDFailuresAreToldApart(t *testing.T) {
	const driver = "the amdgpu driver is not loaded: load its kernel module, in a container that of the host"
	const none = "no AMD GPU was found: give the guest one that the amdgpu driver supports"
	const permission = "no permission to use the GPUs: see who may open /dev/kfd and /dev/dri, as the groups render and video"
	for _, tt := range []struct {
		name string
		out  []Output
		want string
	}{
		{"no program", notFound(), "no TOOL in the guest"},
		{"no driver", exits(255, string(readTestdata(t, "amd/amd-smi-no-driver.txt"))), driver},
		{"no driver, called a success", exits(0, string(readTestdata(t, "amd/rocm-smi-no-driver.rc0.txt"))), driver},
		{"no driver, on the other stream", prints(string(readTestdata(t, "amd/rocm-smi-no-driver.rc0.txt"))), driver},
		{"no device", exits(1, "ERROR:root:Unable to detect any GPU devices\n"), none},
		{"no permission", exits(1, "Error opening /dev/kfd: Permission denied\n"), permission},
		{"no permission, of the library", exits(2, "amdsmi_exception.AmdSmiLibraryException: Error code:\n\t10 | AMDSMI_STATUS_NO_PERM\n"), permission},
		{"no module", exits(1, "ModuleNotFoundError: No module named 'amdsmi'\n"), "the Python module amdsmi is missing: install the package amd-smi-lib"},
		{"anything else", exits(3, "of which nobody knows"), "TOOL: exit 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, nil, script{"amd-smi static --json": tt.out, rocmCommand: tt.out})
			count := expects(t, Int, int64(0))
			for tool, r := range map[string]Resource{"amd-smi": &AMDSMI{Count: count}, "rocm-smi": &ROCmSMI{Count: count}} {
				checkTold(t, r.Evaluate(t.Context(), sys), "count fail: "+strings.ReplaceAll(tt.want, "TOOL", tool)+"\n")
			}
		})
	}
}

func TestOddAMDOutput(t *testing.T) {
	for _, tt := range []struct{ name, out, want string }{
		{"nothing", "", "it printed no JSON"},
		{"no JSON", "GPU: 0\n  ASIC: x\n", "it printed no JSON"},
		{"cut off", `[{"gpu": 0,`, "it printed no JSON"},
		{"an empty list", "[]", none},
		{"another object", `{"version": 1}`, "it printed JSON of another kind"},
		{"a list of others", "[1]", "it printed JSON of another kind"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, nil, script{"amd-smi static --json": prints(tt.out)})
			want := "amd-smi static: " + tt.want
			if tt.want == none {
				want = noAMDDevice
			}
			a := &AMDSMI{Count: expects(t, Int, int64(0))}
			checkTold(t, a.Evaluate(t.Context(), sys), "count fail: "+want+"\n")
		})
	}
}

const none = "no device"

// The tools are found in ROCm's own folder, which few have on their PATH.
func TestAMDToolsInROCmsFolder(t *testing.T) {
	sys := fakeGuest(t, []string{"opt/rocm/bin/amd-smi"}, script{"/opt/rocm/bin/amd-smi process --json": prints(amdProcesses)})
	a := &AMDSMI{Processes: expects(t, Int, int64(2))}
	checkTold(t, a.Evaluate(t.Context(), sys), "processes pass\n")
}

const (
	rocmCommand   = "rocm-smi --showproductname --showmeminfo vram --showdriverversion --showtemp --showpower --json"
	rocmProcesses = "rocm-smi --showpids --json"
)

func TestROCmReportsOfManyVersions(t *testing.T) {
	for _, tt := range []struct {
		file, driver string
		count        int
		facts        string
	}{
		{"mi100_rocm602", "6.3.6", 4, "map[memory:3.4342961152e+10 name:Arcturus GL-XL [Instinct MI100] power:36 temperature:55]"},
		{"rx6700xt_rocm571", "6.3.6", 1, "map[memory:1.2868124672e+10 name:Navi 22 [Radeon RX 6700/6700 XT / 6800M] power:6 temperature:47]"},
		{"vega-10-XT", "5.9.25", 1, "map[memory:1.7163091968e+10 name:0xc1e power:15 temperature:92]"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			r, err := parseROCm(Output{Stdout: readTestdata(t, "amd/telegraf-"+tt.file+".json")})
			if err != nil || len(r.gpus) != tt.count || toldOf(r, "driver-version") != tt.driver {
				t.Fatalf("%d GPUs, %v, %v", len(r.gpus), r.all, err)
			}
			if got := fmt.Sprint(map[string]any(r.gpus[0])); got != tt.facts {
				t.Errorf("got  %s\nwant %s", got, tt.facts)
			}
		})
	}
}

func TestROCmProperties(t *testing.T) {
	sys := fakeGuest(t, nil, script{
		rocmCommand:   prints(string(readTestdata(t, "amd/telegraf-mi100_rocm602.json"))),
		rocmProcesses: prints(`{"system": {"PID42": "python3, 1, 0, 0, unknown", "PID43": "x, 1, 0, 0, unknown"}}`),
	})
	checkEach(t, sys, "rocm-smi", map[string]any{
		"gpus":           map[string]any{"have-len": 4},
		"count":          4,
		"driver-version": "6.3.6",
		"memory":         map[string]any{"ge": "31GiB"},
		"temperature":    58,
		"power":          map[string]any{"lt": 300},
		"processes":      2,
		"report":         map[string]any{"gjson": map[string]any{"gpus.0.PCI Bus": "0000:83:00.0"}},
	})
	c := &ROCmSMI{GFX: expects(t, List, []any{"gfx908"})}
	checkTold(t, c.Evaluate(t.Context(), sys),
		"gfx fail: rocm-smi does not tell the property gfx of GPU 0, Arcturus GL-XL [Instinct MI100]\n")

	newer := fakeGuest(t, nil, script{rocmCommand: prints(`{"card0": {"Card Series": "AMD Instinct MI300X", "GFX Version": "gfx942"}}`)})
	c = &ROCmSMI{GFX: expects(t, List, []any{"gfx942"}), GPUs: expects(t, List, []any{"AMD Instinct MI300X"})}
	checkTold(t, c.Evaluate(t.Context(), newer), "gpus pass\ngfx pass\n")
}

func TestROCmWithoutProcesses(t *testing.T) {
	for _, out := range []string{"No KFD PIDs currently running\n", "WARNING: No JSON data to report\n", `{"system": {}}`} {
		c := &ROCmSMI{Processes: expects(t, Int, int64(0))}
		checkTold(t, c.Evaluate(t.Context(), fakeGuest(t, nil, script{rocmProcesses: prints(out)})), "processes pass\n")
	}
	c := &ROCmSMI{Processes: expects(t, Int, int64(0))}
	checkTold(t, c.Evaluate(t.Context(), fakeGuest(t, nil, script{rocmProcesses: prints("anything\n")})),
		"processes fail: rocm-smi --showpids: it printed no JSON\n")
}

func FuzzAMDOutput(f *testing.F) {
	f.Add(readTestdata(f, "amd/amd-smi-static-json.1.json"))
	f.Add(readTestdata(f, "amd/telegraf-rx6700xt_rocm571.json"))
	f.Add([]byte(amdMetric))
	f.Add([]byte(amdProcesses))
	f.Add([]byte("warning\n  {\"card0\": {\"Card series\": \"N/A\"}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func(Output) (*gpuReport, error){parseAMD, parseROCm, parseROCmProcesses} {
			r, err := parse(Output{Stdout: data})
			if err != nil {
				continue
			}
			if len(r.names()) != len(r.gpus) || len(r.gpus) > len(data) {
				t.Errorf("%d GPUs", len(r.gpus))
			}
			if _, err := r.property("report"); err != nil {
				t.Error(err)
			}
		}
		versionAfter(string(data), "ROCm version:")
	})
}
