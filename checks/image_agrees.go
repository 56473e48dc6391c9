package checks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode"
)

// disagreements says what an image's metadata and the guest say differently, or
// nothing. What one of them does not say is no difference, except that a guest
// must say what it is.
func disagreements(root fs.FS, image ImageFacts) (string, error) {
	var all []string
	release, err := osRelease(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		all = append(all, "the guest has no /etc/os-release")
	case err != nil:
		return "", lookError(err)
	default:
		all = append(all, disagreeingOS(image, release)...)
	}
	machine, err := machineOf(root)
	if err != nil {
		return "", err
	}
	for _, name := range []string{image.Architecture, image.Properties["architecture"]} {
		want := machineNamed(name)
		if want != "" && machine != "" && want != machine {
			all = append(all, fmt.Sprintf("the architecture is %s, and the guest's init is for %s", name, machine))
		}
	}
	return strings.Join(slices.Compact(all), "; "), nil
}

// disagreeingOS compares names and releases of operating systems.
func disagreeingOS(image ImageFacts, is map[string]string) []string {
	var all []string
	if os := image.Properties["os"]; os != "" && !slices.Contains(idsOf(os), strings.ToLower(is["ID"])) {
		all = append(all, fmt.Sprintf("the os is %s, and os-release says ID=%s", os, is["ID"]))
	}
	release := image.Properties["release"]
	if release == "" || rolling(release) || sameRelease(release, is["VERSION_CODENAME"]) || sameRelease(release, is["VERSION_ID"]) {
		return all
	}
	return append(all, fmt.Sprintf("the release is %s, and os-release says VERSION_ID=%s VERSION_CODENAME=%s",
		release, is["VERSION_ID"], is["VERSION_CODENAME"]))
}

// idsOf are the IDs in os-release of what images call so.
func idsOf(os string) []string {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, os)
	switch plain {
	case "amazon", "amazonlinux":
		return []string{"amzn"}
	case "archlinux", "archlinuxarm":
		return []string{"arch", "archarm"}
	case "alt", "altlinux":
		return []string{"altlinux"}
	case "mint":
		return []string{"linuxmint"}
	case "opensuse", "suse":
		return []string{"opensuse-leap", "opensuse-tumbleweed", "opensuse", "sles", "opensuse-microos"}
	case "oracle", "oraclelinux":
		return []string{"ol"}
	case "redhat", "redhatenterpriselinux":
		return []string{"rhel"}
	case "rocky", "rockylinux":
		return []string{"rocky"}
	case "void", "voidlinux":
		return []string{"void"}
	}
	return []string{plain, strings.ToLower(os)}
}

// rolling tells whether a release is the name of what has no number.
func rolling(release string) bool {
	return slices.Contains([]string{"current", "edge", "latest", "rolling", "sid", "snapshot", "tumbleweed", "unstable"}, strings.ToLower(release))
}

// sameRelease tells whether two names of a release mean the same, of which one may
// be more precise than the other: 9 and 9.4, 9-Stream and 9.
func sameRelease(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if len(a) > len(b) {
		a, b = b, a
	}
	rest, ok := strings.CutPrefix(b, a)
	return a != "" && ok && (rest == "" || strings.ContainsAny(rest[:1], ".-_"))
}

// osRelease reads the guest's os-release.
func osRelease(root fs.FS) (map[string]string, error) {
	data, err := readBounded(root, "etc/os-release", 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = readBounded(root, "usr/lib/os-release", 1<<20)
	}
	if err != nil {
		return nil, err
	}
	is := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") {
			is[key] = strings.Trim(value, `"'`)
		}
	}
	return is, nil
}

// machineOf is the architecture that the guest's init is for, whatever the kernel
// can run besides; empty where it is no program of the usual kind.
func machineOf(root fs.FS) (string, error) {
	var head []byte
	var err error
	for _, name := range []string{"proc/1/exe", "sbin/init"} {
		if head, err = readStart(root, name, 20); err == nil {
			break
		}
	}
	if err != nil {
		return "", inconclusivef("the guest's init cannot be read: %w", err)
	}
	if len(head) < 20 || string(head[:4]) != "\x7fELF" {
		return "", nil
	}
	const bigEndian = 2
	machine := binary.LittleEndian.Uint16(head[18:])
	if head[5] == bigEndian {
		machine = binary.BigEndian.Uint16(head[18:])
	}
	switch machine { // as ELF numbers them
	case 3:
		return "i386", nil
	case 21:
		return "ppc64el", nil
	case 22:
		return "s390x", nil
	case 40:
		return "arm", nil
	case 62:
		return "amd64", nil
	case 183:
		return "arm64", nil
	case 243:
		return "riscv64", nil
	}
	return fmt.Sprintf("another one (ELF's %d)", machine), nil
}

// machineNamed is the name that machineOf has for an architecture; empty for
// one that it does not know.
func machineNamed(name string) string {
	switch strings.ToLower(name) {
	case "amd64", "x86_64":
		return "amd64"
	case "i386", "i686", "x86":
		return "i386"
	case "arm64", "aarch64":
		return "arm64"
	case "armhf", "armel", "armv6l", "armv7l", "armv7":
		return "arm"
	case "riscv64", "s390x":
		return strings.ToLower(name)
	case "ppc64el", "ppc64le":
		return "ppc64el"
	}
	return ""
}
