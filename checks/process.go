package checks

import (
	"bytes"
	"context"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Process is a running program, known by its name.
type Process struct {
	Common
	Comm    string  `json:"comm,omitempty"`
	Running Matcher `json:"running,omitzero" kind:"bool"`
}

// Evaluate looks through /proc. A process goes by the name that the kernel
// has, which is cut after 15 characters, by the one that it was called by, and
// by that of its executable. One that has ended but was not waited for yet is
// not running.
func (p *Process) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	r.find("running", p.Running, func() (any, error) {
		names, err := fact(ctx, &sys.facts, "processes", func() (map[string]bool, error) {
			return processNames(ctx, sys.FS)
		})
		return names[p.id(p.Comm)], err
	})
	return r.list
}

func processNames(ctx context.Context, root fs.FS) (map[string]bool, error) {
	entries, err := fs.ReadDir(root, "proc")
	if err != nil {
		return nil, inconclusive{err}
	}
	names := make(map[string]bool)
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		if ctx.Err() != nil {
			return nil, inconclusive{context.Cause(ctx)}
		}
		for _, name := range namesOf(root, "proc/"+e.Name()) {
			names[name] = true
		}
	}
	if len(names) == 0 { // there is at least this one
		return nil, inconclusivef("/proc shows no process")
	}
	return names, nil
}

// maxProcFile bounds what is read of a file of a process.
const maxProcFile = 64 << 10

// namesOf returns the names of the process of that folder: none where it has
// ended meanwhile.
func namesOf(root fs.FS, dir string) []string {
	data, err := readStart(root, dir+"/stat", maxProcFile)
	if err != nil {
		return nil
	}
	stat, ok := parseStat(data)
	if !ok || !stat.alive() {
		return nil
	}
	names := []string{stat.comm}
	if cmdline, err := readStart(root, dir+"/cmdline", maxProcFile); err == nil {
		names = append(names, namesOfArgs(stat.comm, strings.Split(string(cmdline), "\x00"))...)
	}
	if exe, err := fs.ReadLink(root, dir+"/exe"); err == nil {
		names = append(names, path.Base(strings.TrimSuffix(exe, " (deleted)")))
	}
	return slices.DeleteFunc(names, func(s string) bool { return s == "." || s == "/" })
}

// maxComm is what the kernel keeps of a name.
const maxComm = 15

// namesOfArgs returns the name that a process was called by, and that of the
// script that it runs, where the kernel has cut that.
func namesOfArgs(comm string, args []string) []string {
	var names []string
	if !strings.Contains(args[0], " ") { // else it is a title that the process has given itself
		names = append(names, path.Base(args[0]))
	}
	for _, arg := range args[1:] {
		if name := path.Base(arg); len(comm) == maxComm && strings.HasPrefix(name, comm) {
			return append(names, name)
		}
	}
	return names
}

// A processStat is the start of /proc/PID/stat.
type processStat struct {
	comm   string
	state  byte
	parent int
}

// alive tells whether the process can still do something.
func (s processStat) alive() bool { return s.state != 'Z' && s.state != 'X' && s.state != 'x' }

// parseStat reads "PID (comm) state parent …"; comm may hold anything, also
// brackets and spaces.
func parseStat(data []byte) (processStat, bool) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 0 || end < open {
		return processStat{}, false
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 2 {
		return processStat{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return processStat{string(data[open+1 : end]), fields[0][0], parent}, err == nil
}
