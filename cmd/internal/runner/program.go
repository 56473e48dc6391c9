package runner

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/probe/embedded"
)

// A Program is the probe for some architecture: a static executable, and the
// arguments that make it one.
type Program struct {
	Data []byte
	Args []string
	// File returns the path of a file with it, for servers on this machine to show to
	// their guests. It may be nil.
	File func() (string, error)
}

// FindProbe returns the embedded probe for the architecture, else this very program
// where it can serve as one. The error is fs.ErrNotExist where there is none.
func FindProbe(arch string) (Program, error) {
	data, err := embedded.Probe(arch)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return Program{Data: data}, err
	}
	if runtime.GOOS == "linux" && runtime.GOARCH == arch {
		self, err := os.Executable()
		if err != nil {
			return Program{}, err
		}
		if data, err = os.ReadFile(self); err != nil {
			return Program{}, err
		}
		if isStatic(data) {
			return Program{Data: data, Args: []string{"probe"}}, nil
		}
	}
	brings := "brings none along"
	if archs := embedded.Architectures(); len(archs) > 0 {
		brings = "brings along " + strings.Join(archs, ", ")
	}
	return Program{}, fmt.Errorf("no probe for linux/%s: this icepak %s: %w", arch, brings, fs.ErrNotExist)
}

// isStatic tells whether an ELF executable needs no interpreter: a guest may have
// another C library, or none.
func isStatic(data []byte) bool {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return false
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}
