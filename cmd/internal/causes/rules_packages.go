package causes

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// packageRules are about package managers. Most of what they say is in what the
// check itself has printed: a rule says whose fault it is.
func packageRules() []rule {
	about := packages
	out := output + " apt-term.log dnf.log zypper.log pacman.log"
	return []rule{
		{"a lock", about, once(
			line(output, `Could not get lock (\S+?)\. It is held by process (\d+) \(([^)]*)\)`, "$1 is locked by process $2 ($3)"),
			line(output, `(?:Could not get lock|unable to acquire the dpkg[^\r\n]* lock|lock file) \(?(/\S+?)[\s.)]`, "$1 is locked"),
			line(output, `System management is locked by the application with pid (\d+) \(([^)]*)\)`, "zypper is locked by process $1 ($2)"),
			line(output, `Unable to lock database: ([^\r\n]+)`, "apk's database is locked: $1"),
			line(output, `could not lock database: ([^\r\n]+)`, "pacman's database is locked (/var/lib/pacman/db.lck): $1"))},
		{"dpkg was interrupted", about, interrupted},
		{"unfinished packages", about, unfinished},
		{"no sources", about, noSources},
		{"a name of a mirror", about, mirrorName},
		{"a missing key", about, keys},
		{"an unsigned repository", about, unsigned},
		{"a repository's date", about, once(
			line(output, `Release file for (\S+) is expired[^\r\n]*`, "the repository $1 has expired, or the clock is wrong"),
			line(output, `Release file for (\S+) is not valid yet[^\r\n]*`, "the repository $1 is from the future: the clock is wrong"))},
		{"a mirror that does not serve", about, gone},
		{"a mirror that cannot be reached", about, line(output, `(?:Could not connect to|Cannot initiate the connection to|Unable to connect to) (\S+?):?(?:\d+)? \(?[^\r\n]*?(timed out|Connection refused|Network is unreachable|No route to host)`, "$1 cannot be reached: $2")},
		{"a pinned package", about, pinned},
		{"a held package", about, held},
		{"unmet dependencies", about, line(output, `(?m)^ *(\S+) : ((?:Pre-)?Depends|Conflicts|Breaks): ([^\r\n]+)$`, "$1 cannot be installed: $2: $3")},
		{"broken packages", about, line(output, `(?m)^E: (The package (\S+) needs to be reinstalled[^\r\n]*)`, "$1")},
		{"a diverted dpkg", about, line(out, `dpkg: (?:error|unrecoverable fatal error, aborting): ?\s*([^\r\n]*(?:status|info|available|diversions|statoverride)[^\r\n]*)`, "dpkg: $1")},
		{"a missing program of dpkg", about, line(out, `dpkg: (?:warning|error): (?:'([^']+)' not found in PATH|PATH is not set)`, "dpkg misses the program $1")},
		{"denied services", services, line(output+" apt-term.log", `(/usr/sbin/policy-rc\.d) (?:returned|denied)[^\r\n]*`, "$1 keeps services from being started")},

		{"rpm: no repositories", about, line(output, `(?i)There are no enabled (?:repositories|repos)(?: in "([^"]+)")?|No repositories defined`, "no repository is enabled $1")},
		{"dnf: metadata", about, once(
			line(output, `Status code: (\d+) for (\S+)`, "$2: $1"),
			line(output, `Curl error \((\d+)\): ([^\r\n]+?) for (\S+)`, "$3: $2"),
			line(output, `Failed to download metadata for (?:repo|repository) ['"]?([^'":\s]+)`, "the repository $1 does not serve its metadata"),
			line(output, `Cannot find a valid baseurl for repo: (\S+)`, "the repository $1 has no address that works"))},
		{"rpm: keys", about, once(
			line(output, `Public key for (\S+) is not installed`, "the key that has signed $1 is not installed"),
			line(output, `(?:GPG check FAILED|repomd\.xml signature could not be verified for repo: (\S+))`, "the signature of the repository $1 is not good"),
			line(output, `Signature verification failed for file '([^']+)' from repository '([^']+)'`, "the signature of $1 of the repository $2 is not good"),
			line(output, `Couldn't open file (/etc/pki/\S+)`, "the key $1 is missing"))},
		{"rpm: dependencies", about, line(output, `nothing provides (\S[^\r\n]*?) needed by (\S+)`, "$2 needs $1, which no repository has")},
		{"zypper: repository", about, line(output, `Repository '([^']+)' is invalid`, "the repository $1 is invalid")},
		{"the rpm database", about, line(out, `(?i)(rpmdb[^\r\n]*(?:open|failed|damaged|corrupt)[^\r\n]*)`, "$1")},

		{"pacman: mirrors", about, once(
			line(output, `failed retrieving file '([^']+)' from (\S+) : ([^\r\n]+)`, "$2 does not serve $1: $3"),
			line(output, `no servers configured for repository: ([^\s.]+)`, "the repository $1 has no server: see /etc/pacman.d/mirrorlist"))},
		{"pacman: keys", about, once(
			line(output, `signature from "([^"\r\n]+)" is (unknown trust|marginal trust|invalid)`, "the key of $1 is of $2: pacman's keyring is not set up"),
			line(output, `(keyring is not writable|Public keyring not found[^\r\n]*|key "[^"]*" could not be looked up[^\r\n]*)`, "pacman: $1"))},
		{"pacman: databases", about, line(output, `database file for '([^']+)' does not exist`, "pacman has no database of the repository $1")},

		{"apk: repositories", about, line(output, `(?m)(?:WARNING|ERROR): (?:opening|fetching|updating and opening|Ignoring) (\S+?):? (?:from cache: )?(UNTRUSTED signature|DNS lookup error|No such file or directory|Permission denied|temporary error[^\r\n]*|network[^\r\n]*|remote server returned error[^\r\n]*|IO ERROR|BAD signature)`, "the repository $1 cannot be used: $2")},
		{"apk: dependencies", about, line(output, `(?m)^\s*(\S+) \(no such package\):\s*\n?\s*required by: ([^\r\n]+)`, "no repository has $1, which $2 asks for")},
		{"xbps", about, line(output, `Failed to fetch file '([^']+)': ([^\r\n]+)`, "$1: $2")},
	}
}

