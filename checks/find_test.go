package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// findIn evaluates what the resource finds.
func findIn(t *testing.T, root fs.FS, f FindResource) ([]string, []Result) {
	t.Helper()
	f.Found = want(t, List, `{"not": {"contain-element": "nothing has this name"}}`)
	list := f.Evaluate(t.Context(), &System{FS: root})
	if len(list) == 0 {
		t.Fatal("no result")
	}
	found, _ := list[0].Actual.([]string)
	return found, list
}

func TestFindFindsWhatIsWanted(t *testing.T) {
	file := func(mode fs.FileMode, size int) *fstest.MapFile {
		return &fstest.MapFile{Mode: mode, Data: make([]byte, size)}
	}
	root := fstest.MapFS{
		"tmp":            file(fs.ModeDir|fs.ModeSticky|0o777, 0),
		"tmp/a":          file(0o644, 10),
		"tmp/b.log":      file(0o666, 2000),
		"tmp/d":          file(fs.ModeDir|0o777, 0),
		"tmp/d/c.log":    file(0o664, 1),
		"tmp/d/e/f":      file(fs.ModeSetuid|0o755, 5),
		"tmp/link":       {Mode: fs.ModeSymlink | 0o777, Data: []byte("/etc")},
		"tmp/pipe":       file(fs.ModeNamedPipe|0o644, 0),
		"etc/ssh_key":    file(0o600, 7),
		"etc/ssh_key2":   file(0o600, 7),
		"home/x/.cache":  file(0o600, 7),
		"home/y/.cache":  file(0o600, 7),
		"home/y/z/other": file(0o600, 7),
	}
	for _, tt := range []struct {
		name string
		find FindResource
		want string
	}{
		{"a path is its id", FindResource{Common: Common{Key: "/tmp/d"}}, "/tmp/d/c.log /tmp/d/e /tmp/d/e/f"},
		{"depth", FindResource{Paths: []string{"/tmp"}, Depth: 1}, "/tmp/a /tmp/b.log /tmp/d /tmp/link /tmp/pipe"},
		{"depth of two", FindResource{Paths: []string{"/tmp/"}, Depth: 2, Filetype: "directory"}, "/tmp/d /tmp/d/e"},
		{"a type", FindResource{Paths: []string{"/tmp"}, Filetype: "symlink"}, "/tmp/link"},
		{"a pipe", FindResource{Paths: []string{"/tmp"}, Filetype: "pipe"}, "/tmp/pipe"},
		{"names", FindResource{Paths: []string{"/tmp"}, Names: []string{"*.log", "a"}}, "/tmp/a /tmp/b.log /tmp/d/c.log"},
		{"except", FindResource{Paths: []string{"/tmp"}, Except: []string{"/tmp/d", "/tmp/*.log"}}, "/tmp/a /tmp/link /tmp/pipe"},
		{"except what a glob names", FindResource{Paths: []string{"/etc/ssh_*"}, Except: []string{"/etc/ssh_key"}}, "/etc/ssh_key2"},
		{"files by a glob", FindResource{Paths: []string{"/etc/ssh_*"}}, "/etc/ssh_key /etc/ssh_key2"},
		{"folders by a glob", FindResource{Paths: []string{"/home/*"}, Depth: 1}, "/home/x/.cache /home/y/.cache /home/y/z"},
		{"a glob that matches nothing", FindResource{Paths: []string{"/opt/*", "/tmp/a/*", "/nosuch"}}, ""},
		{"paths in one another", FindResource{Paths: []string{"/tmp/d", "/tmp/d/e", "/tmp/d/e/f", "/tmp/d"}}, "/tmp/d/c.log /tmp/d/e /tmp/d/e/f"},
		{"paths in one another, to a depth", FindResource{Paths: []string{"/tmp", "/tmp/d"}, Depth: 2, Names: []string{"f", "e"}}, "/tmp/d/e /tmp/d/e/f"},
		{"what others may write to", FindResource{Paths: []string{"/"}, WritableBy: "others"}, "/tmp/b.log /tmp/d"},
		{"what the group may write to", FindResource{Paths: []string{"/"}, WritableBy: "group"}, "/tmp/b.log /tmp/d /tmp/d/c.log"},
		{"setuid", FindResource{Paths: []string{"/"}, Setuid: true}, "/tmp/d/e/f"},
		{"larger", FindResource{Paths: []string{"/"}, Larger: 1 << 10}, "/tmp/b.log"},
		{"a link is not followed", FindResource{Paths: []string{"/tmp/link"}}, "/tmp/link"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, list := findIn(t, root, tt.find)
			if got := strings.Join(found, " "); got != tt.want {
				t.Errorf("got %s, want %s; %s", got, tt.want, told(list))
			}
		})
	}
	checkProperty(t, &System{FS: root}, "find", "/tmp", "size", `2016`, Pass, "")
	checkProperty(t, &System{FS: root}, "find", "/tmp", "size", `{"lt": "1KiB"}`, Fail, "")
	checkProperty(t, &System{FS: root}, "find", "/tmp", "count", `8`, Pass, "")
	checkProperty(t, &System{FS: root}, "find", "/tmp", "count", `0`, Fail, "for instance /tmp/a, /tmp/b.log, /tmp/d")
	checkProperty(t, &System{FS: root}, "find", "/nosuch", "count", `0`, Pass, "")
	checkProperty(t, &System{FS: root}, "find", "leftovers", "count", `0`, Error, "where to look is not said")
}

