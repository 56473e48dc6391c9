// Package licences tells under which licences the code is that the programs are linked
// of: in the list of docs/licences.md, and in the texts that every copy of the programs
// has to carry.
//
// A package has the licence of the nearest folder with one, from its own up to its
// module's: LXD's server is under the AGPL, its client in the same module is not.
package licences

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Work is a module, or a part of one with a licence of its own.
type Work struct {
	Path    string // its import path; "std" is Go's own library
	Module  string
	Version string   // of the module; none of std
	Kinds   []string // SPDX identifiers; none if no text is known
	Texts   []Text
}

// A Text is a file of a licence.
type Text struct {
	Name string
	Body []byte
}

// Linked returns what the programs are linked of on any system that they are released
// for, by path, without this module itself. dir is in the module.
func Linked(ctx context.Context, dir string) ([]Work, error) {
	works := map[string]Work{}
	for _, system := range []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"} {
		packages, err := list(ctx, dir, system)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			w, err := p.work()
			if err != nil {
				return nil, err
			}
			works[w.Path] = w
		}
	}
	all := make([]Work, 0, len(works))
	for _, w := range works {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b Work) int { return cmp.Compare(a.Path, b.Path) })
	return all, nil
}

// A linked is a package, and the module that it is of.
type linked struct {
	dir, module, version, root string
}

// list asks the go command, as a release is built, what the programs import.
func list(ctx context.Context, dir, system string) ([]linked, error) {
	const format = `{{with .Module}}{{if not .Main}}{{$.Dir}}{{"\t"}}{{.Path}}{{"\t"}}{{.Version}}{{"\t"}}{{.Dir}}{{end}}{{end}}` +
		`{{if .Standard}}{{.Root}}{{"\t"}}std{{"\t\t"}}{{.Root}}{{end}}`
	goos, goarch, _ := strings.Cut(system, "/")
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-tags", "stdlibjson", "-f", format,
		"github.com/upmaru/icepak/cmd/icepak", "github.com/upmaru/icepak/cmd/icepak-probe")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list what is linked for %s: %w: %s", system, err, bytes.TrimSpace(stderr.Bytes()))
	}
	var packages []linked
	for line := range strings.Lines(string(out)) {
		fields := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(fields) == 4 {
			packages = append(packages, linked{fields[0], fields[1], fields[2], fields[3]})
		}
	}
	return packages, nil
}

// work finds the package's licence.
func (p linked) work() (Work, error) {
	w := Work{Path: p.module, Module: p.module, Version: p.version}
	for dir := p.dir; ; dir = filepath.Dir(dir) {
		texts, err := textsIn(dir)
		if err != nil {
			return w, err
		}
		if len(texts) > 0 || dir == p.root {
			sub, err := filepath.Rel(p.root, dir)
			if err != nil {
				return w, err
			}
			w.Path = filepath.ToSlash(filepath.Join(p.module, sub))
			w.Texts = texts
			break
		}
	}
	for _, t := range w.Texts {
		w.Kinds = append(w.Kinds, Classify(t.Body)...)
	}
	slices.Sort(w.Kinds)
	w.Kinds = slices.Compact(w.Kinds)
	return w, nil
}

// textsIn reads the files of a folder that are named as licences and notices are.
func textsIn(dir string) ([]Text, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var texts []Text
	for _, e := range entries {
		if !e.Type().IsRegular() || !isLicence(e.Name()) {
			continue
		}
		body, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, Text{e.Name(), body})
	}
	return texts, nil
}

func isLicence(name string) bool {
	upper := strings.ToUpper(name)
	if ext := filepath.Ext(upper); ext == ".GO" || ext == ".JSON" {
		return false
	}
	for _, begin := range []string{"LICENSE", "LICENCE", "COPYING", "UNLICENSE", "NOTICE", "PATENTS"} {
		if strings.HasPrefix(upper, begin) {
			return true
		}
	}
	return false
}

// WriteList writes the page docs/licences.md.
func WriteList(w io.Writer, works []Work) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, "# Licences\n\n"+
		"icepak is under Apache-2.0. What it and its probe are linked of, and under which licences that is;\n"+
		"`make licences` writes this list anew, and a test holds that it is complete and that all of it may be passed on.\n"+
		"The packages and archives carry the texts. A folder of a module that has a licence of its own has a row of its own.\n\n"+
		"| code | licence |\n| --- | --- |\n")
	for _, work := range works {
		fmt.Fprintf(b, "| %s | %s |\n", work.Path, strings.Join(work.Kinds, ", "))
	}
	return b.Flush()
}

// WriteTexts writes every text in full, under what it is of.
func WriteTexts(w io.Writer, works []Work) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "icepak is linked of other people's work. These are its licences and notices.")
	for _, work := range works {
		for _, t := range work.Texts {
			fmt.Fprintf(b, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("=", 80), strings.TrimSpace(work.Path+" "+work.Version), t.Name, bytes.TrimSpace(t.Body))
		}
	}
	return b.Flush()
}