// wanted are the packages whose check failed.
func (s *scene) wanted() []string {
	var all []string
	for _, r := range s.failed {
		if r.Type == "package" {
			all = add(all, r.ID)
		}
	}
	return all
}

// interrupted is about what dpkg has left undone.
func interrupted(s *scene) []Finding {
	if left := strings.Fields(s.evidence["dpkg-updates"]); len(left) > 0 {
		return one("dpkg-updates", "dpkg was interrupted: %s is left over", left[0])
	}
	return nil
}

// unfinished names packages that are neither installed nor not, but for those that
// the check itself has just tried to install.
func unfinished(s *scene) []Finding {
	var found []Finding
	for l := range strings.Lines(s.evidence["dpkg-unfinished"]) {
		name, state, ok := strings.Cut(strings.TrimSpace(l), ": ")
		f := strings.Fields(state)
		if !ok || len(f) != 3 || f[2] == "not-installed" || f[2] == "installed" || f[2] == "config-files" || slices.Contains(s.wanted(), name) || strings.Contains(s.said, "Setting up "+name+" ") {
			continue
		}
		what := f[2]
		if f[1] == "reinstreq" {
			what += ", and has to be reinstalled"
		}
		found = append(found, Finding{fmt.Sprintf("the package %s is %s", name, what), "dpkg-unfinished"})
	}
	return found
}

