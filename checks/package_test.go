package checks

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

const dpkgQuery = `dpkg-query -W -f ${Package}\t${Architecture}\t${Status}\t${Version}\n`

func TestPackageListsOfEachManager(t *testing.T) {
	tests := []struct {
		file  string
		parse func([]byte) packageList
		want  map[string]string
	}{
		{"dpkg.txt", parseDpkg, map[string]string{
			"adduser": "3.134", "adduser:all": "3.134",
			"apt": "2.6.2", "apt:amd64": "2.6.2",
			"bash": "5.2.15-2+b8", "bash:amd64": "5.2.15-2+b8",
			"libc6":             "2.36-9+deb12u14 2.36-9+deb12u13",
			"libc6:amd64":       "2.36-9+deb12u14",
			"libc6:i386":        "2.36-9+deb12u13",
			"linux-image-amd64": "6.1.140-1", "linux-image-amd64:amd64": "6.1.140-1",
			"perl-base": "5.36.0-7+deb12u2", "perl-base:amd64": "5.36.0-7+deb12u2",
		}},
		{"rpm.txt", parseRPM, map[string]string{
			"alpha": "1.0-1", "alpha.noarch": "1.0-1",
			"beta": "1:2.3-4", "beta.noarch": "1:2.3-4",
			"gpg-pubkey": "18b8e74c-62f2920f", "gpg-pubkey.(none)": "18b8e74c-62f2920f",
			"kernel": "6.5.6-300.fc39 6.6.9-200.fc39", "kernel.x86_64": "6.5.6-300.fc39 6.6.9-200.fc39",
		}},
		{"pacman.txt", parsePacman, map[string]string{"gamma": "2:1.27-3", "linux": "6.6.9.arch1-1"}},
		{"xbps.txt", parseXBPS, map[string]string{"acl": "2.3.2_1", "font-misc-misc": "1.1.3_1", "libX11": "1.8.12_1", "xbps": "0.59.2_4"}},
		{"apk-installed.txt", parseAPK, map[string]string{"musl": "1.2.4_git20230717-r4", "busybox": "1.36.1-r15"}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			got := map[string]string{}
			for name, versions := range tt.parse(readTestdata(t, "packages/"+tt.file)).versions {
				got[name] = strings.Join(versions, " ")
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got %v\nwant %v", got, tt.want)
			}
		})
	}
}

