package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// productOptions name a version of a product by its parts, as Icepak 1 did.
type productOptions struct {
	serial  string
	os      string
	arch    string
	release string
	variant string
}

func (o *productOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.serial, "serial", "", "the version's `serial`, such as 20261122-01")
	f.StringVar(&o.os, "os", "", "the product's operating `system`, such as debian")
	f.StringVar(&o.arch, "arch", "", "the product's `architecture`: amd64 (or x86_64), arm64 (or aarch64)")
	f.StringVar(&o.release, "release", "", "the product's `release`, such as bookworm")
	f.StringVar(&o.variant, "variant", "default", "the product's `variant`")
}

// key is the product's key, once nothing is missing.
func (o *productOptions) key() (string, error) {
	var missing []string
	for _, f := range []struct{ name, value string }{
		{"--serial", o.serial}, {"--os", o.os}, {"--arch", o.arch}, {"--release", o.release}, {"--variant", o.variant},
	} {
		switch {
		case f.value == "":
			missing = append(missing, f.name)
		case f.name != "--serial" && strings.Contains(f.value, ":"):
			return "", usagef("%s: %q has a colon, which parts the names of a product", f.name, f.value)
		}
	}
	if len(missing) > 0 {
		return "", usagef("missing: %s", strings.Join(missing, ", "))
	}
	if arch := simplestreams.Arch(o.arch); arch != "amd64" && arch != "arm64" {
		return "", usageError{err: fmt.Errorf("--arch: want amd64, x86_64, arm64 or aarch64, got %q", o.arch)}
	}
	return simplestreams.Canonical(strings.Join([]string{o.os, o.release, o.arch, o.variant}, ":")), nil
}