// held is about packages that must stay as they are.
func held(s *scene) []Finding {
	names := strings.Fields(s.evidence["apt-holds"])
	for l := range strings.Lines(s.evidence["dpkg-unfinished"]) {
		if name, state, ok := strings.Cut(strings.TrimSpace(l), ": "); ok && strings.HasPrefix(state, "hold ") {
			names = add(names, name)
		}
	}
	for _, name := range names {
		if slices.Contains(s.wanted(), name) || strings.Contains(s.said, "Held packages") || strings.Contains(s.said, "held broken packages") {
			return one("apt-holds", "the package %s is on hold", name)
		}
	}
	return nil
}

var notThere = regexp.MustCompile(`Unable to locate package|has no installation candidate|(?m)^\s*\S+ \(no such package\)`)

// noSources is about a package manager that was told of no repository.
func noSources(s *scene) []Finding {
	if !notThere.MatchString(s.said) {
		return nil
	}
	if strings.Contains(s.said, "(no such package)") {
		for _, f := range s.sections("repositories") {
			if f.file == "/etc/apk/repositories" && strings.TrimSpace(f.text) == "" {
				return one("repositories", "/etc/apk/repositories names no repository")
			}
		}
		return nil
	}
	if s.evidence["files"] == "" {
		return nil
	}
	for _, f := range s.sections("apt-sources") {
		if regexp.MustCompile(`(?m)^\s*(deb\s|URIs:)`).MatchString(f.text) && !regexp.MustCompile(`(?mi)^Enabled:\s*no`).MatchString(f.text) {
			return nil
		}
	}
	return one("apt-sources", "apt has no sources: neither /etc/apt/sources.list nor a file in sources.list.d names any")
}

// sourceOf is the file that names an address, of those that name repositories.
func (s *scene) sourceOf(address string) string {
	if address == "" {
		return ""
	}
	pattern := regexp.MustCompile(regexp.QuoteMeta(strings.TrimSuffix(address, "/")))
	for _, piece := range []string{"apt-sources", "repositories"} {
		if file := s.fileWith(piece, pattern); file != "" {
			return file
		}
	}
	return ""
}

var unresolved = regexp.MustCompile(`(?i)(?:could not resolve (?:host: )?|temporary failure resolving |couldn't resolve host (?:name for \w+://)?)['"]?([\w.-]+[\w])`)

// mirrorName is about mirrors whose name cannot be looked up.
func mirrorName(s *scene) []Finding {
	var found []Finding
	for _, m := range unresolved.FindAllStringSubmatch(s.said, maxMatches) {
		found = append(found, Finding{fmt.Sprintf("the mirror's name %s does not resolve%s", m[1], in(s.sourceOf(m[1]))), output})
	}
	return found
}

var (
	noKey   = regexp.MustCompile(`(?m)^(.*?)(NO_PUBKEY|EXPKEYSIG|KEYEXPIRED|REVKEYSIG|BADSIG) ([0-9A-Fa-f]+)`)
	address = regexp.MustCompile(`(?:https?|file|ftp|copy):[^\s']+`)
	sqv     = regexp.MustCompile(`Missing key ([0-9A-F]+)`)
	keyFile = regexp.MustCompile(`(?i)(?:signed-by[=:]\s*|key(?:ring)? ?(?:file)? ?)(/[^\s\],]+)`)
	noFile  = regexp.MustCompile(`(/\S+\.(?:gpg|asc|pgp|pub)):? ?[^\r\n]*(?:No such file|not readable|not exist|unsupported filetype)`)
)

