package checks

import "strings"

// xbpsFamily is Void's.
func xbpsFamily() packageFamily {
	return packageFamily{
		databases: []string{"/var/db/xbps/pkgdb-*.plist"},
		list:      []string{"xbps-query", "-l"},
		parse:     parseXBPS,
		rules:     versionRules{"xbps", compareXBPS, nil},
		managers: []packageManager{{
			program: "xbps-install",
			refresh: []string{"-S"},
			install: []string{"-y"},
		}},
	}
}

// parseXBPS reads lines of state, name-version and description. Of the states
// ii is installed, uu unpacked, hr half removed. A version has no hyphen.
func parseXBPS(out []byte) packageList {
	states := map[string]string{"uu": "unpacked", "hr": "half removed"}
	found := newPackageList()
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		i := strings.LastIndexByte(f[1], '-')
		if i <= 0 || i == len(f[1])-1 {
			continue
		}
		name, version := f[1][:i], f[1][i+1:]
		if f[0] == "ii" {
			found.add(version, name)
		} else if state, ok := states[f[0]]; ok {
			found.partial[name] = state
		}
	}
	return found
}
