package images

import (
	"io/fs"
	"slices"
	"testing"

	"github.com/upmaru/icepak/spec"
)

func TestEveryProductHasOneSpecWithTheUsualChecks(t *testing.T) {
	files, err := fs.Glob(FS(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var specs []*spec.Spec
	for _, file := range files {
		s, err := spec.LoadFS(FS(), file, spec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		specs = append(specs, s)
	}
	for _, product := range []string{
		"alpine:3.22:amd64:default", "centos:9-Stream:arm64:default", "debian:bookworm:amd64:default",
		"debian:sid:arm64:cloud", "rockylinux:9:amd64:cloud", "ubuntu:noble:amd64:default",
	} {
		t.Run(product, func(t *testing.T) {
			var names []string
			matched := 0
			for _, s := range specs {
				if s.Match(product) {
					matched++
					for _, c := range s.Checks {
						names = append(names, c.Name)
					}
				}
			}
			if matched != 1 {
				t.Errorf("%d specs match", matched)
			}
			if want := []string{"ipv4", "ipv6", "package-install", "service-start"}; !slices.Equal(names, want) {
				t.Errorf("checks %v, want %v", names, want)
			}
		})
	}
}
