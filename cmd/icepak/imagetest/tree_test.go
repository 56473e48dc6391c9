package imagetest

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

// A tree is an image's root file system in memory. Copies share what files hold.
type tree struct {
	entries []entry
}

type entry struct {
	header tar.Header
	data   []byte
}

// readTree reads a squashfs.
func readTree(t *testing.T, squashfs string) tree {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sqfs2tar", squashfs)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (run .ci/setup)", err)
	}
	var found tree
	for r := tar.NewReader(out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		h.Name = clean(h.Name)
		found.entries = append(found.entries, entry{*h, data})
	}
	_, _ = io.Copy(io.Discard, out) // the padding at its end
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return found
}

// write packs the tree into a squashfs.
func (tr tree) write(t *testing.T, squashfs string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "tar2sqfs", "-q", "-f", "-c", "zstd", "-X", "level=1", squashfs)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(in)
	for _, e := range tr.entries {
		h := e.header
		h.Format = tar.FormatPAX
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(e.data))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(h.Name, err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(h.Name, err)
		}
	}
	if err := errors.Join(w.Close(), in.Close()); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// find is the index of a path that goes through no link, or -1.
func (tr tree) find(name string) int {
	return slices.IndexFunc(tr.entries, func(e entry) bool { return e.header.Name == clean(name) })
}

// An edit changes an image. One that finds nothing to change has been overtaken by
// another distribution's files and fails the test.
type edit func(t *testing.T, tr *tree)

// file writes a file, which may be there already and then keeps its mode.
func file(name, content string) edit {
	return func(_ *testing.T, tr *tree) {
		h := tar.Header{Typeflag: tar.TypeReg, Name: clean(name), Mode: 0o644}
		tr.put(entry{h, []byte(content)})
	}
}

// script writes a program.
func script(name, content string) edit {
	return func(_ *testing.T, tr *tree) {
		h := tar.Header{Typeflag: tar.TypeReg, Name: clean(name), Mode: 0o755}
		tr.put(entry{h, []byte(content)})
	}
}

func link(name, target string) edit {
	return func(_ *testing.T, tr *tree) {
		tr.put(entry{tar.Header{Typeflag: tar.TypeSymlink, Name: clean(name), Linkname: target, Mode: 0o777}, nil})
	}
}

// put replaces what is at the entry's path, or adds it with the folders it is in.
func (tr *tree) put(e entry) {
	if i := tr.find(e.header.Name); i >= 0 {
		tr.entries[i] = e
		return
	}
	var folders []entry
	for dir := path.Dir(e.header.Name); dir != "." && tr.find(dir) < 0; dir = path.Dir(dir) {
		folders = append(folders, entry{tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}, nil})
	}
	slices.Reverse(folders)
	tr.entries = append(append(tr.entries, folders...), e)
}

// remove removes files, and folders with all that is in them.
func remove(names ...string) edit {
	return func(t *testing.T, tr *tree) {
		for _, name := range names {
			before := len(tr.entries)
			tr.entries = slices.DeleteFunc(tr.entries, func(e entry) bool {
				return e.header.Name == clean(name) || strings.HasPrefix(e.header.Name, clean(name)+"/")
			})
			if len(tr.entries) == before {
				t.Fatalf("the image has no %s", name)
			}
		}
	}
}

// mode changes a file's mode.
func mode(name string, bits int64) edit {
	return func(t *testing.T, tr *tree) {
		tr.entries[tr.must(t, name)].header.Mode = bits
	}
}

// replace replaces a text in a file.
func replace(name, old, with string) edit {
	return func(t *testing.T, tr *tree) {
		i := tr.must(t, name)
		if !bytes.Contains(tr.entries[i].data, []byte(old)) {
			t.Fatalf("%s has no %q", name, old)
		}
		tr.entries[i].data = bytes.Replace(tr.entries[i].data, []byte(old), []byte(with), 1)
	}
}

// add adds to the end of a file.
func add(name, text string) edit {
	return func(t *testing.T, tr *tree) {
		i := tr.must(t, name)
		tr.entries[i].data = slices.Concat(tr.entries[i].data, []byte(text))
	}
}

func (tr *tree) must(t *testing.T, name string) int {
	t.Helper()
	i := tr.find(name)
	if i < 0 {
		t.Fatalf("the image has no %s", name)
	}
	return i
}

// with returns a copy of the tree with edits.
func (tr tree) with(t *testing.T, edits []edit) tree {
	t.Helper()
	edited := tree{slices.Clone(tr.entries)}
	for _, e := range edits {
		e(t, &edited)
	}
	return edited
}
