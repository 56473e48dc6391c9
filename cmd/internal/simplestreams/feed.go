package simplestreams

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// An UnknownProductError says that a feed has no such product.
type UnknownProductError struct {
	Name string
	Arch string   // that an alias was looked up for; empty for keys
	Near []string // up to three names that it may have been meant to be
}

func (e *UnknownProductError) Error() string {
	if e.Arch != "" {
		return fmt.Sprintf("the image feed has no product %q for %s", e.Name, e.Arch)
	}
	return fmt.Sprintf("the image feed has no product %q", e.Name)
}

// An AmbiguousProductError says that an alias names several products.
type AmbiguousProductError struct {
	Name string
	Keys []string // of the products, sorted
}

func (e *AmbiguousProductError) Error() string {
	keys := strings.Join(e.Keys[:min(len(e.Keys), 10)], ", ")
	if more := len(e.Keys) - 10; more > 0 {
		keys += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%q names several products: %s", e.Name, keys)
}

// Arch returns an architecture's name as image servers have it: amd64, arm64.
func Arch(name string) string {
	switch name = strings.ToLower(name); name {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	}
	return name
}

// Canonical returns a product's key as image servers have it, in lower case
// and with their name of the architecture.
func Canonical(key string) string {
	parts := strings.Split(key, ":")
	for i, part := range parts {
		parts[i] = Arch(part)
	}
	return strings.Join(parts, ":")
}

// Resolve returns the key of the product that name stands for: a key such as
// debian:bookworm:amd64:default, or an alias such as debian/bookworm, which the
// architecture completes. Of an alias's products, the one whose variant is
// default is taken. The error is an *UnknownProductError or an
// *AmbiguousProductError.
func (f *Feed) Resolve(name, arch string) (string, error) {
	if _, ok := f.Products[name]; ok {
		return name, nil
	}
	keys := slices.Sorted(maps.Keys(f.Products))
	if !strings.Contains(name, ":") {
		return f.resolveAlias(name, Arch(arch), keys)
	}
	want := Canonical(name)
	for _, key := range keys {
		if Canonical(key) == want {
			return key, nil
		}
	}
	return "", &UnknownProductError{Name: name, Near: near(want, keys)}
}

func (f *Feed) resolveAlias(name, arch string, keys []string) (string, error) {
	var found, defaults, elsewhere, aliases []string
	for _, key := range keys {
		p := f.Products[key]
		names := p.aliases()
		aliases = append(aliases, names...)
		switch {
		case !slices.Contains(names, strings.ToLower(name)):
		case arch != "" && Arch(p.Arch) != arch:
			elsewhere = append(elsewhere, key)
		default:
			found = append(found, key)
			if strings.EqualFold(p.Variant, "default") {
				defaults = append(defaults, key)
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(defaults) == 1:
		return defaults[0], nil
	case len(found) > 1:
		return "", &AmbiguousProductError{Name: name, Keys: found}
	case len(elsewhere) > 0:
		return "", &UnknownProductError{Name: name, Arch: arch, Near: elsewhere[:min(len(elsewhere), 3)]}
	}
	slices.Sort(aliases)
	return "", &UnknownProductError{Name: name, Arch: arch, Near: near(strings.ToLower(name), slices.Compact(aliases))}
}

// aliases returns the product's aliases in lower case.
func (p Product) aliases() []string {
	var names []string
	for name := range strings.SplitSeq(strings.ToLower(p.Aliases), ",") {
		if name = strings.TrimSpace(name); nameable(name) {
			names = append(names, name)
		}
	}
	return names
}

// Serials returns the product's versions that LXD sees, newest first.
func (f *Feed) Serials(key string) []string { return f.serials(key, true) }

// Hidden returns the product's versions that LXD does not see because of their
// serials, newest first.
func (f *Feed) Hidden(key string) []string { return f.serials(key, false) }

func (f *Feed) serials(key string, visible bool) []string {
	var list []string
	for serial := range f.Products[key].Versions {
		if VisibleSerial(serial) == visible {
			list = append(list, serial)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return cmp.Compare(b, a) })
	return list
}

// Has tells whether the feed lists the product's version. The key and the serial may
// be in upper or lower case.
func (f *Feed) Has(key, serial string) bool {
	key = Canonical(key)
	for k, p := range f.Products {
		if Canonical(k) != key {
			continue
		}
		for s := range p.Versions {
			if strings.EqualFold(s, serial) {
				return true
			}
		}
	}
	return false
}

// An Image is one version as one instance type. Size is that of both items, in
// bytes.
type Image struct {
	Fingerprint    string // 64 hexadecimal digits in lower case
	Metadata, Root Item
	Size           int64
}

// Image returns the version's image for the instance type, container or
// virtual-machine. Where a version has metadata for both LXD and Incus, it is
// LXD's.
func (f *Feed) Image(key, serial, typ string) (Image, error) {
	return f.image(key, serial, typ, LXDMetadata, IncusMetadata)
}

// ImageFor is the image as a server finds it that reads this metadata and no other:
// LXDMetadata or IncusMetadata.
func (f *Feed) ImageFor(metadata, key, serial, typ string) (Image, error) {
	return f.image(key, serial, typ, metadata)
}

func (f *Feed) image(key, serial, typ string, metadata ...string) (Image, error) {
	what := fmt.Sprintf("%.200q, version %.100q, %s", key, serial, typ)
	v, ok := f.Products[key].Versions[serial]
	if !ok {
		return Image{}, fmt.Errorf("the image feed does not have %s", what)
	}
	meta, ok := v.item(metadata...)
	if !ok {
		return Image{}, fmt.Errorf("the image feed has no metadata (%s) of %s", strings.Join(metadata, " or "), what)
	}
	var root Item
	var fingerprint string
	for _, ft := range rootTypes(typ) {
		it, ok := v.item(ft)
		if !ok {
			continue
		}
		if root = it; meta.combined(ft) != "" {
			fingerprint = strings.ToLower(meta.combined(ft))
			break
		}
	}
	switch {
	case root.FileType == "":
		return Image{}, fmt.Errorf("the image feed has no root file system of %s", what)
	case fingerprint == "":
		return Image{}, fmt.Errorf("the image feed has no combined hash of %s", what)
	case !isSHA256(fingerprint):
		return Image{}, fmt.Errorf("the image feed has a broken combined hash of %s: %.80q", what, fingerprint)
	case meta.Size < 0 || root.Size < 0 || meta.Size+root.Size < 0:
		return Image{}, fmt.Errorf("the image feed has an impossible size of %s", what)
	}
	return Image{fingerprint, meta, root, meta.Size + root.Size}, nil
}

// Types returns the instance types that the version has complete images of.
func (f *Feed) Types(key, serial string) []string {
	var types []string
	for _, typ := range []string{Container, VirtualMachine} {
		if _, err := f.Image(key, serial, typ); err == nil {
			types = append(types, typ)
		}
	}
	return types
}

// Requirements returns what the product's images ask of the instances that are
// made of them on a server that reads the metadata, such as secureboot: false. The
// server keeps them as the properties of the image that begin with requirements.
func (f *Feed) Requirements(metadata, key string) map[string]string {
	p := f.Products[key]
	if p.LXDRequirements != nil && metadata == LXDMetadata {
		return p.LXDRequirements
	}
	return p.Requirements
}

// rootTypes returns the file types of root items, in LXD's order of preference.
func rootTypes(instanceType string) []string {
	switch instanceType {
	case Container:
		return []string{SquashFS, RootTarXZ}
	case VirtualMachine:
		return []string{DiskKVM, DiskUEFI, Disk1}
	}
	return nil
}

// item returns the version's item of the first of the file types that it has.
func (v Version) item(fileTypes ...string) (Item, bool) {
	for _, typ := range fileTypes {
		for _, name := range slices.Sorted(maps.Keys(v.Items)) {
			if v.Items[name].FileType == typ {
				return v.Items[name], true
			}
		}
	}
	return Item{}, false
}

// combined returns a metadata item's hash together with a root item.
func (it Item) combined(root string) string {
	switch root {
	case SquashFS:
		return it.CombinedSquashFS
	case RootTarXZ:
		return cmp.Or(it.CombinedRootXZ, it.Combined)
	case DiskKVM:
		return it.CombinedDiskKVM
	case DiskUEFI:
		return it.CombinedDiskUEFI
	case Disk1:
		return it.CombinedDisk1
	}
	return ""
}

func isSHA256(s string) bool { return regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(s) }
