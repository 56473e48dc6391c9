package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// A packageFamily is a kind of packages: how they are listed, and what
// installs them.
type packageFamily struct {
	// databases are where its books are kept: a guest of this family has one.
	databases []string
	list      []string // the command that lists all; none: the database is read
	parse     func([]byte) packageList
	rules     versionRules
	managers  []packageManager // the first that the guest has is used
}

// A packageManager installs packages.
type packageManager struct {
	program string
	refresh []string // the arguments that fetch the lists of packages, the verb last
	install []string // the arguments before a package's name, the verb last
	env     []string
	good    []int // exit codes of a success, besides zero
}

// packageFamilies is every family. The order matters where a guest has the
// tools of another family too: Debian packages rpm and pacman, for instance.
func packageFamilies() []packageFamily {
	return []packageFamily{
		{
			databases: []string{"/var/lib/dpkg/status"},
			list:      []string{"dpkg-query", "-W", "-f", `${Package}\t${Architecture}\t${Status}\t${Version}\n`},
			parse:     parseDpkg,
			rules:     versionRules{"dpkg", compareDpkg, validDpkg},
			managers: []packageManager{{
				program: "apt-get",
				// Without the error mode an unreachable source is only a warning.
				refresh: []string{"-o", "APT::Update::Error-Mode=any", "update"},
				install: []string{
					"-o", "DPkg::Lock::Timeout=60", "-o", "Dpkg::Options::=--force-confold",
					"-y", "--no-install-recommends", "install",
				},
				env: []string{"DEBIAN_FRONTEND=noninteractive"},
			}},
		},
		{
			databases: []string{"/lib/apk/db/installed", "/usr/lib/apk/db/installed"},
			parse:     parseAPK,
			rules:     versionRules{"apk", compareAPK, validAPK},
			managers: []packageManager{{
				program: "apk",
				refresh: []string{"update"},
				install: []string{"add"},
			}},
		},
		{
			databases: []string{"/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm"},
			list:      []string{"rpm", "-qa", "--qf", `%{NAME}\t%{ARCH}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n`},
			parse:     parseRPM,
			rules:     versionRules{"rpm", compareRPM, nil},
			managers: []packageManager{
				{program: "dnf", install: []string{"-y", "install"}},
				{program: "yum", install: []string{"-y", "install"}},
				{
					program: "zypper",
					refresh: []string{"--non-interactive", "refresh"},
					install: []string{"--non-interactive", "install"},
					good:    []int{102, 103}, // a reboot, a restart of zypper is advised
				},
			},
		},
		{
			databases: []string{"/var/lib/pacman/local"},
			list:      []string{"pacman", "-Q", "--color", "never"},
			parse:     parsePacman,
			rules:     versionRules{"pacman", comparePacman, nil},
			managers: []packageManager{{
				program: "pacman",
				refresh: []string{"--noconfirm", "-Sy"},
				install: []string{"--noconfirm", "-S"},
			}},
		},
	}
}

var errNoPackageManager = errors.New("no package manager (apt, apk, dnf, yum, zypper, pacman) in the guest")

// packageFamily returns the guest's family and its database.
func (s *System) packageFamily() (packageFamily, string, error) {
	for _, family := range packageFamilies() {
		for _, database := range family.databases {
			if s.holdsSomething(database) {
				return family, database, nil
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

// maxPackageDatabase bounds what is read of apk's database: 10 times that of
// a desktop.
const maxPackageDatabase = 64 << 20

// packages lists the packages, with one command for all of them.
func (s *System) packages(ctx context.Context) (packageList, error) {
	return fact(ctx, &s.facts, "packages", func() (packageList, error) {
		family, database, err := s.packageFamily()
		if err != nil {
			return packageList{}, err
		}
		if family.list == nil {
			data, err := readBounded(s.FS, fsPath(database), maxPackageDatabase)
			if err != nil {
				return packageList{}, fmt.Errorf("list packages: %w", err)
			}
			return family.read(data)
		}
		out, err := s.run(ctx, family.list[0], Command{Args: family.list})
		if err != nil {
			return packageList{}, fmt.Errorf("list packages: %w", err)
		}
		if out.Truncated {
			return packageList{}, inconclusivef("list packages: %s printed more than could be kept", family.list[0])
		}
		return family.read(out.Stdout)
	})
}

// read parses what lists the packages. Every system has some: a tool that lists
// none, as rpm does of a database in another format, knows of none.
func (f packageFamily) read(data []byte) (packageList, error) {
	found := f.parse(data)
	if len(found.versions) == 0 {
		return packageList{}, errors.New("list packages: the database has none")
	}
	found.rules = f.rules
	return found, nil
}

// installPackage installs the package, after the lists of packages have been
// fetched once in the run.
func (s *System) installPackage(ctx context.Context, name string) error {
	manager, err := s.packageManager()
	if err != nil {
		return err
	}
	if manager.refresh != nil {
		if err := s.refreshPackages(ctx, manager); err != nil {
			return err
		}
	}
	defer s.Refresh() // files, users and services may have come with it
	return s.runManager(ctx, manager, manager.install, name)
}

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

// refreshPackages fetches the lists of packages. That they were fetched holds
// for the whole run; a failure only until the next Refresh, so that it can be
// tried again.
func (s *System) refreshPackages(ctx context.Context, m packageManager) error {
	const name = "package lists"
	_, err := fact(ctx, &s.facts, name, func() (bool, error) {
		_, err := fact(ctx, &s.events, name, func() (bool, error) {
			return true, s.runManager(ctx, m, m.refresh)
		})
		if err != nil {
			s.events.forget(name)
		}
		return true, err
	})
	return err
}

// lockWait is how long a package manager's lock is waited for: a distribution
// may look for updates by itself just after the boot, and not every manager
// waits for its lock.
const lockWait = time.Minute

// runManager runs a package manager's command, again while another process
// holds its lock.
func (s *System) runManager(ctx context.Context, m packageManager, args []string, names ...string) error {
	verb := args[len(args)-1]
	what := strings.Join(append([]string{m.program, verb}, names...), " ")
	cmd := Command{Args: slices.Concat([]string{m.program}, args, names), Env: m.env}
	deadline := time.Now().Add(lockWait)
	for {
		_, err := s.run(ctx, what, cmd)
		failed, ok := errors.AsType[*commandError](err)
		if !ok {
			return err
		}
		if slices.Contains(m.good, failed.code) {
			return nil
		}
		if !lockHeld(failed.output) || time.Now().After(deadline) {
			failed.output = errorLines(failed.output)
			return failed
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lockHeld tells whether a package manager gave up because another one is at
// work.
func lockHeld(output string) bool {
	for _, sign := range []string{
		"Could not get lock",          // apt-get
		"Unable to acquire the dpkg",  // apt-get, of dpkg's front-end lock
		"Unable to lock database",     // apk
		"unable to lock database",     // pacman
		"System management is locked", // zypper
		"waiting for pid",             // yum, where it is told not to wait
	} {
		if strings.Contains(output, sign) {
			return true
		}
	}
	return false
}
