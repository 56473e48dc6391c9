package checks

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Bounds of a search. An image that has more is not searched to its end, which
// is an error.
const (
	maxVisits    = 5_000_000
	maxFindDepth = 500
	maxFound     = 100_000 // what is kept by name; more is only counted
)

// A search goes through a file system, and notes what is wanted.
type search struct {
	ctx  context.Context
	root fs.FS
	want *FindResource

	visits  int
	entered map[string]int // folders, and how deep they were
	found   map[string]bool
	count   int
	size    int64 // bytes of the regular files
}

// A place is what the search has come to. Its depth is 0 for what the globs name.
type place struct {
	path  string // of FS
	depth int
	entry fs.DirEntry
}

// run looks through all that the globs name: a folder stands for what is in it,
// anything else for itself.
func (s *search) run(globs []string) error {
	s.entered, s.found = make(map[string]int), make(map[string]bool)
	for _, glob := range globs {
		places, err := s.expand(fsPath(glob))
		if err != nil {
			return err
		}
		for _, p := range places {
			switch {
			case s.excepted(p.path):
			case p.entry.IsDir():
				err = s.tree(p)
			default:
				err = s.visit(p)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// paths are what was found, in order.
func (s *search) paths() []string {
	list := slices.AppendSeq(make([]string, 0, len(s.found)), maps.Keys(s.found))
	slices.Sort(list)
	return list
}

// tree visits what is in a folder, on its file system.
func (s *search) tree(top place) error {
	device, err := s.device(top)
	if err != nil {
		return err
	}
	for todo := []place{top}; len(todo) > 0; {
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if depth, again := s.entered[dir.path]; again && depth <= dir.depth {
			continue
		}
		if other, err := s.device(dir); err != nil || other != device {
			if err != nil {
				return err
			}
			continue
		}
		s.entered[dir.path] = dir.depth
		if dir.depth >= maxFindDepth {
			return inconclusivef("folders are nested more than %d deep", maxFindDepth)
		}
		entries, err := s.list(dir.path)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			p := place{path.Join(dir.path, entry.Name()), dir.depth + 1, entry}
			if s.excepted(p.path) {
				continue
			}
			if err := s.visit(p); err != nil {
				return err
			}
			if entry.IsDir() && p.depth != s.want.Depth {
				todo = append(todo, p)
			}
		}
	}
	return nil
}

// visit notes the place where it is wanted.
func (s *search) visit(p place) error {
	f := s.want
	mode := p.entry.Type()
	if f.Filetype != "" && filetype(mode) != f.Filetype || !f.named(path.Base(p.path)) {
		return nil
	}
	var size int64
	if f.WritableBy != "" || f.Setuid || f.Larger > 0 || f.Size.IsSet() {
		info, err := s.info(p)
		if info == nil || err != nil || !f.wants(info) {
			return err
		}
		if info.Mode().IsRegular() {
			size = info.Size()
		}
	}
	if s.found["/"+p.path] {
		return nil
	}
	if len(s.found) < maxFound {
		s.found["/"+p.path] = true
	}
	s.count++
	s.size += size
	return nil
}

func (f *FindResource) named(name string) bool {
	return len(f.Names) == 0 || slices.ContainsFunc(f.Names, func(glob string) bool {
		ok, _ := path.Match(glob, name)
		return ok
	})
}

// wants tells whether a file is as it is looked for. Anybody may write to a link,
// which means nothing, and into a folder with the sticky bit, which is meant so.
func (f *FindResource) wants(info fs.FileInfo) bool {
	mode := info.Mode()
	var write fs.FileMode
	switch f.WritableBy {
	case "group":
		write = 0o020
	case "others":
		write = 0o002
	}
	sticky := mode.IsDir() && mode&fs.ModeSticky != 0
	switch {
	case write != 0 && (mode&write == 0 || mode&fs.ModeSymlink != 0 || sticky):
		return false
	case f.Setuid && (mode&fs.ModeSetuid == 0 || mode.IsDir()):
		return false
	}
	return f.Larger == 0 || mode.IsRegular() && info.Size() > int64(f.Larger)
}

func (s *search) excepted(name string) bool {
	return slices.ContainsFunc(s.want.Except, func(glob string) bool {
		ok, _ := path.Match(path.Clean(glob), "/"+name)
		return ok
	})
}

// expand returns what a glob names. It follows links to folders on the way, and
// what is not there is none.
func (s *search) expand(glob string) ([]place, error) {
	names := []string{"."}
	for part := range strings.SplitSeq(glob, "/") {
		var next []string
		for _, name := range names {
			if !strings.ContainsAny(part, `*?[\`) {
				next = append(next, path.Join(name, part))
				continue
			}
			entries, err := s.list(name)
			if err != nil {
				return nil, err
			}
			for _, entry := range entries {
				if ok, _ := path.Match(part, entry.Name()); ok {
					next = append(next, path.Join(name, entry.Name()))
				}
			}
		}
		names = next
	}
	var places []place
	for _, name := range names {
		info, err := fs.Lstat(s.root, name)
		switch {
		case err == nil:
			places = append(places, place{path: name, entry: fs.FileInfoToDirEntry(info)})
		case !isAbsent(err):
			return nil, lookError(err)
		}
	}
	return places, nil
}

// list lists a folder. One that has just been deleted is empty.
func (s *search) list(name string) ([]fs.DirEntry, error) {
	if s.ctx.Err() != nil {
		return nil, inconclusive{context.Cause(s.ctx)}
	}
	entries, err := fs.ReadDir(s.root, name)
	if s.visits += len(entries); s.visits > maxVisits {
		return nil, inconclusivef("there are more than %d files", maxVisits)
	}
	if err != nil && !isAbsent(err) {
		return nil, lookError(err)
	}
	return entries, nil
}

// info is what is to be known of a place; nil where that has just been deleted.
func (s *search) info(p place) (fs.FileInfo, error) {
	info, err := p.entry.Info()
	if err != nil && !isAbsent(err) {
		return nil, lookError(err)
	}
	if err != nil {
		return nil, nil
	}
	return info, nil
}

// device is the number of the file system that a place is on, or 0.
func (s *search) device(p place) (uint64, error) {
	info, err := s.info(p)
	if info == nil || err != nil {
		return 0, err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Dev), nil
	}
	return 0, nil
}

func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
