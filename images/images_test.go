package images

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/upmaru/icepak/spec"
)

// products are real ones, of the releases that are supported: a line for each
// distribution, of its releases, architectures and variants.
const products = `
alpine       3.20,3.21,3.22,3.23,edge                     amd64,arm64  default,cloud
alpine       3.16,3.17,3.18,3.19                          amd64        default
debian       bullseye,bookworm,trixie,forky,sid           amd64,arm64  default,cloud
ubuntu       jammy,noble,plucky,questing,resolute         amd64,arm64  default,cloud
centos       9-Stream,10-Stream,9-stream                  amd64,arm64  default,cloud
rockylinux   8,9,10                                       amd64,arm64  default,cloud
almalinux    8,9,10                                       amd64,arm64  default,cloud
fedora       41,42,43,44                                  amd64,arm64  default,cloud
opensuse     15.5,15.6,16.0,tumbleweed                    amd64,arm64  default,cloud
archlinux    current                                      amd64        default,cloud
archlinux    current                                      arm64        default
voidlinux    current                                      amd64,arm64  default,musl
gentoo       current                                      amd64        default,openrc,systemd,cloud
amazonlinux  2,2023,current,2.0.20210525.0                amd64,arm64  default
oracle       7,8,9,10                                     amd64        default,cloud
`

// each calls f for every product of a table.
func each(table string, f func(product string)) {
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) == 4 {
			for _, release := range strings.Split(fields[1], ",") {
				for _, arch := range strings.Split(fields[2], ",") {
					for _, variant := range strings.Split(fields[3], ",") {
						f(strings.Join([]string{fields[0], release, arch, variant}, ":"))
					}
				}
			}
		}
	}
}

// load loads all specs, for a product.
func load(t *testing.T, opts spec.Options) []*spec.Spec {
	t.Helper()
	files, err := fs.Glob(FS(), "*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no specs: %v", err)
	}
	var specs []*spec.Spec
	for _, file := range files {
		s, err := spec.LoadFS(FS(), file, opts)
		if err != nil {
			t.Fatal(err)
		}
		specs = append(specs, s)
	}
	return specs
}

func matching(specs []*spec.Spec, product string) []*spec.Spec {
	return slices.DeleteFunc(slices.Clone(specs), func(s *spec.Spec) bool { return !s.Match(product) })
}

func TestEveryProductHasOneSpecWithTheUsualChecks(t *testing.T) {
	usual := []string{"boot", "dns", "gpu", "hygiene", "ipv4", "ipv6", "package-install", "service-start"}
	specs := load(t, spec.Options{})
	used := make(map[string]bool)
	each(products, func(product string) {
		t.Run(product, func(t *testing.T) {
			found := matching(specs, product)
			if len(found) != 1 {
				t.Fatalf("%d specs match", len(found))
			}
			used[found[0].Path] = true
			s, err := spec.LoadFS(FS(), found[0].Path, spec.Options{Product: product})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range s.Checks {
				names = append(names, c.Name)
			}
			slices.Sort(names)
			if !slices.Equal(names, usual) {
				t.Errorf("checks %v, want %v", names, usual)
			}
		})
	})
	for _, s := range specs {
		if !used[s.Path] {
			t.Errorf("%s is for none of the products", s.Path)
		}
	}
}

// A release that nobody has looked at must not be tested with what another one needs.
func TestAReleaseThatIsNotListedHasNoSpec(t *testing.T) {
	specs := load(t, spec.Options{})
	each(`
alpine      3.9,3.15,4.0,v3.20  amd64  default
alpine      3.22                amd64  tinycloud
debian      buster,12           amd64  default
ubuntu      hoary,24.04         amd64  default
centos      7,6                 amd64  default
fedora      9,39                amd64  default
opensuse    42.3,15.1           amd64  default
rockylinux  8.4,7               amd64  default
devuan      excalibur           amd64  default
`, func(product string) {
		if found := matching(specs, product); len(found) > 0 {
			t.Errorf("%s is for %s", found[0].Path, product)
		}
	})
}

// What comes next is as what is there, where releases are numbers.
func TestTheNextReleasesHaveASpec(t *testing.T) {
	specs := load(t, spec.Options{})
	each(`
alpine      3.24,3.31  amd64  default
centos      11-Stream  amd64  default
fedora      45,60      amd64  default
almalinux   11         amd64  default
opensuse    16.1,17.0  amd64  default
amazonlinux 2025       amd64  default
`, func(product string) {
		if found := matching(specs, product); len(found) != 1 {
			t.Errorf("%s: %d specs match", product, len(found))
		}
	})
}

// Each variable that is there to be set leaves a spec that loads and still has all checks.
func TestTheVariablesMayBeSet(t *testing.T) {
	for _, vars := range []map[string]any{
		{"patience": "1m"}, {"patience": "90s", "boot_time": "30s", "clock": "5s", "install_time": "10m"},
		{"host": "www.example.com", "tls_host": "10.0.0.1:8443"}, {"interface": "enp5s0"},
		{"package": "htop", "service": "sshd", "enabled": "false"}, {"enabled": "true", "certificates": "false"}, {"certificates": "true", "audit": ""},
		{"init": "openrc"}, {"init": "runit", "localhost": "myhostname"}, {"init": "systemd", "localhost": "files"},
	} {
		for _, product := range []string{"", "debian:sid:amd64:cloud"} {
			for _, s := range load(t, spec.Options{Vars: vars, Product: product}) {
				if len(s.Checks) != 8 {
					t.Errorf("%s with %v has %d checks", s.Path, vars, len(s.Checks))
				}
			}
		}
	}
}

func TestVariablesDecideWhatIsAsserted(t *testing.T) {
	for _, tt := range []struct {
		name, check, item, product string
		vars                       map[string]any
		want                       bool
	}{
		{"a name only where one is given", "dns", "dns www.example.com", "", nil, false},
		{"a name that is given", "dns", "dns www.example.com", "", map[string]any{"host": "www.example.com"}, true},
		{"TLS only where a host is given", "hygiene", "http https://tls.example.com/", "", nil, false},
		{"TLS to a host that is given", "hygiene", "http https://tls.example.com/", "", map[string]any{"tls_host": "tls.example.com"}, true},
		{"cloud-init only of what has it", "hygiene", "file /run/cloud-init/result.json", "debian:trixie:amd64:default", nil, false},
		{"cloud-init of a cloud variant", "hygiene", "file /run/cloud-init/result.json", "debian:trixie:amd64:cloud", nil, true},
		{"no bundle of certificates of a small image", "hygiene", "find CA certificates", "debian:trixie:amd64:default", nil, false},
		{"a bundle of certificates where it is asked for", "hygiene", "find CA certificates", "", map[string]any{"certificates": "true"}, true},
		{"HTTP of nginx", "service-start", "http http://127.0.0.1/", "", nil, true},
		{"no HTTP of anything else", "service-start", "http http://127.0.0.1/", "", map[string]any{"service": "cron"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := spec.LoadFS(FS(), "debian.yaml", spec.Options{Vars: tt.vars, Product: tt.product})
			if err != nil {
				t.Fatal(err)
			}
			got := false
			for _, c := range s.Checks {
				for _, item := range c.Items {
					got = got || c.Name == tt.check && item.Type+" "+item.ID == tt.item
				}
			}
			if got != tt.want {
				t.Errorf("%s has %s: %v", tt.check, tt.item, got)
			}
		})
	}
}
