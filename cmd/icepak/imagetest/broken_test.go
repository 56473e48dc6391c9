package imagetest

import (
	"slices"
	"testing"
)

// A breakage is one way in which images break.
type breakage struct {
	name  string
	base  string
	edits []edit
	// fails names the checks that must catch it, and no others, or is image where the
	// guest never gets to its checks.
	fails string
	why   string // a pattern of what must be said of it, which names the edit
	only  string // the checks that are evaluated, where not all: each takes its time
}

// args are what icepak is asked for: little patience, and a name that LXD's server has.
func (b breakage) args() []string {
	args := []string{"--set", "patience=6s", "--set", "boot_time=15s", "--set", "host=_gateway.lxd"}
	if b.only != "" {
		args = append(args, "--check", b.only)
	}
	return args
}

// TestBrokenImagesAreCaught makes broken images of good ones by small edits. Every one
// must fail, by the right check, and be told what is wrong with it.
func TestBrokenImagesAreCaught(t *testing.T) {
	icepak := program(t)
	all := slices.Concat(brokenNetworks(), brokenNames(), brokenPackages(), brokenServices(), brokenBoots(), brokenHygiene())
	for _, name := range baseNames() {
		t.Run(name, func(t *testing.T) {
			b := newBase(t, name)
			b.read(t)
			for _, is := range all {
				if is.base != name {
					continue
				}
				t.Run(is.name, func(t *testing.T) {
					t.Parallel()
					b.test(t, icepak, b.broken(t, is.edits), is.args()...).caught(t, is.fails, is.why)
				})
			}
		})
	}
}

// unit is the edits that add a unit of systemd which is started at the boot.
func unit(name, text string) []edit {
	return []edit{
		file("/etc/systemd/system/"+name, text),
		link("/etc/systemd/system/multi-user.target.wants/"+name, "../"+name),
	}
}
