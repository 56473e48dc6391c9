package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// A packageFamily is a kind of packages: how they are listed, and what
// installs them.
type packageFamily struct {
	// databases are where its books are kept, as globs: a guest of this family has one.
	databases []string
	// list is the command that lists all packages, and parse reads what it prints;
	// read reads the database instead.
	list  []string
	parse func([]byte) packageList
	read  func(root fs.FS, database string) (packageList, error)

	rules    versionRules
	managers []packageManager // the first that the guest has is used
}

// A packageManager installs packages.
type packageManager struct {
	program string
	refresh []string // the arguments that fetch the lists of packages, the verb last
	install []string // the arguments before a package's name, the verb last
	env     []string
	good    []int // exit codes of a success, besides zero
	// lists are folders of which one must hold the lists of packages before
	// anything can be installed. Where they are named, the lists are fetched only if
	// none does.
	lists []string
	// lockFile is a file that is the lock by being there; a dead process may have
	// left it.
	lockFile string
}

// packageFamilies is every family. The order matters where a guest has the
// tools of another family too: Debian packages rpm and pacman, Gentoo and Void
// both rpm and dpkg.
func packageFamilies() []packageFamily {
	return []packageFamily{xbpsFamily(), portageFamily(), dpkgFamily(), apkFamily(), rpmFamily(), pacmanFamily()}
}

var errNoPackageManager = errors.New("no package manager (apt, apk, dnf, yum, microdnf, zypper, pacman, xbps, emerge) in the guest")

// packageFamily returns the guest's family and its database.
func (s *System) packageFamily() (packageFamily, string, error) {
	for _, family := range packageFamilies() {
		for _, pattern := range family.databases {
			databases, _ := fs.Glob(s.FS, fsPath(pattern))
			for _, database := range databases {
				if s.holdsSomething(database) {
					return family, database, nil
				}
			}
		}
	}
	return packageFamily{}, "", errNoPackageManager
}

// holdsSomething tells whether there is a file or a folder that is not empty:
// a tool that is there for other systems' images leaves an empty database.
func (s *System) holdsSomething(name string) bool {
	info, err := fs.Stat(s.FS, fsPath(name))
	if err != nil || !info.IsDir() {
		return err == nil && info.Size() > 0
	}
	entries, err := fs.ReadDir(s.FS, fsPath(name))
	return err == nil && len(entries) > 0
}

// packages lists the packages, with one command for all of them, or by reading
// the family's books.
func (s *System) packages(ctx context.Context) (packageList, error) {
	return fact(ctx, &s.facts, "packages", func() (packageList, error) {
		family, database, err := s.packageFamily()
		if err != nil {
			return packageList{}, err
		}
		found, err := s.listPackages(ctx, family, database)
		switch {
		case err != nil:
			return packageList{}, fmt.Errorf("list packages: %w", err)
		case len(found.versions) == 0:
			// Every system has some: a tool that lists none, as rpm does of a database in
			// another format, knows of none.
			return packageList{}, errors.New("list packages: the database has none")
		}
		found.rules = family.rules
		return found, nil
	})
}

func (s *System) listPackages(ctx context.Context, family packageFamily, database string) (packageList, error) {
	if family.read != nil {
		return family.read(s.FS, database)
	}
	out, err := s.run(ctx, family.list[0], Command{Args: family.list, Env: []string{plainLanguage}})
	switch {
	case err != nil:
		return packageList{}, err
	case out.Truncated:
		return packageList{}, inconclusivef("%s printed more than could be kept", family.list[0])
	}
	return family.parse(out.Stdout), nil
}

// packageManager returns what the guest installs packages with.
func (s *System) packageManager() (packageManager, error) {
	family, _, err := s.packageFamily()
	if err != nil {
		return packageManager{}, err
	}
	for _, m := range family.managers {
		if s.hasProgram(m.program) {
			return m, nil
		}
	}
	return packageManager{}, errNoPackageManager
}
