package causes

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const small = 1 << 20 // bytes: a file system with less free is full

var (
	noSpace  = regexp.MustCompile(`(?i)no space left on device|disk full|not enough free (disk )?space|don't have enough free space`)
	readOnly = regexp.MustCompile(`(?i)read-only file ?system`)
)

// diskRules are about disks and memory.
func diskRules() []rule {
	most := packages | services | files | disk | boot
	return []rule{
		{"a file system is full", most, func(s *scene) []Finding { return s.full(false) }},
		{"inodes are used up", most, func(s *scene) []Finding { return s.full(true) }},
		{"a read-only root", most, func(s *scene) []Finding {
			for _, m := range s.mounts() {
				if m.readOnly && (m.point == "/" || readOnly.MatchString(s.said) && strings.Contains(s.said, m.point+"/")) {
					return one("filesystems", "%s is mounted read-only", m.point)
				}
			}
			return nil
		}},
		{"killed for memory", memory | services | packages | boot, outOfMemory},
		{"killed for memory, by the log", memory | services | packages | boot, once(
			line("dmesg journal-warnings", `(?:Out of memory|Memory cgroup out of memory): Killed process \d+ \(([^)]+)\)`, "the kernel ran out of memory and killed $1"),
			line("journal-*", `(\S+): A process of this unit has been killed by the OOM killer`, "$1: a process was killed for lack of memory"))},
		{"too many processes", memory | services | packages, once(
			line("cgroup", `(?m)^(?:pids/)?pids\.events max ([1-9]\d*)`, "the limit of processes was met $1 times"))},
	}
}

// full tells of file systems without room: for bytes or for files. A disk that is
// merely nearly full counts only where something has complained.
func (s *scene) full(inodes bool) []Finding {
	complained := noSpace.MatchString(s.said) || noSpace.MatchString(s.evidence["journal-warnings"])
	var found []Finding
	for _, m := range s.mounts() {
		if m.readOnly || strings.HasPrefix(m.point, "/run/") || strings.HasPrefix(m.point, "/snap") {
			continue
		}
		switch {
		case inodes && (m.inodeUsed == 100 || m.inodeUsed >= 99 && complained):
			found = append(found, Finding{fmt.Sprintf("%s has no inodes left: %d%% are used", m.point, m.inodeUsed), "filesystems"})
		case !inodes && m.used >= 0 && (m.free < small && m.bytes > small || m.used >= 98 && complained):
			found = append(found, Finding{fmt.Sprintf("%s is full: %s of %s are free", m.point, size(m.free), size(m.bytes)), "filesystems"})
		}
	}
	return found
}

func size(n uint64) string {
	const units = "KMGT"
	if n < 1024 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}

var (
	oomKills = regexp.MustCompile(`(?m)^memory(?:\.events|/memory\.oom_control) oom_kill ([1-9]\d*)`)
	memLimit = regexp.MustCompile(`(?m)^memory(?:\.max|/memory\.limit_in_bytes) (\d+)$`)
)

// outOfMemory is what the guest's own cgroup counts.
func outOfMemory(s *scene) []Finding {
	m := oomKills.FindStringSubmatch(s.evidence["cgroup"])
	if m == nil {
		return nil
	}
	limit := ""
	if l := memLimit.FindStringSubmatch(s.evidence["cgroup"]); l != nil {
		if n, err := strconv.ParseUint(l[1], 10, 64); err == nil && n < 1<<50 {
			limit = ": its limit is " + size(n)
		}
	}
	return one("cgroup", "the guest ran out of memory and %s of its processes were killed%s", m[1], limit)
}
