package checks

import (
	"io/fs"
	"strings"
)

// apkFamily is Alpine's. Its database is read: its tool would list names and
// versions in one word.
func apkFamily() packageFamily {
	return packageFamily{
		databases: []string{"/lib/apk/db/installed", "/usr/lib/apk/db/installed"},
		read: func(root fs.FS, database string) (packageList, error) {
			data, err := readBounded(root, database, maxPackageDatabase)
			return parseAPK(data), err
		},
		rules: versionRules{"apk", compareAPK, validAPK},
		managers: []packageManager{{
			program: "apk",
			refresh: []string{"update"},
			install: []string{"add"},
		}},
	}
}

// maxPackageDatabase bounds what is read of apk's database: 10 times that of
// a desktop.
const maxPackageDatabase = 64 << 20

// parseAPK reads apk's database of installed packages: paragraphs of letter,
// colon and value, of which P is the name and V the version.
func parseAPK(db []byte) packageList {
	found := newPackageList()
	for paragraph := range strings.SplitSeq(string(db), "\n\n") {
		var name, version string
		for line := range strings.Lines(paragraph) {
			switch key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":"); key {
			case "P":
				name = value
			case "V":
				version = value
			}
		}
		if name != "" && version != "" {
			found.add(version, name)
		}
	}
	return found
}
