package checks

import "strings"

// rpmFamily is that of Fedora, Red Hat's and SUSE's: rpm, and one of several
// managers to install. None of dnf's needs its lists fetched: it does that itself.
func rpmFamily() packageFamily {
	// dnf 4 and yum would wait for a lock for ever, and tell nobody.
	dnf := []string{"--setopt=exit_on_lock=True", "-y", "install"}
	return packageFamily{
		databases: []string{"/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"},
		list:      []string{"rpm", "-qa", "--qf", `%{NAME}\t%{ARCH}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n`},
		parse:     parseRPM,
		rules:     versionRules{"rpm", compareRPM, nil},
		managers: []packageManager{
			{program: "dnf", install: dnf}, // dnf 4, or a link to dnf5
			{program: "dnf5", install: dnf},
			{program: "yum", install: dnf},
			{program: "microdnf", install: []string{"-y", "install"}},
			{
				program: "zypper",
				refresh: []string{"--non-interactive", "refresh"},
				install: []string{"--non-interactive", "install"},
				good:    []int{102, 103}, // a reboot, a restart of zypper is advised
			},
		},
	}
}

// parseRPM reads lines of name, architecture and version, separated by tabs.
func parseRPM(out []byte) packageList {
	found := newPackageList()
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) == 3 {
			found.add(f[2], f[0], f[0]+"."+f[1])
		}
	}
	return found
}
