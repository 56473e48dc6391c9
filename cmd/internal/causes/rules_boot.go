package causes

import (
	"regexp"
	"strings"
)

// bootRules are about guests that do not get up.
func bootRules() []rule {
	return []rule{
		{"kernel panic", boot, line("console dmesg", `Kernel panic - not syncing: ([^\r\n]+)`, "kernel panic: $1")},
		{"no root file system", boot, line("console dmesg", `VFS: (Unable to mount root fs[^\r\n]*|Cannot open root device "[^"\r\n]*"[^\r\n]*)`, "the kernel has no root file system: $1")},
		{"init is missing", boot, line("lxc.log console", `No such file or directory - Failed to exec "(/[^"]*)"`, "$1 is missing, or the interpreter that it names is")},
		{"init is of another architecture", boot, line("lxc.log console", `Exec format error - Failed to exec "(/[^"]*)"`, "$1 is no program for this machine: exec format error (another architecture, or not a program)")},
		{"init may not be executed", boot, line("lxc.log console", `Permission denied - Failed to exec "(/[^"]*)"`, "$1 may not be executed")},
		{"init's library", boot, line("console", `(?m)(/?\S+): error while loading shared libraries: (\S+): cannot open shared object file`, "$1 needs $2, which is missing")},
		{"the kernel finds no init", boot, line("console dmesg", `(?:Failed to execute|Requested init) (/\S+?)(?:,| failed)? ?\(error (-\d+)\)`, "the kernel cannot run $1 (error $2)")},
		{"init gave up", boot, line("console", `\[!!!!!!\] ([^\r\n]+?),? ?(?:freezing|exiting)`, "systemd gave up: $1")},
		{"a default target", boot, line("console", `Failed to (?:load|isolate) default target[^\r\n]*?: ([^\r\n]+)`, "systemd has no default target: $1")},
		{"cgroups", boot, line("console", `Failed to (mount (?:cgroup|tmpfs|API)[^\r\n]*|create /init\.scope[^\r\n]*)`, "systemd failed to $1")},
		{"a mount that failed", boot | services, mountFailed},
		{"a device that does not come", boot, line("console", `Timed out waiting for device (\S+?)(?: - (/\S+?))?\.?[\r\n]`, "the device $1 $2 does not come")},
		{"a start that goes on", boot, stillStarting},
		{"dependencies of the emergency", boot, once(
			line("console", `You are in (emergency|rescue) mode`, "the system went into $1 mode"),
			line("journal-warnings", `(?i)(emergency|rescue)\.service: `, "the system went into $1 mode"))},
		{"a file system check", boot, line("console journal-warnings", `(?m)(systemd-fsck\[\d+\]|fsck): ([^\r\n]*(?:UNEXPECTED INCONSISTENCY|failed)[^\r\n]*)`, "fsck: $2")},
		{"no terminal", boot, line("console", `(?m)^(?:init: )?can't open (/dev/\S+): No such file`, "$1 is missing")},
		{"inittab", boot, line("console", `(?m)INIT: ([^\r\n]*(?:no inittab|No more processes left|respawning too fast)[^\r\n]*)`, "init: $1")},
		{"udev", boot, line("console journal-warnings", `Failed to start (systemd-udevd)\.service`, "$1 does not start")},
		{"cloud-init", boot, cloudInit},
		{"machine-id", boot | services, func(s *scene) []Finding {
			if s.fileFact("/etc/machine-id") == "missing" {
				return one("files", "/etc/machine-id is missing")
			}
			return nil
		}},
	}
}

var argv = regexp.MustCompile(`argv\[\]=([^;]+) ;[^}]*stop_time=\[n/a\] ; pid=[1-9]`)

// stillStarting says of units whose start goes on what they are running.
func stillStarting(s *scene) []Finding {
	var found []Finding
	for l := range strings.Lines(s.evidence["jobs"]) {
		f := strings.Fields(l)
		if len(f) != 4 || f[2] != "start" || f[3] != "running" {
			continue
		}
		if m := argv.FindStringSubmatch(s.evidence["unit-"+f[1]]); m != nil {
			found = append(found, Finding{f[1] + " is still starting: it runs " + m[1], "jobs"})
		}
	}
	return found
}

var mountError = regexp.MustCompile(`(?m): (mount: [^\r\n]+|[^\r\n]*(?:special device|unknown filesystem type|wrong fs type|bad superblock)[^\r\n]*)`)

// mountFailed says of each mount unit that failed what mount has said.
func mountFailed(s *scene) []Finding {
	var found []Finding
	names, texts := s.at("unit-*")
	for i, text := range texts {
		unit := strings.TrimPrefix(names[i], "unit-")
		if !strings.HasSuffix(unit, ".mount") || property(text, "ActiveState") != "failed" {
			continue
		}
		why := property(text, "Result")
		if m := mountError.FindStringSubmatch(s.evidence["journal-"+unit]); m != nil {
			why = m[1]
		}
		where := ""
		if point := property(text, "Where"); point != "" && strings.Contains(s.evidence["fstab"], " "+point+" ") {
			where = in("/etc/fstab")
		}
		found = append(found, Finding{unit + " failed: " + why + where, names[i]})
	}
	return found
}

var (
	cloudErrors = regexp.MustCompile(`"errors":\s*\[\s*"((?:[^"\\]|\\.)+)"`)
	cloudLog    = regexp.MustCompile(`(?m)(?:\[(?:ERROR|CRITICAL)\]|(?:ERROR|CRITICAL)): ([^\r\n]+)`)
)

// cloudInit is the first error that cloud-init notes.
func cloudInit(s *scene) []Finding {
	if m := cloudErrors.FindStringSubmatch(s.evidence["cloud-init"]); m != nil {
		return one("cloud-init", "cloud-init: %s", m[1])
	}
	if m := cloudLog.FindStringSubmatch(s.evidence["cloud-init.log"]); m != nil {
		return one("cloud-init.log", "cloud-init: %s", m[1])
	}
	return nil
}

// property is one of what systemctl show prints.
func property(text, name string) string {
	for l := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(l, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
