package checks

import (
	"bytes"
	"context"
	"errors"
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
	Users   Matcher `json:"users,omitzero" kind:"list"` // as whom it runs
}

// Evaluate looks through /proc. A process goes by the name that the kernel
// has, which is cut after 15 characters, by the one that it was called by, and
// by that of its executable. One that has ended but was not waited for yet is
// not running.
func (p *Process) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	processes, err := fact(ctx, &sys.facts, "processes", func() (map[string][]string, error) {
		return processesByName(ctx, sys.FS)
	})
	folders := processes[p.id(p.Comm)]
	if err != nil {
		r.noPresence("running", p.Running, err)
	} else {
		r.presence("running", p.Running, len(folders) > 0, "it is not running")
	}
	r.find("users", p.Users, func() (any, error) { return usersOf(ctx, sys, folders) })
	return r.list
}

// processesByName returns the folders of the processes that go by each name.
func processesByName(ctx context.Context, root fs.FS) (map[string][]string, error) {
	entries, err := fs.ReadDir(root, "proc")
	if err != nil {
		return nil, inconclusive{err}
	}
	folders := make(map[string][]string)
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		if ctx.Err() != nil {
			return nil, inconclusive{context.Cause(ctx)}
		}
		folder := "proc/" + e.Name()
		for _, name := range namesOf(root, folder) {
			if of := folders[name]; len(of) == 0 || of[len(of)-1] != folder {
				folders[name] = append(of, folder)
			}
		}
	}
	if len(folders) == 0 { // there is at least this one
		return nil, inconclusivef("/proc shows no process")
	}
	return folders, nil
}

// usersOf returns the sorted names, or numbers, of the users as whom the processes
// run.
func usersOf(ctx context.Context, sys *System, folders []string) ([]string, error) {
	var names []string
	for _, folder := range folders {
		uid, ok := effectiveUser(sys.FS, folder)
		if !ok {
			continue // it has ended
		}
		name := decimal(uid)
		a, found, err := sys.account(ctx, name, func(a account) bool { return a.uid == uid })
		if err != nil {
			return nil, err
		}
		if found {
			name = a.name
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, errors.New("it has just ended")
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// effectiveUser reads the second number of "Uid:", which is of who the kernel
// takes the process for.
func effectiveUser(root fs.FS, folder string) (uid int, ok bool) {
	status, err := readStart(root, folder+"/status", maxProcFile)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "Uid:" {
			return parseID(f[2])
		}
	}
	return 0, false
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
