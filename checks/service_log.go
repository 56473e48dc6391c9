package checks

import (
	"context"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// serviceLog returns the last lines that the service has logged: in the journal,
// or where services of other inits keep theirs.
func (s *System) serviceLog(ctx context.Context, manager serviceManager, service string) string {
	if _, ok := manager.(systemd); ok {
		return s.journal(ctx, service)
	}
	if !plainService(service) {
		return ""
	}
	for _, file := range []string{
		"/var/log/" + service + "/current", "/run/log/" + service + "/current", "/var/log/sv/" + service + "/current",
		"/var/log/runit/" + service + "/current", "/var/log/dinit/" + service + ".log",
		"/var/log/" + service + ".log", "/var/log/" + service + "/error.log", "/var/log/" + service + "/" + service + ".log",
	} {
		if lines := s.lastLines(file, ""); lines != "" {
			return lines
		}
	}
	for _, file := range []string{"/var/log/syslog", "/var/log/messages", "/var/log/everything/current", "/var/log/socklog/everything/current"} {
		if lines := s.lastLines(file, service); lines != "" {
			return lines
		}
	}
	return ""
}

// journal returns the last lines that the service has logged, if there is a
// journal.
func (s *System) journal(ctx context.Context, name string) string {
	if !s.hasProgram("journalctl") {
		return ""
	}
	out, err := s.run(ctx, "journalctl", Command{Args: []string{"journalctl", "-u", name, "-n", "20", "--no-pager", "--quiet"}})
	if err != nil {
		return ""
	}
	return string(out.Stdout)
}

// lastLines returns the last lines of a log, 20 at the most, which have a word in
// them.
func (s *System) lastLines(file, word string) string {
	const most, end = 20, 64 << 10
	// What is no file, such as a pipe, would be waited for.
	if info, err := fs.Stat(s.FS, fsPath(file)); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := s.FS.Open(fsPath(file))
	if err != nil {
		return ""
	}
	defer f.Close()
	if seeker, ok := f.(io.Seeker); ok {
		_, _ = seeker.Seek(-end, io.SeekEnd) // a smaller file is read from its start
	}
	data, err := io.ReadAll(io.LimitReader(f, end))
	if err != nil {
		return ""
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(data)), "\n"), func(line string) bool {
		return !strings.Contains(line, word)
	})
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// joinLines puts two texts one after the other, each from the start of a line.
func joinLines(a, b string) string {
	if a == "" || b == "" || strings.HasSuffix(a, "\n") {
		return a + b
	}
	return a + "\n" + b
}
