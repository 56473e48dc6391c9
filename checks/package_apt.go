package checks

import "strings"

// dpkgFamily is Debian's: dpkg, and apt to install.
func dpkgFamily() packageFamily {
	return packageFamily{
		databases: []string{"/var/lib/dpkg/status"},
		list:      []string{"dpkg-query", "-W", "-f", `${Package}\t${Architecture}\t${Status}\t${Version}\n`},
		parse:     parseDpkg,
		rules:     versionRules{"dpkg", compareDpkg, validDpkg},
		managers: []packageManager{{
			program: "apt-get",
			// Without the error mode an unreachable source is only a warning.
			refresh: []string{"-o", "APT::Update::Error-Mode=any", "update"},
			install: []string{"-o", "Dpkg::Options::=--force-confold", "-y", "--no-install-recommends", "install"},
			// The last one is of Ubuntu, which would ask whether to restart services.
			env: []string{"DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none", "UCF_FORCE_CONFFOLD=1", "NEEDRESTART_SUSPEND=1"},
		}},
	}
}

// parseDpkg reads lines of name, architecture, status and version, separated
// by tabs. The status is three words: what is wanted, whether it is broken, and
// what is there. A package that is on hold is installed like any other; one
// that is unpacked, half configured or removed down to its configuration is not.
func parseDpkg(out []byte) packageList {
	found := newPackageList()
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 4 {
			continue
		}
		name, arch, status, version := f[0], f[1], f[2], f[3]
		switch status {
		case "install ok installed", "hold ok installed":
			found.add(version, name, name+":"+arch)
		default:
			found.partial[name], found.partial[name+":"+arch] = status, status
		}
	}
	return found
}
