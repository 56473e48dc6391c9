package simplestreams

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func testFeed(t *testing.T) *Feed {
	t.Helper()
	data, err := os.ReadFile("testdata/images.json")
	if err != nil {
		t.Fatal(err)
	}
	var p Products
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	return &Feed{URL: "https://images.example.com/spaces/s3cr3t", Products: p.Products}
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func TestResolve(t *testing.T) {
	tests := []struct{ what, name, arch, want string }{
		{"a key", "debian:bookworm:amd64:default", "", "debian:bookworm:amd64:default"},
		{"a key in other case", "Debian:Bookworm:AMD64:default", "", "debian:bookworm:amd64:default"},
		{"a key with the kernel's architecture", "debian:bookworm:aarch64:default", "amd64", "debian:bookworm:arm64:default"},
		{"a feed's key with the kernel's architecture", "com.ubuntu.cloud:server:24.04:amd64", "", "com.ubuntu.cloud:server:24.04:x86_64"},
		{"an alias takes the default variant", "debian/bookworm", "amd64", "debian:bookworm:amd64:default"},
		{"an alias with its variant", "debian/bookworm/contract", "x86_64", "debian:bookworm:amd64:contract"},
		{"an alias of another architecture", "DEBIAN/bookworm", "aarch64", "debian:bookworm:arm64:default"},
		{"an alias of one architecture needs none", "debian/bookworm/contract", "", "debian:bookworm:amd64:contract"},
		{"an alias after a space", "n", "amd64", "com.ubuntu.cloud:server:24.04:x86_64"},
	}
	f := testFeed(t)
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := f.Resolve(tt.name, tt.arch)
			if err != nil || got != tt.want {
				t.Errorf("Resolve(%q, %q) = %q, %v, want %q", tt.name, tt.arch, got, err, tt.want)
			}
		})
	}
}

func TestAFeedHasWhatItLists(t *testing.T) {
	f := &Feed{Products: map[string]Product{"debian:bookworm:amd64:default": {Versions: map[string]Version{"20261122a": {}, "old": {}}}}}
	for _, tt := range []struct {
		key, serial string
		want        bool
	}{
		{"debian:bookworm:amd64:default", "20261122a", true},
		{"debian:bookworm:amd64:default", "old", true}, // LXD does not see it, and it is there
		{"Debian:bookworm:x86_64:default", "20261122A", true},
		{"debian:bookworm:amd64:default", "20261122", false},
		{"debian:bookworm:arm64:default", "20261122a", false},
		{"", "", false},
	} {
		if got := f.Has(tt.key, tt.serial); got != tt.want {
			t.Errorf("%s %s: %v", tt.key, tt.serial, got)
		}
	}
}

func TestResolveSuggestsWhatWasMeant(t *testing.T) {
	tests := []struct {
		name, arch string
		near       []string
	}{
		{"debian:bokworm:amd64:default", "", []string{"debian:bookworm:amd64:default", "debian:bookworm:arm64:default"}},
		{"debian:bookworm:amd64", "", []string{"debian:bookworm:amd64:contract", "debian:bookworm:amd64:default"}},
		{"debian/bokworm", "amd64", []string{"debian/bookworm"}},
		{"debian/bookworm/contract", "arm64", []string{"debian:bookworm:amd64:contract"}},
		{"plan9", "amd64", nil},
		{"", "", nil},
	}
	f := testFeed(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := f.Resolve(tt.name, tt.arch)
			unknown, ok := errors.AsType[*UnknownProductError](err)
			if !ok || unknown.Name != tt.name || !slices.Equal(unknown.Near, tt.near) {
				t.Errorf("Resolve(%q, %q): %#v, want near %q", tt.name, tt.arch, err, tt.near)
			}
		})
	}
}

func TestResolveRefusesToGuessBetweenProducts(t *testing.T) {
	tests := []struct {
		name, arch string
		want       []string
	}{
		{"alpine/3.22", "amd64", []string{"alpine:3.22:amd64:cloud", "alpine:3.22:amd64:tiny"}},
		{"debian/bookworm/default", "", []string{"debian:bookworm:amd64:default", "debian:bookworm:arm64:default"}},
	}
	f := testFeed(t)
	for _, tt := range tests {
		_, err := f.Resolve(tt.name, tt.arch)
		several, ok := errors.AsType[*AmbiguousProductError](err)
		if !ok || !slices.Equal(several.Keys, tt.want) {
			t.Errorf("Resolve(%q, %q): %v, want several products %q", tt.name, tt.arch, err, tt.want)
		}
	}
}

