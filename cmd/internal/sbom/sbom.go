// Package sbom writes a program's bill of materials as CycloneDX: what its build noted
// in the program itself, and the licences of that.
package sbom

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/upmaru/icepak/cmd/internal/licences"
)

// The parts of CycloneDX 1.6 that are written.
type (
	document struct {
		Schema      string      `json:"$schema"`
		Format      string      `json:"bomFormat"`
		SpecVersion string      `json:"specVersion"`
		Version     int         `json:"version"`
		Metadata    metadata    `json:"metadata"`
		Components  []component `json:"components"`
	}
	metadata struct {
		Timestamp time.Time `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Ref      string          `json:"bom-ref"`
		Type     string          `json:"type"`
		Name     string          `json:"name"`
		Version  string          `json:"version"`
		Scope    string          `json:"scope,omitempty"`
		Licenses []licenseChoice `json:"licenses,omitempty"`
		PURL     string          `json:"purl"`
	}
	licenseChoice struct {
		License license `json:"license"`
	}
	license struct {
		ID   string `json:"id,omitempty"` // of SPDX
		Name string `json:"name,omitempty"`
	}
)

// A Release is what the program does not know of itself.
type Release struct {
	Version string
	Date    time.Time
}

// Write describes the program at path. works are what may be linked in it.
func Write(w io.Writer, file string, works []licences.Work, release Release) error {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return err
	}
	program := component{Type: "application", Name: path.Base(info.Path), Version: release.Version, Licenses: []licenseChoice{{license{ID: "Apache-2.0"}}}}
	program.PURL = fmt.Sprintf("%s?goarch=%s&goos=%s#%s", purl(info.Main.Path, "v"+release.Version), setting(info, "GOARCH"), setting(info, "GOOS"),
		strings.TrimPrefix(info.Path, info.Main.Path+"/"))
	program.Ref = program.PURL
	doc := document{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{release.Date.UTC(), program},
	}
	add := func(module, name, version string) {
		c := component{Type: "library", Name: name, Version: version, Scope: "required", PURL: purl(name, version), Licenses: licensesOf(module, works)}
		c.Ref = c.PURL
		doc.Components = append(doc.Components, c)
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		add(m.Path, m.Path, m.Version)
	}
	add("std", "stdlib", strings.TrimPrefix(info.GoVersion, "go")) // named as scanners look for it

	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

func purl(name, version string) string { return "pkg:golang/" + name + "@" + url.QueryEscape(version) }

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// licensesOf returns the licences of all parts of a module that may be linked.
func licensesOf(module string, works []licences.Work) []licenseChoice {
	var kinds []string
	for _, w := range works {
		if w.Module == module {
			kinds = append(kinds, w.Kinds...)
		}
	}
	slices.Sort(kinds)
	var all []licenseChoice
	for _, kind := range slices.Compact(kinds) {
		if strings.Contains(kind, " ") { // SPDX has no identifier for it
			all = append(all, licenseChoice{license{Name: kind}})
		} else {
			all = append(all, licenseChoice{license{ID: kind}})
		}
	}
	return all
}
