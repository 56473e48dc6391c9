package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/licences"
)

// The test is a Go program itself, and one that is linked of this module's dependencies.
func TestAProgramIsDescribedByItsBuild(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	works := []licences.Work{
		{Path: "std", Module: "std", Kinds: []string{"BSD-3-Clause"}},
		{Path: "example.com/other", Module: "example.com/other", Kinds: []string{"GPL"}},
	}
	release := Release{"2.0.0", time.Date(2026, 11, 22, 1, 2, 3, 0, time.FixedZone("east", 3600))}
	var one, two bytes.Buffer
	for _, b := range []*bytes.Buffer{&one, &two} {
		if err := Write(b, program, works, release); err != nil {
			t.Fatal(err)
		}
	}
	if one.String() != two.String() {
		t.Error("twice is not the same")
	}
	var doc document
	if err := json.Unmarshal(one.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Metadata.Component.Version != "2.0.0" || !strings.Contains(one.String(), `"timestamp": "2026-11-22T00:02:03Z"`) {
		t.Errorf("metadata %+v", doc.Metadata)
	}
	i := slices.IndexFunc(doc.Components, func(c component) bool { return c.Name == "stdlib" })
	if i < 0 {
		t.Fatalf("no standard library in %s", one.String())
	}
	std := doc.Components[i]
	if std.PURL != "pkg:golang/stdlib@"+std.Version || len(std.Licenses) != 1 || std.Licenses[0].License.ID != "BSD-3-Clause" {
		t.Errorf("the standard library is %+v", std)
	}
}

func TestWhatIsNoProgramIsRefused(t *testing.T) {
	if err := Write(&bytes.Buffer{}, "sbom.go", nil, Release{}); err == nil {
		t.Error("a text was described")
	}
}

func TestTheLicencesOfAModuleAreThoseOfItsParts(t *testing.T) {
	works := []licences.Work{
		{Path: "m/a", Module: "m", Kinds: []string{"MIT", "Public domain"}},
		{Path: "m/b", Module: "m", Kinds: []string{"Apache-2.0", "MIT"}},
		{Path: "mm", Module: "mm", Kinds: []string{"ISC"}},
	}
	want := []licenseChoice{{license{ID: "Apache-2.0"}}, {license{ID: "MIT"}}, {license{Name: "Public domain"}}}
	if got := licensesOf("m", works); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAVersionIsEscapedInItsURL(t *testing.T) {
	if got, want := purl("example.com/m", "v2.0.0+incompatible"), "pkg:golang/example.com/m@v2.0.0%2Bincompatible"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
