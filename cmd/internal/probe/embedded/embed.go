// Package embedded holds the probes that icepak brings along. The probe does not import
// it: it would hold itself.
package embedded

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Everything but this file: the placeholder, and the probes once they are built.
//
//go:embed [^e]*
var files embed.FS

// Probe returns the static probe for linux on arch (amd64, arm64), and
// fs.ErrNotExist where this build has none.
func Probe(arch string) ([]byte, error) {
	name := "icepak-probe-linux-" + arch + ".gz"
	packed, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("embedded probe %s: %w", name, err)
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// Architectures lists those that Probe has.
func Architectures() []string {
	var archs []string
	for _, arch := range []string{"amd64", "arm64"} {
		if _, err := fs.Stat(files, "icepak-probe-linux-"+arch+".gz"); err == nil {
			archs = append(archs, arch)
		}
	}
	return archs
}
