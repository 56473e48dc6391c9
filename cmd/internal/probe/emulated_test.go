//go:build linux && amd64

package probe_test

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/probe"
	"github.com/upmaru/icepak/cmd/internal/probe/embedded"
	"github.com/upmaru/icepak/spec"
)

// qemu returns the program that runs those of arm64 here. Commands that they start
// are this machine's own.
func qemu(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		t.Fatalf("%v (run .ci/setup)", err)
	}
	return path
}

// All tests of the resource types and matchers hold on arm64, too.
func TestTheChecksOwnTestsPassOnArm64(t *testing.T) {
	// Some tests look for this process by its name, which those of this machine have not.
	emulator, program := qemu(t), filepath.Join(t.TempDir(), "arm64.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-trimpath", "-o", program, ".")
	build.Dir = "../../../checks"
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if f, err := elf.Open(program); err != nil || f.Machine != elf.EM_AARCH64 {
		t.Fatalf("built %+v, %v", f, err)
	}
	test := exec.CommandContext(t.Context(), emulator, program, "-test.timeout", "5m")
	test.Dir = build.Dir
	if out, err := test.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// What a spec says of a machine does not depend on the architecture of the probe.
func TestTheProbesOfBothArchitecturesSayTheSame(t *testing.T) {
	native, arm64 := []string{unpack(t, "amd64")}, []string{qemu(t), unpack(t, "arm64")}
	examples, err := filepath.Glob("../../../examples/*.yaml")
	if err != nil || len(examples) == 0 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, file := range append(examples, "testdata/emulated.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s, err := spec.Load(file, spec.Options{Vars: local(t)})
			if err != nil {
				t.Fatal(err)
			}
			plan := probe.Plan{Protocol: probe.Protocol, Token: "t", Timeout: 2 * time.Minute}
			for _, c := range s.Checks {
				if c.Items = harmless(t, file, c.Items); len(c.Items) > 0 {
					plan.Checks = append(plan.Checks, c.Check)
				}
			}
			want, got := verdicts(t, "amd64", native, plan), verdicts(t, "arm64", arm64, plan)
			for i := range max(len(want), len(got)) {
				if i >= len(want) || i >= len(got) || want[i] != got[i] {
					t.Fatalf("on amd64:\n%q\non arm64:\n%q", want[min(i, len(want)):], got[min(i, len(got)):])
				}
			}
		})
	}
}

// unpack writes the probe for the architecture to a file, as make probes builds it.
func unpack(t *testing.T, arch string) string {
	t.Helper()
	data, err := embedded.Probe(arch)
	if err != nil {
		t.Fatalf("%v; make probes builds it", err)
	}
	path := filepath.Join(t.TempDir(), "icepak-probe-"+arch)
	if err := os.WriteFile(path, data, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// local are variables that name a server on this machine, and this process.
func local(t *testing.T) map[string]any {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "hello\n")
	}))
	t.Cleanup(web.Close)
	addr := web.Listener.Addr().(*net.TCPAddr)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"server": addr.String(), "port": addr.Port, "process": filepath.Base(self)}
}

// harmless leaves out what an example does to a machine or asks of others.
func harmless(t *testing.T, file string, items []checks.Item) []checks.Item {
	t.Helper()
	example := filepath.Base(filepath.Dir(file)) == "examples"
	return slices.DeleteFunc(items, func(item checks.Item) bool {
		raw, err := json.Marshal(item.Resource)
		if err != nil {
			t.Fatal(err)
		}
		var does struct {
			Install bool `json:"install"`
			Start   bool `json:"start"`
		}
		if err := json.Unmarshal(raw, &does); err != nil {
			t.Fatal(err)
		}
		elsewhere := slices.Contains([]string{"addr", "dns", "http", "network"}, item.Type)
		changes := item.Type == "boot" // a machine that is tested on is not at rest
		return does.Install || does.Start || changes || example && elsewhere
	})
}

// verdicts has a probe carry the plan out, and returns what it says of each property.
func verdicts(t *testing.T, arch string, program []string, plan probe.Plan) []string {
	t.Helper()
	in, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program[0], program[1:]...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", arch, err)
	}
	var said []string
	err = probe.Read(bytes.NewReader(out), "t", func(e probe.Event) {
		switch {
		case e.Kind == probe.Hello && e.Arch != arch:
			t.Fatalf("the probe is of %s", e.Arch)
		case e.Kind == probe.Result:
			r := e.Result
			said = append(said, fmt.Sprintf("%s %s %s %s: %s", e.Check, r.Type, r.ID, r.Property, r.Verdict))
		case e.Kind == probe.Checked:
			said = append(said, fmt.Sprintf("%s: %s", e.Check, e.Outcome.Verdict))
		}
	})
	if err != nil || len(said) < len(plan.Checks) {
		t.Fatalf("%s: said %q, %v", arch, said, err)
	}
	return said
}
