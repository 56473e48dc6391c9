package checks

import "strings"

// pacmanFamily is Arch's.
func pacmanFamily() packageFamily {
	return packageFamily{
		databases: []string{"/var/lib/pacman/local"},
		list:      []string{"pacman", "-Q", "--color", "never"},
		parse:     parsePacman,
		rules:     versionRules{"pacman", comparePacman, nil},
		managers: []packageManager{{
			program:  "pacman",
			refresh:  []string{"--noconfirm", "-Sy"},
			install:  []string{"--noconfirm", "-S"},
			lockFile: "/var/lib/pacman/db.lck",
		}},
	}
}

// parsePacman reads lines of name and version.
func parsePacman(out []byte) packageList {
	found := newPackageList()
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 2 {
			found.add(f[1], f[0])
		}
	}
	return found
}