func TestSerialsThatLXDCannotSeeAreHidden(t *testing.T) {
	f := testFeed(t)
	want := []string{"20261122-01", "20261120-01", "20261119-01", "20261118-01", "20261117-01", "20261116-01"}
	if got := f.Serials("debian:bookworm:amd64:default"); !slices.Equal(got, want) {
		t.Errorf("Serials: %q, want %q", got, want)
	}
	want = []string{"nightly", "1795357939a"}
	if got := f.Hidden("debian:bookworm:amd64:default"); !slices.Equal(got, want) {
		t.Errorf("Hidden: %q, want %q", got, want)
	}
	if got := f.Serials("no such key"); len(got) != 0 {
		t.Errorf("Serials of an unknown product: %q", got)
	}
}

func TestVisibleSerial(t *testing.T) {
	for serial, want := range map[string]bool{
		"20261122":      true,
		"20261122_0415": true,
		"20261122-01":   true,
		"20261122abc":   true,
		"2026112":       false,
		"20261322":      false, // no such month
		"1795357939a":   false,
		"v20261122":     false,
		"2026-11-22":    false,
		"":              false,
	} {
		if got := VisibleSerial(serial); got != want {
			t.Errorf("VisibleSerial(%q) = %t, want %t", serial, got, want)
		}
	}
}

func TestImage(t *testing.T) {
	const deb = "debian:bookworm:amd64:default"
	tests := []struct {
		what, key, serial, typ string
		fingerprint            string
		root                   string
		size                   int64
	}{
		{"container", deb, "20261120-01", Container, sum("c1"), SquashFS, 68423680 + 296},
		{"container beside a virtual machine", deb, "20261122-01", Container, sum("c2"), SquashFS, 68423680 + 296},
		{"virtual machine", deb, "20261122-01", VirtualMachine, sum("v2"), DiskKVM, 268435456 + 296},
		{"Incus's metadata, hash in capitals", "debian:bookworm:arm64:default", "20261122-01", Container, sum("c3"), SquashFS, 68423680 + 296},
		{"LXD's metadata before Incus's, the root that has a hash", "debian:bookworm:amd64:contract", "20261122-01", Container, sum("c4"), RootTarXZ, 68423680 + 296},
		{"a cloud image's UEFI disk before the older one", "com.ubuntu.cloud:server:24.04:x86_64", "20261121", VirtualMachine, sum("u1"), DiskUEFI, 268435456 + 296},
	}
	f := testFeed(t)
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			img, err := f.Image(tt.key, tt.serial, tt.typ)
			if err != nil {
				t.Fatal(err)
			}
			if img.Fingerprint != tt.fingerprint || img.Root.FileType != tt.root || img.Size != tt.size {
				t.Errorf("got %+v, want fingerprint %s, root %s, size %d", img, tt.fingerprint, tt.root, tt.size)
			}
		})
	}
}

