package main

import "runtime/debug"

// release is set by the linker in release builds.
var release string

// version is the release, or what the build knows of the source it came from.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	return v
}
