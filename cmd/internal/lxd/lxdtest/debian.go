package lxdtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Debian returns the folder with the real Debian image that .ci/setup builds:
// incus.tar.xz and rootfs.squashfs.
func Debian(t testing.TB) string { return Built(t, "debian") }

// Built returns the folder with one of the images that .ci/images builds.
func Built(t testing.TB, name string) string { return cached(t, name, "rootfs.squashfs") }

// Others returns the folder with a repository of the package managers of other
// distributions, and in inits packages with other inits, all of Debian's.
func Others(t testing.TB) string { return cached(t, "others", "Packages") }

// cached returns a folder that .ci/setup or .ci/images fills, which has the file.
func cached(t testing.TB, name, file string) string {
	t.Helper()
	cache := os.Getenv("ICEPAK_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(dir, "icepak")
	}
	dir := filepath.Join(cache, name)
	if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
		t.Fatalf("no %s: %v; run .ci/setup, and for test-images .ci/images", name, err)
	}
	return dir
}
