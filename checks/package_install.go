package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plainLanguage has managers speak the language in which their words are known
// here.
const plainLanguage = "LC_ALL=C"

// refreshPackages fetches the lists of packages, if the manager does not by
// itself. That they were fetched holds for the whole run; a failure only until the
// next Refresh, so that it can be tried again.
func (s *System) refreshPackages(ctx context.Context, m packageManager) error {
	if m.refresh == nil || slices.ContainsFunc(m.lists, s.holdsSomething) {
		return nil
	}
	name := "package lists of " + m.program
	_, err := fact(ctx, &s.facts, name, func() (bool, error) {
		_, err := fact(ctx, &s.events, name, func() (bool, error) {
			return true, s.runManager(ctx, m, m.refresh)
		})
		if err != nil {
			s.events.forget(name)
		}
		return true, err
	})
	return err
}

// lockWait is how long a package manager's lock is waited for: a distribution
// may look for updates by itself just after the boot, and not every manager
// waits for its lock.
const lockWait = time.Minute

// runManager runs a package manager's command, again while another process
// holds its lock.
func (s *System) runManager(ctx context.Context, m packageManager, args []string, names ...string) error {
	verb := args[len(args)-1]
	what := strings.Join(append([]string{m.program, verb}, names...), " ")
	cmd := Command{Args: slices.Concat([]string{m.program}, args, names), Env: append([]string{plainLanguage}, m.env...)}
	deadline := time.Now().Add(lockWait)
	for leftOver := false; ; {
		_, err := s.run(ctx, what, cmd)
		failed, ok := errors.AsType[*commandError](err)
		if !ok {
			return err
		}
		if slices.Contains(m.good, failed.code) {
			return nil
		}
		locked := lockHeld(failed.output)
		dead := locked && m.lockFile != "" && s.leftOver(m.lockFile)
		switch late := time.Now().After(deadline); {
		case dead && leftOver: // twice, for it may just be given up
			failed.message = fmt.Sprintf("%s: %s is left over: no process has it open", what, m.lockFile)
		case locked && late:
			failed.message = fmt.Sprintf("%s: after %s %s", what, lockWait, s.lockHolder(m, failed.output))
		case locked:
			leftOver = dead
			select {
			case <-time.After(time.Second):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		failed.output = errorLines(failed.output)
		return failed
	}
}

// lockHeld tells whether a package manager gave up because another one is at
// work.
func lockHeld(output string) bool {
	for _, sign := range []string{
		"Could not get lock",            // apt-get
		"Unable to acquire the dpkg",    // apt-get, of dpkg's front-end lock
		"is locked by another process",  // dpkg: "dpkg frontend lock was locked by another process"
		"was locked by another process", // dpkg
		"Unable to lock database",       // apk
		"unable to lock database",       // pacman
		"System management is locked",   // zypper
		"already locked by",             // dnf 4
		"Another app is currently",      // yum
		"waiting for pid",               // yum, where it is told not to wait
		"transaction lock",              // dnf5, and rpm in all of its family
		"lock pkgdb",                    // xbps
		"holding lock file",             // apt-get, of old
	} {
		if strings.Contains(output, sign) {
			return true
		}
	}
	return false
}

// holderID is how apt, dnf 4, zypper and yum name the process that has the lock.
var holderID = regexp.MustCompile(`(?i)(?:held by process|locked by|with pid|running as pid|waiting for pid)\s+(\d+)`)

// lockHolder says who holds the lock, as the manager tells it.
func (s *System) lockHolder(m packageManager, output string) string {
	var pid string
	if found := holderID.FindStringSubmatch(output); found != nil {
		pid = found[1]
	} else if m.lockFile != "" {
		pid = s.openedBy(m.lockFile)
	}
	if pid == "" {
		return "another process still holds its lock"
	}
	holder := "process " + pid
	if comm, err := readStart(s.FS, "proc/"+pid+"/comm", maxProcFile); err == nil {
		holder = fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(comm)), pid)
	}
	return "its lock is still held by " + holder
}

// leftOver tells whether there is a lock file that no process has open.
func (s *System) leftOver(lockFile string) bool {
	return s.exists(lockFile) && s.openedBy(lockFile) == ""
}

// openedBy returns the first process that has the file open, by its base name:
// the folder may be reached through links.
func (s *System) openedBy(name string) string {
	for _, pid := range s.entries("/proc") {
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		dir := "proc/" + pid + "/fd"
		for _, fd := range s.entries("/" + dir) {
			if link, err := fs.ReadLink(s.FS, dir+"/"+fd); err == nil && path.Base(link) == path.Base(name) {
				return pid
			}
		}
	}
	return ""
}
