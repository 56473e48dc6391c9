package journal

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// An Entry is a journal in a folder.
type Entry struct {
	Path  string
	Live  bool   // its run goes on
	State *State // nil where it could not be read
	Err   error
}

// ID is the run's.
func (e Entry) ID() string { return strings.TrimSuffix(filepath.Base(e.Path), suffix) }

// List returns the journals in the folder, the oldest run first. What a process has
// left that was killed while it made one is removed.
func List(dir string) ([]Entry, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		info, err := file.Info()
		switch {
		case err != nil: // it is gone
		case strings.HasSuffix(path, suffix):
			all = append(all, entry(path))
		case strings.HasPrefix(file.Name(), "new-") && time.Since(info.ModTime()) > time.Hour:
			os.Remove(path)
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int {
		if a.State == nil || b.State == nil {
			return cmp.Compare(a.Path, b.Path)
		}
		return a.State.Run.Started.Compare(b.State.Run.Started)
	})
	return slices.DeleteFunc(all, func(e Entry) bool { return errors.Is(e.Err, fs.ErrNotExist) }), nil
}

func entry(path string) Entry {
	e := Entry{Path: path}
	f, err := os.Open(path)
	if err != nil {
		e.Err = err
		return e
	}
	defer f.Close() // and with it a lock
	e.State, _, e.Err = Read(f)
	e.Live = errors.Is(lock(f, syscall.LOCK_SH), ErrLive)
	return e
}
