package checks

import (
	"regexp"
	"strings"
)

// errorLines returns the lines of a package manager's output that say what
// went wrong, with the indented ones that go on with them and what a package's
// script printed before it failed, or all of it where no line says so.
func errorLines(output string) string {
	lines := strings.SplitAfter(output, "\n")
	keep := make([]bool, len(lines))
	goesOn, some, announced := false, false, 0
	for i, line := range lines {
		indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		if goesOn = (indented || i < announced) && goesOn || saysError(line); !goesOn {
			continue
		}
		if !indented && strings.HasSuffix(line, ":\n") {
			announced = i + 1 + maxAnnounced
		}
		keep[i], some = true, true
		if scriptFailed.MatchString(line) {
			for j := i - 1; j >= max(0, i-maxScriptLines) && !beforeScript.MatchString(lines[j]); j-- {
				keep[j] = true
			}
		}
	}
	if !some {
		return output
	}
	var kept strings.Builder
	for i, line := range lines {
		if keep[i] {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// maxAnnounced is how many lines go on with one that ends with a colon without
// being indented.
const maxAnnounced = 3

// maxScriptLines is how much is shown of what a package's script printed.
const maxScriptLines = 10

var (
	scriptFailed = regexp.MustCompile(`^dpkg: error processing package|scriptlet failed|failed to execute`)
	beforeScript = regexp.MustCompile(`^(?:Setting up|Preparing to|Unpacking|Processing triggers|Removing|Running|\(\d+/\d+\)|  (?:Preparing|Installing|Upgrading|Running scriptlet) +:)`)
)

// A line that starts in one of these ways says what went wrong, or explains it.
var errorStart = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`E:`, `Err:`, `dpkg(?:-deb)?: error`, `The following packages have unmet dependencies`, // apt and dpkg
	`W: (?:GPG error|.*(?:public key|NO_PUBKEY|signature|expired|invalid))`,
	`(?i)(?:error|fatal|failed|unable to|cannot|can't|could not|transaction failed|conflict)`,
	`No match for argument`, `No package .* available`, `Problem\b`, `\S+ already locked by`, `Existing lock`, // dnf, yum
	`Public key for .* is not installed`, `  ?- Curl error`, `.*Status code: [45]`, `Another app is currently`,
	`No provider of`, `Repository '.*' is invalid`, `System management is locked`, // zypper
	`WARNING: .*(?:UNTRUSTED|No such file|temporary error|BAD)`,                                      // apk
	`The '\S+' package must be updated`, `Package '.*' not found`, `MISSING:`, `Transaction aborted`, // xbps
	`!!! `, ` \* ERROR`, `emerge: `, // emerge
}, "|") + `)`)

// errorWithin are words that make a line one that explains, wherever they stand.
var errorWithin = regexp.MustCompile(`(?i)no space left|quota exceeded|read-only file system|dpkg was interrupted|dependency problems|` +
	`nothing provides|conflicts with|bad signature|not signed|key .*expired|expired key|certificate verif|unknown trust|` +
	`invalid or corrupted|\b404\b|temporary failure resolving|no such package|breaks: |scriptlet failed`)

func saysError(line string) bool {
	return errorStart.MatchString(line) || errorWithin.MatchString(line)
}
