// Package embedded holds the probes that icepak brings along. The probe does not import
// it: it would hold itself.
package embedded

import (
	"embed"
	"fmt"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

// Everything but this file: the placeholder, and the probes once they are built.
//
//go:embed [^e]*
var files embed.FS

// Probe returns the static probe for linux on arch (amd64, arm64), and
// fs.ErrNotExist where this build has none.
func Probe(arch string) ([]byte, error) {
	name := "icepak-probe-linux-" + arch + ".zst"
	packed, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("embedded probe %s: %w", name, err)
	}
	defer r.Close()
	data, err := r.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("embedded probe %s: %w", name, err)
	}
	return data, nil
}

// Architectures lists those that Probe has.
func Architectures() []string {
	var archs []string
	for _, arch := range []string{"amd64", "arm64"} {
		if _, err := fs.Stat(files, "icepak-probe-linux-"+arch+".zst"); err == nil {
			archs = append(archs, arch)
		}
	}
	return archs
}