func FuzzPackageLists(f *testing.F) {
	for _, name := range []string{"dpkg.txt", "rpm.txt", "pacman.txt", "apk-installed.txt", "xbps.txt"} {
		f.Add(readTestdata(f, "packages/"+name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func([]byte) packageList{parseDpkg, parseRPM, parsePacman, parseAPK, parseXBPS} {
			for name, versions := range parse(data).versions {
				if len(versions) == 0 {
					t.Errorf("%q is installed in no version", name)
				}
			}
		}
	})
}

func TestPackageIsInstalledOnlyWhenFullyConfigured(t *testing.T) {
	tests := []struct {
		name    string
		pkg     string
		absent  bool // expect installed: false
		version any
		want    string
	}{
		{"installed", "apt", false, []any{"2.6.2"}, "installed pass\nversions pass\n"},
		{"by architecture", "libc6:i386", false, []any{"2.36-9+deb12u13"}, "installed pass\nversions pass\n"},
		{"on hold", "linux-image-amd64", false, nil, "installed pass\n"},
		{"half configured", "nginx", false, []any{"1"},
			"installed fail: is not installed: its state is install ok half-configured\n" +
				"versions skip: is not installed: its state is install ok half-configured\n"},
		{"removed, configuration left", "nano", true, nil, "installed pass\n"},
		{"never installed", "vim", true, nil, "installed pass\n"},
		{"unknown", "nosuch", false, nil, "installed fail: is not installed\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, []string{"var/lib/dpkg/status"}, script{
				dpkgQuery: prints(string(readTestdata(t, "packages/dpkg.txt"))),
			})
			p := &Package{Common: Common{Key: tt.pkg}, Installed: expects(t, Bool, !tt.absent)}
			if tt.version != nil {
				p.Versions = expects(t, List, tt.version)
			}
			checkTold(t, p.Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestVersionsOfAnAbsentPackageFail(t *testing.T) {
	sys := fakeGuest(t, []string{"var/lib/dpkg/status"}, script{dpkgQuery: prints("apt\tamd64\tinstall ok installed\t2\n")})
	p := &Package{Common: Common{Key: "key"}, Name: "nginx", Versions: expects(t, List, []any{"1"})}
	checkTold(t, p.Evaluate(t.Context(), sys), "versions fail: is not installed\n")
}

func TestPackageIsNotAbsentWhereNoPackageIs(t *testing.T) {
	sys := fakeGuest(t, []string{"var/lib/rpm/rpmdb.sqlite"}, script{
		"rpm -qa --qf " + rpmFamily().list[3]: prints(""), // as with a database that it cannot read
	})
	p := &Package{Common: Common{Key: "telnet"}, Installed: expects(t, Bool, false)}
	checkTold(t, p.Evaluate(t.Context(), sys), "installed fail: list packages: the database has none\n")
}

func TestAPKDatabaseIsReadWithoutACommand(t *testing.T) {
	for _, path := range []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"} {
		sys := fakeGuest(t, nil, nil)
		sys.FS = fstest.MapFS{path: {Data: readTestdata(t, "packages/apk-installed.txt")}}
		p := &Package{Common: Common{Key: "musl"}, Installed: expects(t, Bool, true)}
		checkTold(t, p.Evaluate(t.Context(), sys), "installed pass\n")
	}
}

func TestPackagesThatCannotBeListedFailWithTheOutput(t *testing.T) {
	sys := fakeGuest(t, []string{"var/lib/dpkg/status"}, script{
		dpkgQuery: exits(2, "dpkg-query: error: parsing file '/var/lib/dpkg/status' near line 5:\n"),
	})
	p := &Package{
		Common:    Common{Key: "apt"},
		Installed: expects(t, Bool, false),
		Versions:  expects(t, List, []any{"1"}),
	}
	list := p.Evaluate(t.Context(), sys)
	checkTold(t, list, "installed fail: list packages: dpkg-query: exit 2\nversions fail: list packages: dpkg-query: exit 2\n")
	if !strings.Contains(list[0].Output, "near line 5") || list[1].Output != "" {
		t.Errorf("outputs: %q, %q", list[0].Output, list[1].Output)
	}
}

func TestTruncatedPackageListIsInconclusive(t *testing.T) {
	sys := fakeGuest(t, []string{"var/lib/dpkg/status"}, script{dpkgQuery: {{Truncated: true}}})
	p := &Package{Common: Common{Key: "apt"}, Installed: expects(t, Bool, false)}
	checkTold(t, p.Evaluate(t.Context(), sys), "installed error: list packages: dpkg-query printed more than could be kept\n")
}

func TestGuestWithoutAPackageManager(t *testing.T) {
	sys := fakeGuest(t, []string{"var/lib/rpm/"}, nil)
	p := &Package{Common: Common{Key: "nginx"}, Install: true, Installed: expects(t, Bool, false)}
	const why = "no package manager (apt, apk, dnf, yum, microdnf, zypper, pacman, xbps, emerge) in the guest\n"
	checkTold(t, p.Evaluate(t.Context(), sys), "install fail: "+why+"installed fail: "+why)
}

const (
	aptUpdate  = "apt-get -o APT::Update::Error-Mode=any update"
	aptInstall = "apt-get -o Dpkg::Options::=--force-confold -y --no-install-recommends install "
)

func debianGuest(t *testing.T, commands script) *System {
	t.Helper()
	return fakeGuest(t, []string{"var/lib/dpkg/status", "usr/bin/apt-get", "var/lib/rpm/x", "usr/bin/dnf"}, commands)
}

func TestInstallIsSeenByWhatComesAfterIt(t *testing.T) {
	sys := debianGuest(t, script{
		dpkgQuery: {
			{Stdout: []byte("apt\tamd64\tinstall ok installed\t2\n")},
			{Stdout: []byte("nginx\tamd64\tinstall ok installed\t1\n")},
		},
		aptUpdate:            prints(""),
		aptInstall + "nginx": prints(""),
	})
	if _, err := sys.packages(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := &Package{Common: Common{Key: "nginx"}, Install: true, Installed: expects(t, Bool, true)}
	checkTold(t, p.Evaluate(t.Context(), sys), "install pass\ninstalled pass\n")
}

func TestInstallIsNoninteractive(t *testing.T) {
	sys := debianGuest(t, nil)
	var env []string
	sys.Exec = func(_ context.Context, cmd Command) (Output, error) {
		env = append(env, cmd.Env...)
		return Output{}, nil
	}
	(&Package{Common: Common{Key: "nginx"}, Install: true}).Evaluate(t.Context(), sys)
	if !slices.Contains(env, "DEBIAN_FRONTEND=noninteractive") {
		t.Errorf("environment: %q", env)
	}
}

func TestPackageListsAreFetchedOnceInARun(t *testing.T) {
	updates := 0
	sys := debianGuest(t, nil)
	sys.Exec = func(_ context.Context, cmd Command) (Output, error) {
		if cmd.Args[len(cmd.Args)-1] == "update" {
			updates++
		}
		return Output{}, nil
	}
	for _, name := range []string{"nginx", "cron"} {
		(&Package{Common: Common{Key: name}, Install: true}).Evaluate(t.Context(), sys)
		sys.Refresh()
	}
	if updates != 1 {
		t.Errorf("fetched %d times", updates)
	}
}

func TestFailedFetchOfPackageListsIsTriedAgainOnlyAfterRefresh(t *testing.T) {
	sys := debianGuest(t, script{
		dpkgQuery: prints(""),
		aptUpdate: {
			{ExitCode: 100, Stderr: []byte("E: Failed to fetch http://example.com/x\n")},
			{},
		},
		aptInstall + "nginx": prints(""),
	})
	p := &Package{Common: Common{Key: "nginx"}, Install: true}
	for range 2 {
		checkTold(t, p.Evaluate(t.Context(), sys), "install fail: apt-get update: exit 100\n")
	}
	sys.Refresh()
	checkTold(t, p.Evaluate(t.Context(), sys), "install pass\n")
}

func TestFailedInstallShowsWhyAndStillLooks(t *testing.T) {
	sys := debianGuest(t, script{
		dpkgQuery: prints("apt\tamd64\tinstall ok installed\t2\n"),
		aptUpdate: prints(""),
		aptInstall + "nginx": {{
			ExitCode: 100,
			Stdout:   []byte("Reading package lists...\nBuilding dependency tree...\n"),
			Stderr:   []byte("E: Unable to locate package nginx\n"),
		}},
	})
	p := &Package{Common: Common{Key: "nginx"}, Install: true, Installed: expects(t, Bool, true)}
	list := p.Evaluate(t.Context(), sys)
	checkTold(t, list, "install fail: apt-get install nginx: exit 100\ninstalled fail: is not installed\n")
	if want := "E: Unable to locate package nginx"; list[0].Output != want {
		t.Errorf("output %q, want %q", list[0].Output, want)
	}
}

func TestEachManagerInstallsByItself(t *testing.T) {
	const dnf = "--setopt=exit_on_lock=True -y install nginx"
	rpmQuery := strings.Join(rpmFamily().list, " ")
	before, after := Output{Stdout: []byte("rpm\tx86_64\t4.18-1\n")}, Output{Stdout: []byte("rpm\tx86_64\t4.18-1\nnginx\tx86_64\t1:1.26-3\n")}
	tests := []struct {
		name     string
		paths    []string
		commands script
		want     any
	}{
		{"apk", []string{"lib/apk/db/installed", "sbin/apk"}, script{"apk update": prints(""), "apk add nginx": prints("")}, nil},
		{"dnf", []string{"var/lib/rpm/rpmdb.sqlite", "usr/bin/dnf", "usr/bin/yum"}, script{"dnf " + dnf: prints("")}, "nginx 1:1.26-3"},
		{"dnf5 alone", []string{"usr/lib/sysimage/rpm/rpmdb.sqlite", "usr/bin/dnf5"}, script{"dnf5 " + dnf: prints("")}, "nginx 1:1.26-3"},
		{"yum", []string{"var/lib/rpm/Packages", "usr/bin/yum"}, script{"yum " + dnf: prints("")}, "nginx 1:1.26-3"},
		{"microdnf", []string{"var/lib/rpm/rpmdb.sqlite", "usr/bin/microdnf"}, script{"microdnf -y install nginx": prints("")}, "nginx 1:1.26-3"},
		{"zypper", []string{"usr/lib/sysimage/rpm/rpmdb.sqlite", "usr/bin/zypper"}, script{
			"zypper --non-interactive refresh":       prints(""),
			"zypper --non-interactive install nginx": exits(102, "a reboot is advised"),
		}, "nginx 1:1.26-3"},
		{"pacman", []string{"var/lib/pacman/local/x/desc", "usr/bin/pacman"}, script{
			"pacman --noconfirm -Sy": prints(""), "pacman --noconfirm -S nginx": prints(""), "pacman -Q --color never": prints("nginx 1.26-1\n"),
		}, "nginx 1.26-1, already installed"},
		{"xbps", []string{"var/db/xbps/pkgdb-0.38.plist", "usr/bin/xbps-install", "var/lib/rpm/x"}, script{
			"xbps-install -S": prints(""), "xbps-install -y nginx": prints(""), "xbps-query -l": prints("ii nginx-1.26.3_1 A web server\n"),
		}, "nginx 1.26.3_1, already installed"},
		{"emerge", []string{"var/db/pkg/www-servers/nginx-1.26.3-r1/PF", "var/db/repos/gentoo/profiles/x", "usr/bin/emerge", "var/lib/rpm/x"}, script{
			"emerge --quiet --quiet-build=y --color=n --ask=n --getbinpkg --usepkg --noreplace nginx": prints(""),
		}, "nginx 1.26.3-r1, already installed"},
		{"emerge, without a tree", []string{"var/db/pkg/a/b-1/PF", "usr/bin/emerge"}, script{
			"emerge --quiet --color=n --sync": prints(""),
			"emerge --quiet --quiet-build=y --color=n --ask=n --getbinpkg --usepkg --noreplace nginx": prints(""),
		}, nil},
		{"dnf, with an empty database of dpkg", []string{"var/lib/dpkg/", "usr/bin/apt-get", "var/lib/rpm/x", "usr/bin/dnf"},
			script{"dnf " + dnf: prints("")}, "nginx 1:1.26-3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.commands[rpmQuery] = []Output{before, after}
			sys := fakeGuest(t, tt.paths, tt.commands)
			p := &Package{Common: Common{Key: "nginx"}, Install: true}
			list := p.Evaluate(t.Context(), sys)
			checkTold(t, list, "install pass\n")
			if list[0].Actual != tt.want {
				t.Errorf("it tells %v, want %v", list[0].Actual, tt.want)
			}
		})
	}
}

func TestInstalledPackageMustBeConfigured(t *testing.T) {
	sys := debianGuest(t, script{
		dpkgQuery: {
			{Stdout: []byte("apt\tamd64\tinstall ok installed\t2\n")},
			{Stdout: []byte("apt\tamd64\tinstall ok installed\t2\nnginx\tamd64\tinstall ok half-configured\t1\n")},
		},
		aptUpdate:            prints(""),
		aptInstall + "nginx": prints(""),
	})
	p := &Package{Common: Common{Key: "nginx"}, Install: true}
	checkTold(t, p.Evaluate(t.Context(), sys),
		"install fail: apt-get says that it is installed, and its state is install ok half-configured\n")
}

// lockedGuest is one of Arch's whose lock file the process 42, or nobody, has open.
func TestErrorLinesOfPackageManagers(t *testing.T) {
	tests := []struct{ name, output, want string }{
		{"apt", "Err:1 http://127.0.0.1:9/x bookworm InRelease\n  Could not connect to 127.0.0.1:9\nReading package lists...\n" +
			"E: Some index files failed to download.\n",
			"Err:1 http://127.0.0.1:9/x bookworm InRelease\n  Could not connect to 127.0.0.1:9\nE: Some index files failed to download.\n"},
		{"dpkg", "Unpacking libgpg-error0 (1) ...\ndpkg: error processing package x (--configure):\n installed x script returned error exit status 1\n",
			"dpkg: error processing package x (--configure):\n installed x script returned error exit status 1\n"},
		{"pacman", ":: Synchronizing package databases...\nerror: target not found: nosuch\n", "error: target not found: nosuch\n"},
		{"apk", "ERROR: unable to select packages:\n  nosuch (no such package):\n    required by: world[nosuch]\n",
			"ERROR: unable to select packages:\n  nosuch (no such package):\n    required by: world[nosuch]\n"},
		{"zypper", "Reading installed packages...\nNo provider of 'nosuch' found.\n",
			"No provider of 'nosuch' found.\n"},
		{"one that is not known", "Reading...\nOh no.\n", "Reading...\nOh no.\n"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := errorLines(tt.output); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}
