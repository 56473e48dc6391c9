// Package images holds the specs that icepak brings along, one file a
// distribution.
package images

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml common/*.yaml
var files embed.FS

// FS returns the built-in specs: one YAML file a distribution at its top.
func FS() fs.FS { return files }