// A real file system: links that lead out, folders that may not be read, and other
// file systems.
func TestFindOnThisMachine(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b/c", "a"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/proc", filepath.Join(dir, "b/out")); err != nil {
		t.Fatal(err)
	}
	if found, list := findIn(t, os.DirFS(dir), FindResource{Paths: []string{"/"}}); strings.Join(found, " ") != "/a /b /b/c /b/out" {
		t.Errorf("got %v, %s", found, told(list))
	}
	if found, _ := findIn(t, os.DirFS("/"), FindResource{Paths: []string{"/"}, Names: []string{"proc", "self"}, Depth: 2}); !strings.Contains(strings.Join(found, " "), "/proc") ||
		strings.Contains(strings.Join(found, " "), "/proc/self") {
		t.Errorf("of another file system: %v", found)
	}
}

// failingFolder fails in some folders.
type failingFolder struct {
	fs.FS
	err error
}

func (b failingFolder) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == "broken" {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: b.err}
	}
	return fs.ReadDir(b.FS, name)
}

func TestFindSaysWhatCouldNotBeLookedAt(t *testing.T) {
	root := fstest.MapFS{"broken": {Mode: fs.ModeDir | 0o755}, "x": {}}
	refused := Fail // root may read everything, so that the file system is broken
	if os.Geteuid() != 0 {
		refused = Error
	}
	for _, tt := range []struct {
		err  error
		want Verdict
	}{
		{fs.ErrPermission, refused},
		{errors.New("input/output error"), Fail},
		{fs.ErrNotExist, Pass}, // it has just been deleted
	} {
		_, list := findIn(t, failingFolder{root, tt.err}, FindResource{Paths: []string{"/"}})
		if list[0].Verdict != tt.want {
			t.Errorf("%v: %s", tt.err, told(list))
		}
	}
}

func TestFindIsBounded(t *testing.T) {
	root := fstest.MapFS{strings.Repeat("d/", maxFindDepth+1) + "x": {}}
	if _, list := findIn(t, root, FindResource{Paths: []string{"/"}}); list[0].Verdict != Error {
		t.Errorf("deep: %s", told(list))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := FindResource{Paths: []string{"/"}, Count: want(t, Int, `0`)}
	if list := f.Evaluate(ctx, &System{FS: fstest.MapFS{}}); list[0].Verdict != Error {
		t.Errorf("interrupted: %s", told(list))
	}
	many := fstest.MapFS{}
	for i := range maxFound + 1 {
		many[fmt.Sprintf("d/%d", i)] = &fstest.MapFile{}
	}
	f = FindResource{Paths: []string{"/d"}, Found: want(t, List, `["/d/1"]`), Count: want(t, Int, fmt.Sprint(maxFound+1))}
	checkTold(t, f.Evaluate(t.Context(), &System{FS: many}),
		"found error: there are 100001, too many to be listed: count them\ncount pass\n")
}

func TestFindRefusesWhatItCannotLookFor(t *testing.T) {
	for want, f := range map[string]FindResource{
		"where to look is not said": {Common: Common{Key: "leftovers"}},
		"a path begins with a /":    {Paths: []string{"tmp"}},
		"is no pattern":             {Paths: []string{"/tmp/["}},
		"names are without folders": {Paths: []string{"/tmp"}, Names: []string{"a/b"}},
		"depth counts from 1":       {Paths: []string{"/tmp"}, Depth: -1},
		"not \"x\"":                 {Paths: []string{"/tmp"}, Except: []string{"x"}},
	} {
		if got := f.Mistake(); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
