package lxdtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Debian returns the folder with the real Debian image that .ci/setup builds:
// incus.tar.xz and rootfs.squashfs.
func Debian(t testing.TB) string {
	t.Helper()
	cache := os.Getenv("ICEPAK_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(dir, "icepak")
	}
	dir := filepath.Join(cache, "debian")
	if _, err := os.Stat(filepath.Join(dir, "rootfs.squashfs")); err != nil {
		t.Fatalf("no Debian image: %v; run .ci/setup", err)
	}
	return dir
}