// LXD reads no metadata but its own, and Incus likewise.
func TestImageForIsWhatTheServerSees(t *testing.T) {
	const both, lxdOnly, incusOnly = "debian:bookworm:amd64:contract", "debian:bookworm:amd64:default", "debian:bookworm:arm64:default"
	tests := []struct{ key, metadata, fingerprint string }{
		{both, LXDMetadata, sum("c4")},
		{both, IncusMetadata, "8810ad581e59f2bc3928b261707a71308f7e139eb04820366dc4d5c18d980225"},
		{lxdOnly, LXDMetadata, sum("c2")},
		{lxdOnly, IncusMetadata, ""},
		{incusOnly, LXDMetadata, ""},
		{incusOnly, IncusMetadata, sum("c3")},
	}
	f := testFeed(t)
	for _, tt := range tests {
		t.Run(tt.key+" "+tt.metadata, func(t *testing.T) {
			img, err := f.ImageFor(tt.metadata, tt.key, "20261122-01", Container)
			if img.Fingerprint != tt.fingerprint || (err == nil) != (tt.fingerprint != "") {
				t.Errorf("got %+v, %v, want fingerprint %q", img, err, tt.fingerprint)
			}
			if err != nil && !strings.Contains(err.Error(), "no metadata ("+tt.metadata+")") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestImageRefusesWhatLXDCannotLaunch(t *testing.T) {
	const deb = "debian:bookworm:amd64:default"
	tests := []struct{ key, serial, typ, want string }{
		{"debian:sid:amd64:default", "20261122-01", Container, "does not have"},
		{deb, "20261123-01", Container, "does not have"},
		{deb, "20261120-01", VirtualMachine, "no root file system"},
		{deb, "20261120-01", "machine", "no root file system"},
		{deb, "20261119-01", Container, "no combined hash"},
		{deb, "20261118-01", Container, "no metadata"},
		{deb, "20261117-01", Container, "broken combined hash"},
		{deb, "20261116-01", Container, "impossible size"},
	}
	f := testFeed(t)
	for _, tt := range tests {
		t.Run(tt.want+" "+tt.serial+" "+tt.typ, func(t *testing.T) {
			if img, err := f.Image(tt.key, tt.serial, tt.typ); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v, want an error with %q", img, err, tt.want)
			}
		})
	}
}

func TestTypes(t *testing.T) {
	f := testFeed(t)
	for serial, want := range map[string][]string{
		"20261122-01": {Container, VirtualMachine},
		"20261120-01": {Container},
		"20261118-01": nil,
		"nightly":     nil,
		"20300101":    nil,
	} {
		if got := f.Types("debian:bookworm:amd64:default", serial); !slices.Equal(got, want) {
			t.Errorf("Types(%s) = %q, want %q", serial, got, want)
		}
	}
}

func TestRequirementsAreThoseThatTheServerReads(t *testing.T) {
	f := testFeed(t)
	if got := f.Requirements(LXDMetadata, "debian:bookworm:amd64:default"); got["secureboot"] != "false" || len(got) != 1 {
		t.Errorf("got %v", got)
	}
	var p Products
	err := parse([]byte(`{"format":"products:1.0","products":{"a:b:c:d":{"requirements":{"secureboot":"true"},"lxd_requirements":{"secureboot":"false"}}}}`), &p)
	if err != nil {
		t.Fatal(err)
	}
	f = &Feed{Products: p.Products}
	if got := f.Requirements(LXDMetadata, "a:b:c:d")["secureboot"]; got != "false" {
		t.Errorf("got %q, want LXD's own", got)
	}
	if got := f.Requirements(IncusMetadata, "a:b:c:d")["secureboot"]; got != "true" {
		t.Errorf("got %q, want those that are not LXD's", got)
	}
	if got := f.Requirements(LXDMetadata, "no:such:product:key"); len(got) != 0 {
		t.Errorf("got %v of an unknown product", got)
	}
}

func TestCanonical(t *testing.T) {
	for key, want := range map[string]string{
		"Debian:Bookworm:x86_64:Default": "debian:bookworm:amd64:default",
		"alpine:3.22:aarch64:default":    "alpine:3.22:arm64:default",
		"alpine:3.22:riscv64:default":    "alpine:3.22:riscv64:default",
	} {
		if got := Canonical(key); got != want {
			t.Errorf("Canonical(%q) = %q, want %q", key, got, want)
		}
	}
}

// What LXD is told to launch is what a feed says, so a feed must not get
// anything through but a fingerprint.
func FuzzProducts(f *testing.F) {
	data, err := os.ReadFile("testdata/images.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, "debian/bookworm")
	f.Add([]byte(`{"products":{"a:b:c:d":{"versions":{"20260101":{"items":{"x":null}}}}}}`), "a:b:c:d")
	f.Add([]byte(`{"products":null}`), "a:b")
	f.Add([]byte(`<!DOCTYPE html>`), "")
	fingerprint := regexp.MustCompile(`^[0-9a-f]{64}$`)
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		var p Products
		if parse(data, &p) != nil {
			return
		}
		feed := &Feed{Products: p.Products}
		if key, err := feed.Resolve(name, "amd64"); err == nil {
			if _, ok := feed.Products[key]; !ok {
				t.Errorf("Resolve(%q) = %q, which the feed does not have", name, key)
			}
		}
		for key, product := range feed.Products {
			serials := feed.Serials(key)
			if len(serials)+len(feed.Hidden(key)) != len(product.Versions) {
				t.Errorf("%q: visible and hidden serials are not all of them", key)
			}
			for _, serial := range serials {
				for _, typ := range feed.Types(key, serial) {
					img, err := feed.Image(key, serial, typ)
					if err != nil || !fingerprint.MatchString(img.Fingerprint) || img.Size < 0 {
						t.Errorf("%s: %+v, %v", fmt.Sprint(key, serial, typ), img, err)
					}
				}
			}
		}
	})
}

func TestOfManyProductsOnlySomeAreNamed(t *testing.T) {
	e := &AmbiguousProductError{Name: "debian", Keys: slices.Repeat([]string{"debian:sid:amd64:x"}, 1000)}
	if text := e.Error(); len(text) > 400 || !strings.HasSuffix(text, " and 990 more") {
		t.Errorf("got %q", text)
	}
}
