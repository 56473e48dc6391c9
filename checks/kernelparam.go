package checks

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
)

// KernelParam is a parameter of the kernel's, as sysctl names it.
type KernelParam struct {
	Common
	Name  string  `json:"name,omitempty"`
	Value Matcher `json:"value,omitzero" kind:"string"`
}

// Evaluate reads it from /proc/sys.
func (k *KernelParam) Evaluate(_ context.Context, sys *System) []Result {
	var r results
	r.find("value", k.Value, func() (any, error) {
		data, err := readBounded(sys.FS, paramPath(k.id(k.Name)), maxSystemFile)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, errors.New("the kernel has no such parameter")
		case err != nil:
			return nil, lookError(err)
		}
		return strings.TrimSpace(string(data)), nil
	})
	return r.list
}

// paramPath is the file of a parameter. As with sysctl, the first separator in
// a name tells which of . and / they are; the other one stands for a dot in a
// part, as in net.ipv4.conf.eth0/100.forwarding.
func paramPath(name string) string {
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		name = strings.NewReplacer(".", "/", "/", ".").Replace(name)
	}
	return path.Join("proc/sys", path.Clean("/"+name))
}
