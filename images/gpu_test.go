package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/spec"
)

// gpuCommand is the only command of the check gpu.
func gpuCommand(t *testing.T) string {
	t.Helper()
	s, err := spec.LoadFS(FS(), "common/gpu.yaml", spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Checks) != 1 || s.Checks[0].Name != "gpu" || s.Checks[0].When.GPU != "any" || len(s.Checks[0].Items) != 1 {
		t.Fatalf("got %+v", s.Checks)
	}
	return s.Checks[0].Items[0].Resource.(*checks.CommandResource).Exec
}

// The command is run by the shell of this machine, on folders that stand for the
// guest's /dev and /lib, with devices and programs that are made up.
func TestTheGPUCheckPassesOnlyWhereAGPUCanBeUsed(t *testing.T) {
	const seen = "echo GPU 0: NVIDIA L40S"
	for _, tt := range []struct {
		name     string
		devices  string
		files    string
		programs map[string]string
		pass     bool
	}{
		{"nothing", "", "", nil, false},
		{"NVIDIA", "nvidiactl nvidia0", "", map[string]string{"nvidia-smi": seen}, true},
		{"NVIDIA, no program", "nvidiactl nvidia0", "", nil, false},
		{"NVIDIA, which sees none", "nvidiactl", "", map[string]string{"nvidia-smi": "echo No devices found."}, false},
		{"NVIDIA, whose driver fails", "nvidiactl nvidia0", "", map[string]string{"nvidia-smi": "echo NVIDIA-SMI has failed; exit 9"}, false},
		{"NVIDIA on musl", "nvidiactl nvidia0", "lib/ld-musl-x86_64.so.1", nil, true},
		{"NVIDIA on musl, no device", "nvidiactl", "lib/ld-musl-x86_64.so.1", nil, false},
		{"AMD", "kfd dri/renderD128", "", nil, true},
		{"AMD without compute", "dri/renderD128", "", nil, true},
		{"AMD with its tool", "kfd dri/renderD128", "", map[string]string{"amd-smi": "echo GPU: 0"}, true},
		{"AMD whose tool sees none", "kfd dri/renderD128", "", map[string]string{"amd-smi": "exit 255"}, false},
		{"both, one of which fails", "nvidiactl nvidia0 kfd", "", map[string]string{"nvidia-smi": "exit 9"}, false},
		{"a file in a device's place", "", "dev/kfd", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for _, dir := range []string{"dev/dri", "lib", "bin"} {
				if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, device := range strings.Fields(tt.devices) {
				if err := os.Symlink("/dev/null", filepath.Join(root, "dev", device)); err != nil {
					t.Fatal(err)
				}
			}
			for _, file := range strings.Fields(tt.files) {
				if err := os.WriteFile(filepath.Join(root, file), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for name, body := range tt.programs {
				if err := os.WriteFile(filepath.Join(root, "bin", name), []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			script := strings.NewReplacer("/dev/", root+"/dev/", "/lib/", root+"/lib/").Replace(gpuCommand(t))
			cmd := exec.Command("/bin/sh", "-c", script)
			cmd.Env = []string{"PATH=" + root + "/bin:/usr/bin:/bin"}
			out, err := cmd.CombinedOutput()
			if (err == nil) != tt.pass {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
