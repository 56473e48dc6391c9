package causes

import (
	"regexp"
	"slices"
	"strings"
)

// serviceRules are about services that do not run.
func serviceRules() []rule {
	log := "journal-* " + output + " apt-term.log rc.log service-log-*"
	about := services
	return []rule{
		{"a masked unit", about, func(s *scene) []Finding { return s.everyUnit(masked) }},
		{"a broken unit", about, func(s *scene) []Finding { return s.everyUnit(broken) }},
		{"a unit's file", about, line("journal-*", `(/(?:etc|run|usr/lib|lib)/systemd/system/\S+:\d+): ([^\r\n]+)`, "$1: $2")},
		{"a missing program", about, once(
			line(log, `(\S+\.service): Failed to locate executable (\S+): ([^\r\n]+)`, "$1: $2: $3"),
			line(log, `(\S+\.service): Failed to execute (?:command: )?(?:(/\S+): )?([^\r\n]+)`, "$1 cannot be executed: $2 $3"))},
		{"a missing user", about, once(
			line(log, `(\S+\.service): Failed to determine user credentials: ([^\r\n]+)`, "$1: its user does not exist: $2"),
			line(log, `getpwnam\("([^"]+)"\) failed[^\r\n]*`, "the user $1 does not exist"),
			line(log, `getgrnam\("([^"]+)"\) failed[^\r\n]*`, "the group $1 does not exist"),
			line(log, `(\S+\.service): Failed to determine group credentials: ([^\r\n]+)`, "$1: its group does not exist: $2"))},
		{"a step of systemd's", about, line("journal-*", `(\S+\.service): Failed (?:at step|to set up) (\w+)(?: spawning (\S+?))?: ([^\r\n]+)`, "$1: step $2 failed for $3: $4")},
		{"an environment file", about, line("journal-*", `(\S+\.service): Failed to load environment files: ([^\r\n]+)`, "$1: its environment file cannot be loaded: $2")},
		{"a missing library", about | files, line(log, `(\S+): error while loading shared libraries: (\S+): [^\r\n]+`, "$1 needs the library $2, which is missing")},
		{"musl's missing library", about | files, line(log, `Error loading shared library (\S+?): [^\r\n]*\(needed by (\S+)\)`, "$2 needs the library $1, which is missing")},
		{"another architecture", about, line(log, `(/\S+): (?:cannot execute binary file: )?[Ee]xec format error`, "$1 is no program for this machine: exec format error")},
		{"a port in use", about, once(
			line(log, `bind\(\) to (\S+) failed \(\d+: Address (?:already )?in use\)`, "$1 is in use by something else"),
			line(log, `(?:[Bb]ind to port|could not bind to address) (\S+)[^\r\n]*Address already in use|[^\r\n]*?Address already in use[^\r\n]*?(\[?[\d.:a-f]*\]?:\d+)`, "$1$2 is in use by something else"),
			line("journal-*", `(?m)([\w.-]+)(?:\[\d+\])?: [^\r\n]*Address already in use`, "$1: its address is in use by something else"))},
		{"nginx's configuration", about, line(log, `\[emerg\][^\r\n]*?: ([^\r\n]+ in /\S+:\d+)`, "nginx: $1")},
		{"nginx cannot start", about, line(log, `\[emerg\] \d+#\d+: ([^\r\n]+ failed \(\d+: [^\r\n)]+\))`, "nginx: $1")},
		{"apache's configuration", about, line(log, `AH\d+: Syntax error on line (\d+) of (\S+?):`, "apache: a syntax error in $2, line $1")},
		{"sshd", about, once(
			line(log, `(?:sshd: )?(no hostkeys available)`, "sshd: there are no host keys"),
			line(log, `(/etc/ssh/\S+): line (\d+): ([^\r\n]+)`, "sshd: $1, line $2: $3"),
			line(log, `Missing privilege separation directory: (\S+)`, "sshd: $1 is missing"))},
		{"D-Bus", about, line(log, `(?:D-Bus library appears to be incorrectly set up|Failed to connect to (?:socket /run/dbus/system_bus_socket|bus))[^\r\n]*?: ([^\r\n]+)`, "D-Bus does not answer: $1")},
		{"a crash", about, once(
			line("journal-*", `(\S+\.service): (?:Main|Control) process exited, code=dumped, status=(\d+/\w+)`, "$1 crashed: $2"),
			line("journal-*", `(\S+\.service): (?:Main|Control) process exited, code=killed, status=(11/SEGV|4/ILL|7/BUS|6/ABRT)`, "$1 crashed: $2"))},
		{"a start that takes too long", about, line("journal-*", `(\S+\.service): start(?:-pre|-post)? operation timed out`, "$1 did not start within its time limit")},
		{"a condition", about, once(
			line("journal-*", `\((\S+)\) was skipped because (?:of an unmet|no trigger)[^\r\n]*\(([^)]+)\)`, "$1 is skipped: $2 does not hold"),
			line("journal-*", `was skipped because of (?:an unmet condition check|a failed condition check) \(([^)]+)\)`, "$unit is skipped: $1 does not hold"))},
		{"a dependency", about, line("journal-*", `(?:Dependency failed for|Job \S+/start failed with result 'dependency')[^\r\n]*?([\w@.\\-]+\.(?:service|mount|device|target))`, "$unit was not started: a unit that it needs failed")},
		{"OpenRC", about, once(
			line("rc.log rc-service-*", `(?m)ERROR: ([^\r\n]+)`, "OpenRC: $1"),
			line("rc-service-*", `(?m)\* status: (crashed)`, "$unit has crashed"))},
		{"a program that may not be executed", about | files, line(log, `(?m)(?:exec|sh|execvp?)[^\r\n]*?: (/\S+): Permission denied`, "$1 may not be executed")},
	}
}

