package runner

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

func TestOnlyAStaticProgramServesAsProbe(t *testing.T) {
	for _, tt := range []struct {
		path   string
		static bool
	}{{"/bin/busybox", true}, {"/bin/ls", false}, {"/etc/passwd", false}} {
		t.Run(tt.path, func(t *testing.T) {
			data, err := os.ReadFile(tt.path)
			if err != nil {
				t.Fatalf("%v; .ci/setup installs busybox-static", err)
			}
			if got := isStatic(data); got != tt.static {
				t.Errorf("static: %v", got)
			}
		})
	}
}

func TestAnArchitectureWithoutProbeIsNamed(t *testing.T) {
	_, err := FindProbe("riscv64")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
