package checks

import (
	"io/fs"
	"regexp"
	"strings"
)

// portageFamily is Gentoo's. Packages that somebody has built already are taken
// where there are any: building them here takes hours.
func portageFamily() packageFamily {
	return packageFamily{
		databases: []string{"/var/db/pkg"},
		read:      readPortage,
		rules:     versionRules{"portage", comparePortage, validPortage},
		managers: []packageManager{{
			program: "emerge",
			refresh: []string{"--quiet", "--color=n", "--sync"},
			install: []string{"--quiet", "--quiet-build=y", "--color=n", "--ask=n", "--getbinpkg", "--usepkg", "--noreplace"},
			env:     []string{"NOCOLOR=true"},
			lists:   []string{"/var/db/repos/gentoo/profiles", "/usr/portage/profiles"},
		}},
	}
}

// readPortage reads the names of the folders CATEGORY/NAME-VERSION, one for each
// package. A package goes by its name, with its category or without. One that is
// just being merged has -MERGING- before its name.
func readPortage(root fs.FS, database string) (packageList, error) {
	found := newPackageList()
	categories, err := fs.ReadDir(root, database)
	if err != nil {
		return found, err
	}
	for _, category := range categories {
		if !category.IsDir() {
			continue
		}
		packages, err := fs.ReadDir(root, database+"/"+category.Name())
		if err != nil {
			return found, err
		}
		for _, p := range packages {
			if whole, merging := strings.CutPrefix(p.Name(), "-MERGING-"); merging {
				if name, _, ok := splitPortage(whole); ok {
					found.partial[name], found.partial[category.Name()+"/"+name] = "merging", "merging"
				}
			} else if name, version, ok := splitPortage(whole); ok {
				found.add(version, name, category.Name()+"/"+name)
			}
		}
	}
	return found, nil
}

// portageFolder is a name and a version. The name cannot end as a version does,
// so the first hyphen that a whole version follows is where it begins.
var portageFolder = regexp.MustCompile(`^([A-Za-z0-9+_-]+?)-([0-9]+(?:\.[0-9]+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)[0-9]*)*(?:-r[0-9]+)?)$`)

func splitPortage(folder string) (name, version string, ok bool) {
	m := portageFolder.FindStringSubmatch(folder)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}
