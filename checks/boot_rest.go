package checks

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// kernelThread is the flag of a process that is part of the kernel, in
// /proc/PID/stat.
const kernelThread = 0x00200000

// processCount counts the processes of the guest, without those of the kernel,
// this one, and what it has started.
func (s *System) processCount(ctx context.Context) (int, error) {
	entries, err := fs.ReadDir(s.FS, "proc")
	if err != nil {
		return 0, inconclusive{err}
	}
	parents := map[int]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if ctx.Err() != nil {
			return 0, inconclusive{context.Cause(ctx)}
		}
		data, err := readStart(s.FS, "proc/"+e.Name()+"/stat", maxProcFile)
		if err != nil {
			continue // it has ended
		}
		stat, ok := parseStat(data)
		if flags, known := statField(data, 9); ok && stat.alive() && known && flags&kernelThread == 0 {
			parents[pid] = stat.parent
		}
	}
	if len(parents) == 0 { // there is at least this one
		return 0, inconclusivef("/proc shows no process")
	}
	self, err := s.selfPID()
	if err != nil {
		return 0, err
	}
	count := 0
	for pid := range parents {
		if !descends(parents, pid, self) {
			count++
		}
	}
	return count, nil
}

// descends tells whether pid is the ancestor, or comes from it.
func descends(parents map[int]int, pid, ancestor int) bool {
	for range len(parents) + 1 { // what was read at different times may go in a circle
		if pid == ancestor {
			return true
		}
		pid = parents[pid]
	}
	return false
}

// selfPID is this process's number as /proc has it.
func (s *System) selfPID() (int, error) {
	name, err := fs.ReadLink(s.FS, "proc/self")
	if err != nil {
		return 0, inconclusive{err}
	}
	pid, err := strconv.Atoi(path.Base(name))
	if err != nil {
		return 0, inconclusive{err}
	}
	return pid, nil
}

// memoryUsed is the guest's memory in bytes that cannot be had back at once,
// without this process's own. A machine's kernel tells it; a container is the
// control group that it sees as the root of all.
func (s *System) memoryUsed() (int64, error) {
	used, err := s.memoryOfGroup()
	if s.ownKernel() {
		used, err = s.memoryOfMachine()
	}
	if err != nil {
		return 0, err
	}
	return max(0, used-s.ownMemory()), nil
}

// memoryOfGroup reads what the control group holds, less the files' pages that
// nobody has used for a while. Both versions of control groups are there still.
func (s *System) memoryOfGroup() (int64, error) {
	for _, v := range []struct{ current, stat, inactive string }{
		{"sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.stat", "inactive_file"},
		{"sys/fs/cgroup/memory/memory.usage_in_bytes", "sys/fs/cgroup/memory/memory.stat", "total_inactive_file"},
	} {
		text, err := readStart(s.FS, v.current, maxProcFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, inconclusive{err}
		}
		current, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			return 0, inconclusivef("/%s: %w", v.current, err)
		}
		stat, err := readStart(s.FS, v.stat, maxProcFile)
		if err != nil {
			return 0, inconclusive{err}
		}
		inactive, ok := lineNumber(stat, v.inactive)
		if !ok {
			return 0, inconclusivef("/%s has no %s", v.stat, v.inactive)
		}
		return max(0, current-inactive), nil
	}
	return 0, inconclusivef("the guest does not see the memory of its own control group")
}

// memoryOfMachine is what a machine's kernel does not have available.
func (s *System) memoryOfMachine() (int64, error) {
	info, err := readStart(s.FS, "proc/meminfo", maxProcFile)
	if err != nil {
		return 0, inconclusive{err}
	}
	total, ok := lineNumber(info, "MemTotal:")
	available, ok2 := lineNumber(info, "MemAvailable:")
	if !ok || !ok2 {
		return 0, inconclusivef("/proc/meminfo does not say how much is available")
	}
	return (total - available) << 10, nil
}

// ownMemory is what this process has for itself; zero where that is not told.
func (s *System) ownMemory() int64 {
	statm, err := readStart(s.FS, "proc/self/statm", maxProcFile)
	if err != nil {
		return 0
	}
	var pages [3]int64 // all, in memory, and of these from files
	for i, f := range strings.Fields(string(statm)) {
		if i < len(pages) {
			pages[i], _ = strconv.ParseInt(f, 10, 64)
		}
	}
	return max(0, pages[1]-pages[2]) * int64(os.Getpagesize())
}

// lineNumber is the number behind a name that begins a line.
func lineNumber(text []byte, name string) (int64, bool) {
	for line := range bytes.Lines(text) {
		if f := bytes.Fields(line); len(f) >= 2 && string(f[0]) == name {
			n, err := strconv.ParseInt(string(f[1]), 10, 64)
			return n, err == nil && n >= 0
		}
	}
	return 0, false
}
