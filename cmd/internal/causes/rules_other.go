package causes

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// otherRules are about certificates, clocks, locales, GPUs and files.
func otherRules() []rule {
	return []rule{
		{"the clock", clock | tls | packages, wrongClock},
		{"no CA bundle", tls, noBundle},
		{"an unknown authority", tls, line(output, `(?i)(?:unable to get local issuer certificate|self.signed certificate|certificate signed by unknown authority)`, "the server's certificate is of an authority that the guest does not know")},
		{"a locale", locale, missingLocale},
		{"/tmp", services | packages | files | boot, func(s *scene) []Finding {
			var found []Finding
			for _, dir := range []string{"/tmp", "/var/tmp"} {
				fact := s.fileFact(dir)
				mode, _, _ := strings.Cut(fact, " ")
				switch {
				case s.checks(dir):
				case fact == "missing":
					found = append(found, Finding{dir + " is missing", "files"})
				case strings.HasPrefix(fact, "d") && mode != "dtrwxrwxrwx":
					found = append(found, Finding{fmt.Sprintf("%s is %s, not drwxrwxrwt", dir, mode), "files"})
				}
			}
			return found
		}},
		{"/dev/null", services | packages | files | boot, func(s *scene) []Finding {
			if fact := s.fileFact("/dev/null"); fact != "" && !strings.HasPrefix(fact, "Dc") && !s.checks("/dev/null") {
				return one("files", "/dev/null is no device: %s", fact)
			}
			return nil
		}},
		{"accounts", services | packages | boot, func(s *scene) []Finding {
			for _, name := range []string{"/etc/passwd", "/etc/group"} {
				if fact := s.fileFact(name); fact == "missing" || strings.HasSuffix(fact, " 0") && strings.HasPrefix(fact, "-") {
					return one("files", "%s is missing or empty", name)
				}
			}
			return nil
		}},
		{"no shell", services | packages | boot, func(s *scene) []Finding {
			if fact := s.fileFact("/bin/sh"); fact == "missing" || strings.HasSuffix(fact, "(dangling)") {
				return one("files", "/bin/sh is missing")
			}
			return nil
		}},
		{"the GPU's driver", gpu, driver},
		{"a library, in an output", output0, once(
			line(output, `(\S+): error while loading shared libraries: (\S+): [^\r\n]+`, "$1 needs the library $2, which is missing"),
			line(output, `Error loading shared library (\S+?): [^\r\n]*\(needed by (\S+)\)`, "$2 needs the library $1, which is missing"))},
		{"an architecture, in an output", output0, line(output, `(/\S+): (?:cannot execute binary file: )?[Ee]xec format error`, "$1 is no program for this machine")},
		{"an interpreter, in an output", output0, line(output, `(\S+): bad interpreter: ([^\r\n]+)`, "the interpreter of $1 is missing: $2")},
	}
}

// checks tells whether what failed is about that very file.
func (s *scene) checks(name string) bool {
	for _, r := range s.failed {
		if r.ID == name {
			return true
		}
	}
	return false
}

var clocks = regexp.MustCompile(`(?m)^(guest|host)'s clock: (\S+)$`)

// wrongClock compares the guest's time with the host's.
func wrongClock(s *scene) []Finding {
	times := map[string]time.Time{}
	for _, m := range clocks.FindAllStringSubmatch(s.evidence["system"], 2) {
		if t, err := time.Parse(time.RFC3339, m[2]); err == nil {
			times[m[1]] = t
		}
	}
	if len(times) != 2 {
		return nil
	}
	switch d := times["guest"].Sub(times["host"]).Round(time.Second); {
	case d > 2*time.Minute:
		return one("system", "the guest's clock is %s ahead of the host's", d)
	case d < -2*time.Minute:
		return one("system", "the guest's clock is %s behind the host's", -d)
	}
	return nil
}

// noBundle is about a guest that trusts nobody.
func noBundle(s *scene) []Finding {
	if s.evidence["files"] == "" {
		return nil
	}
	for _, name := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"} {
		switch fact := s.fileFact(name); {
		case fact == "missing":
		case strings.HasSuffix(fact, "(dangling)"):
			return one("files", "the CA bundle %s is a dangling link", name)
		case strings.HasSuffix(fact, " 0"):
			return one("files", "the CA bundle %s is empty", name)
		default:
			return nil
		}
	}
	return one("files", "there is no CA bundle: /etc/ssl/certs/ca-certificates.crt is missing")
}

var (
	lang    = regexp.MustCompile(`(?m)^\s*(?:export\s+)?(LANG|LC_\w+)=["']?([\w.@-]+)`)
	lacking = regexp.MustCompile(`(?i)cannot change locale \(([^)]+)\)|cannot set LC_\w+ to default locale|Setting locale failed`)
	utf     = regexp.MustCompile(`(?i)utf-?8`)
)

// missingLocale is about a locale that is set and was not made.
func missingLocale(s *scene) []Finding {
	if !lacking.MatchString(s.said) {
		return nil
	}
	var all string
	for _, f := range s.sections("locale") {
		if f.file == "locale -a" {
			all = f.text
		}
	}
	norm := func(s string) string { return utf.ReplaceAllString(strings.ToLower(s), "utf8") }
	there := strings.Fields(norm(all))
	for _, f := range s.sections("locale") {
		for _, m := range lang.FindAllStringSubmatch(f.text, maxMatches) {
			found := false
			for _, l := range there {
				found = found || l == norm(m[2])
			}
			if all != "" && !found {
				return one("locale", "%s sets %s=%s, a locale that is not there", f.file, m[1], m[2])
			}
		}
	}
	if m := lacking.FindStringSubmatch(s.said); m[1] != "" {
		return one(output, "the locale %s is not there", m[1])
	}
	return nil
}

var (
	kernelDriver = regexp.MustCompile(`NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s`)
	library      = regexp.MustCompile(`libnvidia-ml\.so\.(\d+\.\d+(?:\.\d+)?)`)
)

// driver compares the version of the kernel's driver with that of the image's
// library.
func driver(s *scene) []Finding {
	k := kernelDriver.FindStringSubmatch(s.evidence["nvidia"])
	l := library.FindStringSubmatch(s.evidence["nvidia-libraries"])
	switch {
	case k != nil && l != nil && k[1] != l[1]:
		return one("nvidia", "the kernel's NVIDIA driver is %s and the image's library %s", k[1], l[1])
	case strings.Contains(s.said, "Driver/library version mismatch"):
		return one(output, "the NVIDIA driver of the kernel and the library of the image are of different versions")
	case k == nil && strings.Contains(strings.ToLower(s.said), "nvidia") && l != nil:
		return one("nvidia", "the kernel has no NVIDIA driver, though the image has its library %s", l[1])
	}
	return nil
}
