package collect

import (
	"context"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/upmaru/icepak/checks"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), Mode: 0o644} }

// guest is a system whose commands print what the map says, by their whole line or
// their program.
func guest(files fstest.MapFS, commands map[string]string) *checks.System {
	return &checks.System{
		FS:    files,
		Links: func() ([]checks.Link, error) { return []checks.Link{{Name: "eth0", Gateway4: true}}, nil },
		Exec: func(_ context.Context, cmd checks.Command) (checks.Output, error) {
			for _, key := range []string{strings.Join(cmd.Args, " "), cmd.Args[0]} {
				if text, ok := commands[key]; ok {
					return checks.Output{Stdout: []byte(text)}, nil
				}
			}
			return checks.Output{}, fmt.Errorf("%s: %w", cmd.Args[0], exec.ErrNotFound)
		},
	}
}

func collected(t *testing.T, sys *checks.System, want Wanted) map[string]string {
	t.Helper()
	pieces := map[string]string{}
	Evidence(t.Context(), sys, want, func(name, text string) {
		if _, twice := pieces[name]; twice {
			t.Errorf("%s was told twice", name)
		}
		pieces[name] = text
	})
	return pieces
}

func TestWhatAGuestDoesNotHaveIsLeftOut(t *testing.T) {
	pieces := collected(t, guest(fstest.MapFS{}, nil), Wanted{})
	for name := range pieces {
		switch name {
		case "system", "files", "programs", "links", "network-sysctl", "filesystems":
		default:
			t.Errorf("an empty guest has %s: %q", name, pieces[name])
		}
	}
	if !strings.Contains(pieces["files"], "/etc/resolv.conf missing") || !strings.Contains(pieces["programs"], "dhclient missing") {
		t.Errorf("what is missing is not told: %q, %q", pieces["files"], pieces["programs"])
	}
}

func TestFilesAreCollectedWithTheirNames(t *testing.T) {
	pieces := collected(t, guest(fstest.MapFS{
		"etc/network/interfaces":     file("# a comment\nauto eth0\n\n"),
		"etc/network/interfaces.d/x": file("iface eth0 inet dhcp\n"),
		"etc/resolv.conf":            {Data: []byte("../run/gone"), Mode: fs.ModeSymlink | 0o777},
		"sbin/dhclient":              {Mode: 0o755},
		"sbin/udhcpc":                {Mode: 0o644},
		"var/lib/dpkg/status":        file("Package: a\nStatus: install ok half-configured\n\nPackage: b\nStatus: install ok installed\n\nPackage: c\nStatus: hold ok installed\n"),
	}, map[string]string{"ip addr": "1: lo\n"}), Wanted{})
	for name, want := range map[string]string{
		"network-config":  "==> /etc/network/interfaces <==\nauto eth0\n\n==> /etc/network/interfaces.d/x <==\niface eth0 inet dhcp",
		"ip-addr":         "1: lo",
		"dpkg-unfinished": "a: install ok half-configured\nc: hold ok installed",
		"links":           "eth0 up default-ipv4-route",
	} {
		if pieces[name] != want {
			t.Errorf("%s is %q, want %q", name, pieces[name], want)
		}
	}
	for name, want := range map[string]string{
		"files":    "/etc/resolv.conf Lrwxrwxrwx -> ../run/gone (dangling)\n",
		"programs": "dhclient /sbin/dhclient\nudhcpc /sbin/udhcpc (not executable)\n",
	} {
		if !strings.Contains(pieces[name], want) {
			t.Errorf("%s lacks %q: %q", name, want, pieces[name])
		}
	}
}

func TestServicesThatFailedAreLookedAt(t *testing.T) {
	sys := guest(fstest.MapFS{"run/systemd/system": {Mode: fs.ModeDir | 0o755}}, map[string]string{
		"systemctl list-units --failed --plain --no-legend --no-pager --full": "x.mount loaded failed failed X\n--help loaded failed failed no\n",
		"systemctl list-jobs --no-legend --no-pager --full":                   "9 slow.service start running\n7 other.target start waiting\n",
		"systemctl": "ActiveState=failed\n", "journalctl": "its log\n",
	})
	pieces := collected(t, sys, Wanted{Services: []string{"nginx", "../x; reboot"}})
	for _, name := range []string{"unit-nginx.service", "journal-nginx.service", "journal-x.mount", "unit-slow.service"} {
		if pieces[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	for name := range pieces {
		if strings.Contains(name, "reboot") || strings.Contains(name, "--") || strings.Contains(name, "other.target") {
			t.Errorf("there is %s", name)
		}
	}
}

func TestAHungCommandStopsNothingElse(t *testing.T) {
	sys := guest(fstest.MapFS{"etc/hosts": file("127.0.0.1 localhost\n")}, nil)
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	sys.Exec = func(_ context.Context, cmd checks.Command) (checks.Output, error) {
		if cmd.Args[0] == "ip" {
			<-stuck // does not even heed its context
		}
		if cmd.Args[0] == "dpkg" {
			panic("a bug")
		}
		return checks.Output{}, exec.ErrNotFound
	}
	start := time.Now()
	pieces := collected(t, sys, Wanted{})
	if pieces["hosts"] == "" || pieces["ip-addr"] != "(it hangs)" || !strings.Contains(pieces["dpkg-audit"], "a bug") {
		t.Errorf("hosts %q, ip-addr %q, dpkg-audit %q", pieces["hosts"], pieces["ip-addr"], pieces["dpkg-audit"])
	}
	if took := time.Since(start); took > 5*allTime {
		t.Errorf("it took %s", took)
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	long := strings.Repeat("a line of a log\n", 200_000)
	commands := map[string]string{}
	for _, program := range []string{"ip", "nft", "dpkg", "apt-mark", "sv", "s6-rc", "rc-status", "locale", "rc-service"} {
		commands[program] = long
	}
	files := fstest.MapFS{"etc/hosts": file(long), "etc/resolv.conf": file(long), "var/log/syslog": file(long), "proc/mounts": file(strings.Repeat("x", 1<<20)),
		"var/log/dpkg.log": file(long), "proc/meminfo": file(long), "var/log/rc.log": file(long), "etc/fstab": file(long)}
	var services []string
	for i := range 50 {
		services = append(services, fmt.Sprintf("s%d", i))
	}
	total := 0
	for name, text := range collected(t, guest(files, commands), Wanted{Services: services}) {
		total += len(text)
		if len(text) > maxPiece+100 {
			t.Errorf("%s has %d bytes", name, len(text))
		}
	}
	if total > maxAll || total < maxAll/2 {
		t.Errorf("%d bytes in all", total)
	}
}

func TestSecretsAreTakenOut(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"deb https://user:pa55@mirror.test/x y", "deb https://…@mirror.test/x y"},
		{"psk=hunter2\nssid=home", "psk=…\nssid=home"},
		{`{"api_key": "abc", "x": 1}`, `{"api_key": …, "x": 1}`},
		{"mysql --password=abc -u root", "mysql --password=… -u root"},
		{"tool --token abc --verbose", "tool --token … --verbose"},
		{"Environment=DB_URL=x\nExecStart=/bin/x", "Environment=…\nExecStart=/bin/x"},
		{"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----…-----END RSA PRIVATE KEY-----"},
		{"DB_PASSWORD: abc", "DB_PASSWORD: …"},
		{"nameserver 10.0.0.1\ninet 10.0.0.2/24", "nameserver 10.0.0.1\ninet 10.0.0.2/24"},
		{"systemd-ask-password.service loaded", "systemd-ask-password.service loaded"},
	} {
		if got := Redact(tt.in); got != tt.want {
			t.Errorf("%q became %q, want %q", tt.in, got, tt.want)
		}
	}
}

// What a guest's environment holds is nobody's business, and not even looked at.
func TestThisMachineIsCollectedWithoutItsEnvironment(t *testing.T) {
	t.Setenv("ICEPAK_TEST_VALUE", "do-not-tell-anyone")
	pieces := collected(t, checks.Local(), Wanted{})
	for _, name := range []string{"system", "files", "programs", "links", "processes", "filesystems"} {
		if pieces[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	for name, text := range pieces {
		if strings.Contains(text, "do-not-tell-anyone") {
			t.Errorf("%s tells a variable", name)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("password=x https://a:b@c -----BEGIN PRIVATE KEY-----")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 1<<16 && len(Redact(text)) > 8*len(text)+64 {
			t.Errorf("%d bytes became %d", len(text), len(Redact(text)))
		}
	})
}