// keys is about keys that have signed a repository.
func keys(s *scene) []Finding {
	said := map[string]string{
		"NO_PUBKEY": "its key is missing", "EXPKEYSIG": "its key has expired", "KEYEXPIRED": "its key has expired",
		"REVKEYSIG": "its key was revoked", "BADSIG": "its signature is bad",
	}
	var found []Finding
	for _, m := range noKey.FindAllStringSubmatch(s.said, maxMatches) {
		of := address.FindString(m[1])
		place := cmp.Or(s.sourceOf(of), of, "a repository")
		found = append(found, Finding{fmt.Sprintf("%s: %s (%s %s)", place, said[m[2]], m[2], m[3]), output})
	}
	if len(found) == 0 {
		for _, m := range sqv.FindAllStringSubmatch(s.said, maxMatches) {
			found = append(found, Finding{"a repository's key is missing: " + m[1], output})
		}
	}
	if m := noFile.FindStringSubmatch(s.said); m != nil {
		found = append(found, Finding{fmt.Sprintf("the keyring %s cannot be read%s", m[1], in(s.sourceOf(m[1]))), output})
	} else if len(found) > 0 {
		found = append(s.missingKeyring(), found...)
	}
	return found
}

// missingKeyring is about sources that name a keyring that is not there.
func (s *scene) missingKeyring() []Finding {
	there := strings.Fields(s.evidence["keyrings"])
	var found []Finding
	for _, f := range s.sections("apt-sources") {
		for _, m := range keyFile.FindAllStringSubmatch(f.text, maxMatches) {
			if (strings.HasPrefix(m[1], "/usr/share/keyrings/") || strings.HasPrefix(m[1], "/etc/apt/")) && !slices.Contains(there, m[1]) {
				found = append(found, Finding{fmt.Sprintf("the keyring %s is missing%s", m[1], in(f.file)), "apt-sources"})
			}
		}
	}
	return found
}

var notSigned = regexp.MustCompile(`The repository '(\S+) [^']*' (is not signed|does not have a Release file|is no longer signed)`)

func unsigned(s *scene) []Finding {
	var found []Finding
	for _, m := range notSigned.FindAllStringSubmatch(s.said, maxMatches) {
		if strings.Contains(s.said, "NO_PUBKEY") || strings.Contains(s.said, "KEYSIG") {
			continue // that is why
		}
		if file := s.sourceOf(m[1]); file != "" {
			found = append(found, Finding{fmt.Sprintf("%s: the repository %s %s", file, m[1], m[2]), output})
		}
	}
	return append(s.missingKeyring(), found...)
}

var (
	failedFetch = regexp.MustCompile(`Failed to fetch (\S+)\s+([^\r\n]*)`)
	status      = regexp.MustCompile(`^\d{3}\s+\S[^\[]*`)
)

// gone is about files that a mirror does not have.
func gone(s *scene) []Finding {
	var found []Finding
	for _, m := range failedFetch.FindAllStringSubmatch(s.said, maxMatches) {
		why := strings.TrimSpace(status.FindString(m[2]))
		if strings.HasPrefix(m[2], "File not found") {
			why = "no such file"
		}
		if why == "" {
			continue
		}
		found = append(found, Finding{fmt.Sprintf("%s: %s%s", m[1], why, in(s.sourceOf(base(s, m[1])))), output})
	}
	return found
}

// base is the part of a URL that a source names: as much of it as one has.
func base(s *scene, url string) string {
	for i := len(url); i > len("http://x"); i = strings.LastIndex(url[:i], "/") {
		if s.sourceOf(url[:i]) != "" {
			return url[:i]
		}
	}
	return ""
}

// pinned is about packages that apt was told not to install.
func pinned(s *scene) []Finding {
	if !strings.Contains(s.said, "has no installation candidate") {
		return nil
	}
	for _, name := range s.wanted() {
		pin := regexp.MustCompile(`(?m)^Package:[^\r\n]*(?:\s|:)(?:` + regexp.QuoteMeta(name) + `|\*)(?:\s|$)`)
		for _, f := range s.sections("apt-config") {
			if strings.Contains(f.file, "/preferences") && pin.MatchString(f.text) && regexp.MustCompile(`(?m)^Pin-Priority:\s*-`).MatchString(f.text) {
				return one("apt-config", "%s forbids apt to install %s (Pin-Priority below 0)", f.file, name)
			}
		}
	}
	return nil
}
