// Package journal keeps how far runs have come, a file a run, so that what a run
// that was killed has left can be finished.
//
// A file is lines of JSON: the run with its plan, and then a runner.Step each. Whoever
// works on a run holds a lock on its file; the kernel drops it with the process, so
// that a file without a lock is of a run that is no more. Nothing in it is secret:
// no password, and no URL of a feed.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/upmaru/icepak/cmd/internal/runner"
)

const suffix = ".jsonl"

// ErrLive says that the run whose journal it is still lives.
var ErrLive = errors.New("the run is not over")

// A Journal is a run's file, which nobody else writes. Several goroutines may use it.
type Journal struct {
	path string
	warn func(error)

	mu     sync.Mutex
	state  *State
	f      *os.File
	size   int64
	unkept []byte // lines that could not be written yet
	failed bool   // which was told
}

var _ runner.Journal = (*Journal)(nil)

// Create makes the run's journal in the folder. warn is told when it cannot be
// written any more.
func Create(dir string, run Run, warn func(error)) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	line, err := json.Marshal(run)
	if err != nil {
		return nil, err
	}
	// It gets its name with its first line, when it is locked: nobody may take it for
	// one of a run that is no more.
	f, err := os.CreateTemp(dir, "new-*") // for its owner only
	if err != nil {
		return nil, err
	}
	state := &State{Run: run}
	state.join()
	j := &Journal{path: filepath.Join(dir, run.ID+suffix), warn: warn, f: f, state: state}
	err = lock(f, syscall.LOCK_EX)
	if err == nil {
		err = j.append(append(line, '\n'), true)
	}
	if err == nil {
		err = os.Rename(f.Name(), j.path)
	}
	if err != nil {
		os.Remove(f.Name())
		f.Close()
		return nil, err
	}
	return j, syncFolder(dir)
}

// Open takes over the journal of a run that is no more. The error is ErrLive where the
// run still lives.
func Open(path string, warn func(error)) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	state, size, err := takeOver(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Journal{path: path, warn: warn, f: f, size: size, state: state}, nil
}

func takeOver(f *os.File, path string) (*State, int64, error) {
	err := lock(f, syscall.LOCK_EX)
	for range 10 { // somebody may only be looking whether the run lives, see List
		if !errors.Is(err, ErrLive) {
			break
		}
		time.Sleep(10 * time.Millisecond)
		err = lock(f, syscall.LOCK_EX)
	}
	if err != nil {
		return nil, 0, err
	}
	// Whoever had the lock before may have finished the run.
	mine, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	named, err := os.Stat(path)
	if err != nil || !os.SameFile(mine, named) {
		return nil, 0, errors.Join(err, fs.ErrNotExist)
	}
	state, size, err := Read(f)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", path, err)
	}
	// What comes next begins a line of its own.
	return state, size, f.Truncate(size)
}

// lock is held until the file is closed.
func lock(f *os.File, how int) error {
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLive
	}
	return err
}

// syncFolder has a new name in the folder outlive the machine's end.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); !errors.Is(err, syscall.EINVAL) { // which some file systems say
		return err
	}
	return nil
}

// Note appends the step. What is about to happen, and what was found out, is on the
// disk then; that something has happened can be found out again.
func (j *Journal) Note(s runner.Step) {
	durable := s.Kind == runner.Launching || s.Kind == runner.Fetching || s.Kind == runner.Decided || s.Kind == runner.Sending
	j.add(entryLine{Step: s, Checks: checksOf(s.Checks)}, durable)
}

// Plan notes that a resumed run has planned the image anew.
func (j *Journal) Plan(job runner.Job) {
	kept := JobOf(job)
	j.add(entryLine{Step: runner.Step{Kind: replanned, Image: job.Image}, Job: &kept}, true)
}

func (j *Journal) add(next entryLine, durable bool) {
	line, err := json.Marshal(next) // which makes one line of a report
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state.take(next)
	if err == nil {
		err = j.append(append(line, '\n'), durable)
	}
	if err != nil && !j.failed {
		j.failed = true
		j.warn(err)
	}
}

// append writes the line, and before it those that could not be written. A part of a
// line is taken back.
func (j *Journal) append(line []byte, durable bool) error {
	j.unkept = append(j.unkept, line...)
	if j.f == nil {
		return fs.ErrClosed
	}
	n, err := j.f.WriteAt(j.unkept, j.size)
	if err != nil {
		whole := bytes.LastIndexByte(j.unkept[:n], '\n') + 1
		j.size, j.unkept = j.size+int64(whole), j.unkept[whole:]
		return errors.Join(err, j.f.Truncate(j.size))
	}
	j.size, j.unkept = j.size+int64(n), nil
	if durable {
		return j.f.Sync()
	}
	return nil
}

// State is how far the run has come. It is for a time in which nothing is noted.
func (j *Journal) State() *State { return j.state }

// Complete tells whether all that was noted is in the file.
func (j *Journal) Complete() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.unkept) == 0
}

// Close leaves the journal to another process.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	err := j.f.Close()
	j.f = nil
	return err
}

// Remove removes the journal: nothing is left to be done.
func (j *Journal) Remove() error {
	err := os.Remove(j.path) // while the lock is held
	return errors.Join(err, j.Close())
}