// everyUnit asks of every service that is at issue.
func (s *scene) everyUnit(ask func(unit, show string) string) []Finding {
	var found []Finding
	names, texts := s.at("unit-*")
	for i, text := range texts {
		unit := strings.TrimPrefix(names[i], "unit-")
		if !s.concerns(unit) {
			continue
		}
		if why := ask(unit, text); why != "" {
			found = append(found, Finding{why, names[i]})
		}
	}
	return found
}

func masked(unit, show string) string {
	if property(show, "LoadState") != "masked" {
		return ""
	}
	where := in(property(show, "FragmentPath"))
	if where != "" {
		where = strings.TrimSuffix(where, ")") + " leads to /dev/null)"
	}
	return unit + " is masked" + where
}

var quoted = regexp.MustCompile(`"(.+)"`)

func broken(unit, show string) string {
	state := property(show, "LoadState")
	if !slices.Contains([]string{"bad-setting", "error"}, state) {
		return ""
	}
	why := property(show, "LoadError")
	if m := quoted.FindStringSubmatch(why); m != nil {
		why = m[1]
	}
	return unit + " cannot be loaded" + in(property(show, "FragmentPath")) + ": " + why
}

// lastRules are for what no other rule explains: the last words of a service, and
// what systemd says of it.
func lastRules() []rule {
	return []rule{
		{"a service's last words", services, lastWords},
		{"a package that is not configured", packages, line(output, `installed (\S+) package ((?:pre|post)-\w+) script subprocess returned error exit status (\d+)`, "the $2 script of $1 failed with exit status $3")},
		{"a service that exits", services, once(
			line("journal-*", `(\S+\.service): (?:Main|Control) process exited, code=\w+, status=(\d+/[\w-]+)`, "$1 exited with status $2"),
			line("journal-*", `(\S+\.service): Start request repeated too quickly`, "$1 failed too often and is not started any more"))},
	}
}

var (
	exited = regexp.MustCompile(`: (?:Main|Control) process exited, code=\w+, status=(\d+)/([\w-]+)`)
	words  = regexp.MustCompile(`^\S+ +\d+ [\d:]+ ([^\s\[:]+)(?:\[\d+\])?: (.*)$`)
)

// lastWords is what a service itself has written last before systemd noticed that
// it had ended.
func lastWords(s *scene) []Finding {
	var found []Finding
	names, texts := s.at("journal-*")
	for i, text := range texts {
		unit := strings.TrimPrefix(names[i], "journal-")
		if !strings.Contains(unit, ".") || !s.concerns(unit) || property(s.evidence["unit-"+unit], "ActiveState") == "active" {
			continue
		}
		last, status := "", ""
		for l := range strings.Lines(text) {
			l = strings.TrimRight(l, "\r\n")
			if m := exited.FindStringSubmatch(l); m != nil {
				status = m[1]
				continue
			}
			m := words.FindStringSubmatch(l)
			if m != nil && m[1] != "systemd" && !strings.HasPrefix(m[1], "(") && strings.TrimSpace(m[2]) != "" {
				last = m[1] + ": " + m[2]
			}
		}
		if last != "" && status != "" && status != "0" {
			found = append(found, Finding{unit + " exited with status " + status + ", and last said: " + last, names[i]})
		}
	}
	return found
}
