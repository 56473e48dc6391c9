package runner

import (
	"regexp"
	"strings"
)

// lxcLine is a line of LXC's log: lxc [NAME] TIME LEVEL AREA - FILE:FUNCTION:LINE - MESSAGE.
var lxcLine = regexp.MustCompile(`^lxc (?:\S+ )?\d{14}\.\d+ ([A-Z]+) +\S+ - \S+ - (.*)$`)

// lxcErrors keeps what a person can use of LXC's log: the messages of its errors,
// each once. LXD asks a container that is gone for its state, and that LXC
// complains of that says nothing.
func lxcErrors(log string) string {
	var kept []string
	seen := map[string]bool{}
	for line := range strings.Lines(log) {
		m := lxcLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || m[1] != "ERROR" || seen[m[2]] {
			continue
		}
		if strings.Contains(m[2], "Failed to receive response") || strings.Contains(m[2], `command "get_state"`) {
			continue
		}
		seen[m[2]] = true
		kept = append(kept, m[2])
	}
	return strings.Join(kept, "\n")
}

// firstLine is the first line with text in it: with LXC, the cause.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}
