package checks

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// killRounds bounds how often killTree looks again for what was started while
// it was killing.
const killRounds = 20

// killTree kills a process, its group, what descends from it, and what carries
// its cookie. It looks until it finds nothing more.
func killTree(pid int, cookie string) error {
	found := map[int]bool{pid: true}
	fresh := descendants(found, cookie) // before its children lose their parent
	err := syscall.Kill(-pid, syscall.SIGKILL)
	for range killRounds {
		for _, p := range fresh {
			// A process that has ended since is what was wanted.
			_ = syscall.Kill(p, syscall.SIGKILL)
			found[p] = true
		}
		if fresh = descendants(found, cookie); len(fresh) == 0 {
			break
		}
	}
	if err == syscall.ESRCH {
		return os.ErrProcessDone
	}
	return err
}

// descendants returns the live processes that are not in found, and of which
// the parent is in it or in the list itself, or which carry the cookie.
func descendants(found map[int]bool, cookie string) []int {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	children := make(map[int][]int)
	var fresh []int
	seen := map[int]bool{os.Getpid(): true}
	take := func(pid int) {
		if !seen[pid] && !found[pid] {
			seen[pid] = true
			fresh = append(fresh, pid)
		}
	}
	for _, dir := range entries {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		parent, ok := parentOf(dir)
		if !ok {
			continue
		}
		children[parent] = append(children[parent], pid)
		environ, err := os.ReadFile(dir + "/environ")
		if err == nil && hasVariable(environ, cookie) {
			take(pid)
		}
	}
	for pid := range found {
		for _, child := range children[pid] {
			take(child)
		}
	}
	for i := 0; i < len(fresh); i++ {
		for _, child := range children[fresh[i]] {
			take(child)
		}
	}
	return fresh
}

// parentOf reads a live process's parent.
func parentOf(dir string) (parent int, alive bool) {
	data, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, false
	}
	stat, ok := parseStat(data)
	return stat.parent, ok && stat.alive()
}

func hasVariable(environ []byte, variable string) bool {
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if string(v) == variable {
			return true
		}
	}
	return false
}
