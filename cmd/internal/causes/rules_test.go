package causes

import (
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
)

func failed(typ, id, property, said string) []checks.Result {
	return []checks.Result{{Type: typ, ID: id, Property: property, Verdict: checks.Fail, Output: said}}
}

func install(said string) []checks.Result { return failed("package", "nginx", "install", said) }
func service() []checks.Result            { return failed("service", "nginx", "running", "") }
func command(said string) []checks.Result { return failed("command", "x", "exit-status", said) }

type texts = map[string]string

// The texts are what the programs print. Where a rule is held by a recorded failure
// of testdata, it is not held again here.
func TestRulesNameTheCause(t *testing.T) {
	for _, tt := range []struct {
		name     string
		failed   []checks.Result // nil: the image as a whole
		evidence texts
		want     string // the first cause
	}{
		{"a kernel that panics", nil, texts{"console": "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"},
			"kernel panic: VFS: Unable to mount root fs on unknown-block(0,0)"},
		{"an init that is missing", nil, texts{"lxc.log": `No such file or directory - Failed to exec "/sbin/init"`}, "/sbin/init is missing, or the interpreter that it names is"},
		{"an init of another architecture", nil, texts{"lxc.log": `Exec format error - Failed to exec "/sbin/init"`},
			"/sbin/init is no program for this machine: exec format error (another architecture, or not a program)"},
		{"an init that may not be executed", nil, texts{"lxc.log": `Permission denied - Failed to exec "/sbin/init"`}, "/sbin/init may not be executed"},
		{"an init without its library", nil, texts{"console": "/sbin/init: error while loading shared libraries: libsystemd-shared-252.so: cannot open shared object file: No such file or directory\n"},
			"/sbin/init needs libsystemd-shared-252.so, which is missing"},
		{"a kernel without an init", nil, texts{"console": "Requested init /sbin/init failed (error -2).\n"}, "the kernel cannot run /sbin/init (error -2)"},
		{"a systemd that freezes", nil, texts{"console": "[!!!!!!] Failed to mount API filesystems, freezing.\n"}, "systemd gave up: Failed to mount API filesystems"},
		{"no default target", nil, texts{"console": "Failed to load default target: No such file or directory\n"}, "systemd has no default target: No such file or directory"},
		{"emergency mode", nil, texts{"console": "You are in emergency mode. After logging in, type \"journalctl -xb\"\n"}, "the system went into emergency mode"},
		{"a file system check", nil, texts{"console": "fsck: /dev/sda1: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.\n"}, "fsck: /dev/sda1: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY."},
		{"an init without inittab", nil, texts{"console": "INIT: no inittab.d directory and no inittab file found\n"}, "init: no inittab.d directory and no inittab file found"},
		{"cloud-init's result", failed("boot", "", "state", ""), texts{"cloud-init": "==> /run/cloud-init/result.json <==\n{\"v1\": {\"datasource\": null, \"errors\": [\"(scripts_user, failed)\"]}}\n"},
			"cloud-init: (scripts_user, failed)"},
		{"cloud-init's log", nil, texts{"cloud-init.log": "2026-11-24 - util.py[WARNING]: x\n2026-11-24 - stages.py[ERROR]: Unable to render networking\n"}, "cloud-init: Unable to render networking"},
		{"no machine-id", failed("boot", "", "state", ""), texts{"files": "/etc/machine-id missing\n"}, "/etc/machine-id is missing"},
		{"a mount that failed", failed("boot", "", "state", ""), texts{
			"unit-data.mount": "ActiveState=failed\nResult=exit-code\nWhere=/data\n", "fstab": "/dev/x /data ext4 defaults 0 0\n",
			"journal-data.mount": "Nov 24 12:24:04 mount[37]: mount: /data: special device /dev/x does not exist.\n"},
			"data.mount failed: mount: /data: special device /dev/x does not exist. (/etc/fstab)"},

		{"a full disk", install("dpkg: error: No space left on device"), texts{"filesystems": "/ ext4 rw 2147483648 4096 99% 100 50 50%\n"}, "/ is full: 4.0 KiB of 2.0 GiB are free"},
		{"no inodes", install("cannot create: No space left on device"), texts{"filesystems": "/ ext4 rw 2147483648 1147483648 50% 1000 0 100%\n"}, "/ has no inodes left: 100% are used"},
		{"a read-only root", install("E: Read-only file system"), texts{"filesystems": "/ ext4 ro 2147483648 1147483648 50% 1000 500 50%\n"}, "/ is mounted read-only"},
		{"killed for memory", service(), texts{"cgroup": "memory.max 67108864\nmemory.events oom_kill 3\n"}, "the guest ran out of memory and 3 of its processes were killed: its limit is 64.0 MiB"},
		{"killed for memory, in a virtual machine", service(), texts{"dmesg": "[  9.1] Out of memory: Killed process 211 (nginx) total-vm:1\n"}, "the kernel ran out of memory and killed nginx"},
		{"killed for memory, by the journal", service(), texts{"journal-nginx.service": "Nov 24 12:00:00 systemd[1]: nginx.service: A process of this unit has been killed by the OOM killer.\n"},
			"nginx.service: a process was killed for lack of memory"},

		{"a masked network", failed("network", "eth0", "ipv4", ""), texts{"network-units": "networking.service masked -\n"}, "networking.service is masked"},
		{"no offers", failed("network", "eth0", "ipv4", ""), texts{"journal-network": "Nov 24 12:00:00 dhclient[62]: No DHCPOFFERS received.\n"},
			"no DHCP server answered dhclient: No DHCPOFFERS received"},
		{"no lease", failed("network", "eth0", "ipv4", ""), texts{"console": "udhcpc: sending discover\nudhcpc: no lease, failing\n"}, "no DHCP server answered udhcpc: no lease, failing"},
		{"a client that lacks a module", failed("network", "eth0", "ipv4", ""), texts{"console": "udhcpc: can't create raw socket: Operation not permitted\n"},
			"the DHCP client cannot run: can't create raw socket: Operation not permitted"},
		{"a client that may not run", failed("network", "eth0", "ipv4", ""), texts{"programs": "ifup /sbin/ifup\ndhclient /sbin/dhclient (not executable)\n"}, "the DHCP client /sbin/dhclient may not be executed"},
		{"a stanza that is not started", failed("network", "eth0", "ipv4", ""), texts{"programs": "ifup /sbin/ifup\n", "network-config": "==> /etc/network/interfaces <==\nauto lo\niface eth0 inet dhcp\n"},
			"nothing starts eth0: no auto or allow-hotplug line of /etc/network/interfaces names it"},
		{"a stanza that is not started, of a glob's", failed("network", "e*", "ipv4", ""), texts{"links": "lo up 127.0.0.1\nwlan0 down\neth0 up fe80::1\n", "programs": "ifup /sbin/ifup\n", "network-config": "==> /etc/network/interfaces <==\nauto lo\niface eth0 inet dhcp\n"},
			"nothing starts eth0: no auto or allow-hotplug line of /etc/network/interfaces names it"},
		{"a lease that was not set", failed("network", "eth0", "ipv4", ""), texts{"links": "lo up 127.0.0.1\neth0 up fe80::1\n", "console": "udhcpc: lease of 10.0.0.7 obtained from 10.0.0.1, lease time 3600\n", "processes": "17 1 S 532 udhcpc -b -i eth0 -s /etc/udhcpc.script\n"},
			"the DHCP client has a lease of 10.0.0.7, but its script /etc/udhcpc.script has not set the address: it is missing, or does not work"},
		{"a lease that dhclient did not set", failed("network", "eth0", "ipv4", ""), texts{"links": "eth0 up fe80::1\n", "journal-network": "Nov 24 12:00:00 h dhclient[62]: bound to 10.0.0.7 -- renewal in 1523 seconds.\n"},
			"the DHCP client has a lease of 10.0.0.7, but its script dhclient-script has not set the address: it is missing, or does not work"},
		{"no network in OpenRC", failed("network", "eth0", "ipv4", ""), texts{"links": "eth0 up fe80::1\n", "rc-status": "Runlevel: default\n nginx   [ started ]\nRunlevel: sysinit\n urandom  [ started ]\n"},
			"no runlevel of OpenRC has a service for the network, such as networking"},
		{"only inet6", failed("network", "eth0", "ipv4", ""), texts{"programs": "ifup /sbin/ifup\n", "network-config": "==> /etc/network/interfaces <==\nauto eth0\niface eth0 inet6 auto\n"},
			"/etc/network/interfaces has no inet stanza for eth0, only inet6"},
		{"nobody for the network", failed("network", "eth0", "ipv4", ""), texts{"programs": "ifup missing\nudhcpc /sbin/udhcpc\n", "processes": "1 0 S 10 /sbin/init\n", "links": "eth0 up fe80::1\n"},
			"nothing runs a DHCP client: /sbin/udhcpc is there"},
		{"nothing for the network", failed("network", "eth0", "ipv4", ""), texts{"programs": "ifup missing\n", "processes": "1 0 S 10 /sbin/init\n", "links": "eth0 up fe80::1\n"},
			"nothing is there that configures the network: no ifup, systemd-networkd, NetworkManager, dhcpcd or udhcpc"},
		{"a service that is not enabled", failed("network", "eth0", "ipv4", ""), texts{"programs": "ifup missing\nsystemd-networkd /usr/lib/systemd/systemd-networkd\n", "processes": "1 0 S 10 /sbin/init\n", "links": "eth0 up fe80::1\n",
			"network-units": "systemd-networkd.service disabled enabled-x\n"}, "systemd-networkd.service is disabled, and nothing else configures the network"},
		{"networkd without DHCP", failed("network", "eth0", "ipv4", ""), texts{"processes": "9 1 S 10 /usr/lib/systemd/systemd-networkd\n", "network-config": "==> /etc/systemd/network/20.network <==\n[Match]\nName=e*\n[Network]\nDHCP=ipv6\n"},
			"/etc/systemd/network/20.network says DHCP=ipv6: nothing asks for IPv4"},
		{"networkd for another interface", failed("network", "eth0", "ipv4", ""), texts{"processes": "9 1 S 10 /usr/lib/systemd/systemd-networkd\n", "network-config": "==> /etc/systemd/network/20.network <==\n[Match]\nName=ens*\n[Network]\nDHCP=yes\n"},
			"eth0 matches no .network file: systemd-networkd leaves it alone"},
		{"networkd without advertisements", failed("network", "eth0", "ipv6", ""), texts{"processes": "9 1 S 10 /usr/lib/systemd/systemd-networkd\n", "network-config": "==> /etc/systemd/network/20.network <==\n[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nIPv6AcceptRA=no\n"},
			"/etc/systemd/network/20.network says IPv6AcceptRA=no"},
		{"a kernel without IPv6", failed("network", "eth0", "ipv6", ""), texts{"network-sysctl": "net/ipv6 missing\n"}, "the kernel has no IPv6 (ipv6.disable=1, or it is not built in)"},
		{"no advertisement", failed("network", "eth0", "ipv6", ""), texts{"links": "eth0 up 10.0.0.2 fe80::1 default-ipv4-route\n", "network-sysctl": "net/ipv6/conf/eth0/accept_ra = 1\n"},
			"eth0 has only its link-local IPv6 address: no router advertisement came"},
		{"a link that is down", failed("network", "eth0", "ipv4", ""), texts{"links": "eth0 down\n"}, "eth0 is down: nothing has brought it up, or it has no carrier"},
		{"OpenRC's network", failed("network", "eth0", "ipv4", ""), texts{"rc.log": " * ERROR: networking failed to start\n"}, "networking failed to start"},
		{"a firewall", failed("addr", "tcp://10.0.0.1:80", "reachable", ""), texts{"firewall": "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n"},
			"the image's firewall drops input: nft table inet filter, chain input, policy drop"},

		{"no name server", failed("dns", "example.com", "resolvable", ""), texts{"files": "/etc/resolv.conf -rw-r--r-- 0:0 0\n"}, "/etc/resolv.conf names no nameserver"},
		{"a resolver that is not there", failed("dns", "example.com", "resolvable", ""), texts{"files": "/etc/resolv.conf -rw-r--r-- 0:0 30\n", "resolv.conf": "nameserver 127.0.0.53\n", "processes": "1 0 S 1 /sbin/init\n"},
			"/etc/resolv.conf asks 127.0.0.53, where systemd-resolved does not run"},
		{"an unreadable resolv.conf", failed("dns", "example.com", "resolvable", ""), texts{"files": "/etc/resolv.conf -rw------- 0:0 30\n", "resolv.conf": "nameserver 10.0.0.1\n"}, "/etc/resolv.conf is readable by root only: -rw-------"},
		{"names of a command", command("ping: example.com: Temporary failure in name resolution"), texts{"files": "/etc/resolv.conf missing\n"}, "/etc/resolv.conf is missing"},
		{"no localhost", failed("dns", "localhost", "resolvable", ""), texts{"hosts": "127.0.1.1 box\n"}, "/etc/hosts does not name localhost"},

		{"apt's lock", install("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 54 (perl)"), nil, "/var/lib/dpkg/lock-frontend is locked by process 54 (perl)"},
		{"a half-configured package", install("E: Sub-process returned an error code (1)"), texts{"dpkg-unfinished": "hostname: install ok half-configured\n"}, "the package hostname is half-configured"},
		{"a package on hold", install("E: Held packages were changed and -y was used without --allow-change-held-packages."), texts{"apt-holds": "nginx\n"}, "the package nginx is on hold"},
		{"a missing key", install("W: GPG error: http://mirror.test/debian bookworm InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 0E98404D386FA1D9"),
			texts{"apt-sources": "==> /etc/apt/sources.list.d/x.list <==\ndeb http://mirror.test/debian bookworm main\n"}, "/etc/apt/sources.list.d/x.list: its key is missing (NO_PUBKEY 0E98404D386FA1D9)"},
		{"an expired key", install("W: GPG error: http://mirror.test/debian bookworm InRelease: The following signatures were invalid: EXPKEYSIG 0E98404D386FA1D9 Some <key>"), nil,
			"http://mirror.test/debian: its key has expired (EXPKEYSIG 0E98404D386FA1D9)"},
		{"a missing key, by sqv", install("Sub-process /usr/bin/sqv returned an error code (1), error message is: Missing key 0E98404D386FA1D9, which is needed to verify signature."), nil, "a repository's key is missing: 0E98404D386FA1D9"},
		{"a missing keyring", install("E: The repository 'http://mirror.test/debian bookworm Release' is not signed."), texts{"files": "x\n",
			"apt-sources": "==> /etc/apt/sources.list.d/x.sources <==\nTypes: deb\nURIs: http://mirror.test/debian\nSigned-By: /usr/share/keyrings/gone.gpg\n"},
			"the keyring /usr/share/keyrings/gone.gpg is missing (/etc/apt/sources.list.d/x.sources)"},
		{"a repository that has expired", install("E: Release file for http://mirror.test/InRelease is expired (invalid since 9d 2h)."), nil, "the repository http://mirror.test/InRelease has expired, or the clock is wrong"},
		{"a file that is gone", install("E: Failed to fetch http://mirror.test/debian/pool/n.deb  404  Not Found [IP: 10.0.0.1 80]"), texts{"apt-sources": "==> /etc/apt/sources.list <==\ndeb http://mirror.test/debian bookworm main\n"},
			"http://mirror.test/debian/pool/n.deb: 404 Not Found (/etc/apt/sources.list)"},
		{"a mirror that refuses", install("E: Failed to fetch http://mirror.test/x  Could not connect to mirror.test:80 (10.0.0.9). - connect (111: Connection refused)"), nil, "mirror.test cannot be reached: Connection refused"},
		{"unmet dependencies", install("The following packages have unmet dependencies:\n nginx : Depends: libc6 (>= 99) but 2.36 is to be installed\nE: broken"), nil, "nginx cannot be installed: Depends: libc6 (>= 99) but 2.36 is to be installed"},
		{"a policy", failed("service", "nginx", "running", "invoke-rc.d: x"), texts{"apt-term.log": "/usr/sbin/policy-rc.d returned 101, not running 'start nginx.service'\n"}, "/usr/sbin/policy-rc.d keeps services from being started"},
		{"dnf's metadata", install("Error: Failed to download metadata for repo 'baseos': Cannot download repomd.xml"), nil, "the repository baseos does not serve its metadata"},
		{"dnf's 404", install("Errors during downloading metadata for repository 'baseos':\n  - Status code: 404 for http://mirror.test/repodata/repomd.xml (IP: 10.0.0.1)\n"), nil, "http://mirror.test/repodata/repomd.xml: 404"},
		{"dnf's names", install("Curl error (6): Couldn't resolve host name for http://mirror.test/repomd.xml [Could not resolve host: mirror.test]"), nil, "the mirror's name mirror.test does not resolve"},
		{"dnf's keys", install("Public key for nginx-1.rpm is not installed"), nil, "the key that has signed nginx-1.rpm is not installed"},
		{"dnf's dependencies", install(" - nothing provides libfoo.so.1 needed by nginx-1.24-1.x86_64 from appstream"), nil, "nginx-1.24-1.x86_64 needs libfoo.so.1, which no repository has"},
		{"no rpm repositories", install(`Error: There are no enabled repositories in "/etc/yum.repos.d", "/etc/yum/repos.d".`), nil, "no repository is enabled /etc/yum.repos.d"},
		{"zypper's lock", install("System management is locked by the application with pid 77 (zypper)."), nil, "zypper is locked by process 77 (zypper)"},
		{"zypper's signature", install("Signature verification failed for file 'repomd.xml' from repository 'oss'."), nil, "the signature of repomd.xml of the repository oss is not good"},
		{"pacman's mirror", install("error: failed retrieving file 'core.db' from mirror.test : Operation too slow"), nil, "mirror.test does not serve core.db: Operation too slow"},
		{"pacman's keys", install(`error: nginx: signature from "Jo <jo@example.com>" is unknown trust`), nil, "the key of Jo <jo@example.com> is of unknown trust: pacman's keyring is not set up"},
		{"pacman's lock", install("error: failed to synchronize all databases (unable to lock database)\nerror: could not lock database: File exists"), nil, "pacman's database is locked (/var/lib/pacman/db.lck): File exists"},
		{"apk's keys", install("WARNING: opening https://mirror.test/main: UNTRUSTED signature"), nil, "the repository https://mirror.test/main cannot be used: UNTRUSTED signature"},
		{"apk without repositories", install("ERROR: unable to select packages:\n  nginx (no such package):\n    required by: world[nginx]"), texts{"repositories": "==> /etc/apk/repositories <==\n\n"}, "/etc/apk/repositories names no repository"},

		{"a unit that cannot be loaded", service(), texts{"unit-nginx.service": "LoadState=bad-setting\nFragmentPath=/etc/systemd/system/nginx.service\nLoadError=org.freedesktop.systemd1.BadUnitSetting \"Unit nginx.service has a bad unit file setting.\"\n"},
			"nginx.service cannot be loaded (/etc/systemd/system/nginx.service): Unit nginx.service has a bad unit file setting."},
		{"a service without its user", service(), texts{"journal-nginx.service": "Nov 24 12:00:00 (nginx)[9]: nginx.service: Failed to determine user credentials: No such process\n"}, "nginx.service: its user does not exist: No such process"},
		{"a user of a configuration", service(), texts{"journal-nginx.service": `Nov 24 12:00:00 nginx[9]: nginx: [emerg] getpwnam("www-data") failed in /etc/nginx/nginx.conf:1` + "\n"}, "the user www-data does not exist"},
		{"a port in use", service(), texts{"journal-nginx.service": "Nov 24 12:00:00 nginx[9]: nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)\n"}, "0.0.0.0:80 is in use by something else"},
		{"a missing library", service(), texts{"journal-nginx.service": "Nov 24 12:00:00 nginx[9]: /usr/sbin/nginx: error while loading shared libraries: libpcre2-8.so.0: cannot open shared object file: No such file or directory\n"},
			"/usr/sbin/nginx needs the library libpcre2-8.so.0, which is missing"},
		{"a missing library under musl", command("Error loading shared library libssl.so.3: No such file or directory (needed by /usr/bin/curl)"), nil, "/usr/bin/curl needs the library libssl.so.3, which is missing"},
		{"sshd without keys", failed("service", "ssh", "running", ""), texts{"journal-ssh.service": "Nov 24 12:00:00 sshd[9]: sshd: no hostkeys available -- exiting.\n"}, "sshd: there are no host keys"},
		{"sshd's configuration", failed("service", "ssh", "running", ""), texts{"journal-ssh.service": "Nov 24 12:00:00 sshd[9]: /etc/ssh/sshd_config: line 3: Bad configuration option: Foo\n"}, "sshd: /etc/ssh/sshd_config, line 3: Bad configuration option: Foo"},
		{"a crash", service(), texts{"journal-nginx.service": "Nov 24 12:00:00 systemd[1]: nginx.service: Main process exited, code=dumped, status=11/SEGV\n"}, "nginx.service crashed: 11/SEGV"},
		{"a start that takes too long", service(), texts{"journal-nginx.service": "Nov 24 12:00:00 systemd[1]: nginx.service: start operation timed out. Terminating.\n"}, "nginx.service did not start within its time limit"},
		{"a condition", service(), texts{"journal-nginx.service": "Nov 24 12:00:00 systemd[1]: nginx.service - web server was skipped because of an unmet condition check (ConditionPathExists=/etc/x).\n"}, "nginx.service is skipped: ConditionPathExists=/etc/x does not hold"},
		{"last words", service(), texts{"journal-nginx.service": "Nov 24 12:00:00 systemd[1]: Starting nginx.service...\nNov 24 12:00:00 nginx[9]: no such licence\nNov 24 12:00:00 systemd[1]: nginx.service: Main process exited, code=exited, status=1/FAILURE\n"},
			"nginx.service exited with status 1, and last said: nginx: no such licence"},
		{"too many starts", service(), texts{"journal-nginx.service": "Nov 24 12:00:00 systemd[1]: nginx.service: Start request repeated too quickly.\n"}, "nginx.service failed too often and is not started any more"},
		{"OpenRC", service(), texts{"rc-service-nginx": " * status: crashed\n"}, "nginx has crashed"},

		{"a clock", command("curl: (60) SSL certificate problem: certificate is not yet valid"), texts{"system": "guest's clock: 2020-01-01T00:00:00Z\nhost's clock: 2020-01-02T00:00:00Z\n"}, "the guest's clock is 24h0m0s behind the host's"},
		{"no CA bundle", failed("http", "https://example.com/", "status", "tls: failed to verify certificate"), texts{"files": "/etc/ssl/certs/ca-certificates.crt missing\n/etc/pki/tls/certs/ca-bundle.crt missing\n/etc/ssl/ca-bundle.pem missing\n/etc/ssl/cert.pem missing\n"},
			"there is no CA bundle: /etc/ssl/certs/ca-certificates.crt is missing"},
		{"an empty CA bundle", command("certificate signed by unknown authority"), texts{"files": "/etc/ssl/certs/ca-certificates.crt -rw-r--r-- 0:0 0\n"}, "the CA bundle /etc/ssl/certs/ca-certificates.crt is empty"},
		{"a locale", command("bash: warning: setlocale: LC_ALL: cannot change locale (de_DE.UTF-8)"), texts{"locale": "==> /etc/default/locale <==\nLANG=de_DE.UTF-8\n\n==> locale -a <==\nC\nC.utf8\nPOSIX\n"},
			"/etc/default/locale sets LANG=de_DE.UTF-8, a locale that is not there"},
		{"/tmp", install("Couldn't create temporary file /tmp/apt.conf.x"), texts{"files": "/tmp drwx------ 0:0 40\n"}, "/tmp is drwx------, not drwxrwxrwt"},
		{"/dev/null", service(), texts{"files": "/dev/null -rw-r--r-- 0:0 2\n"}, "/dev/null is no device: -rw-r--r-- 0:0 2"},
		{"no accounts", service(), texts{"files": "/etc/passwd -rw-r--r-- 0:0 0\n"}, "/etc/passwd is missing or empty"},
		{"a driver", failed("nvidia-smi", "", "output", "Failed to initialize NVML: Driver/library version mismatch"), texts{
			"nvidia":           "==> /proc/driver/nvidia/version <==\nNVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 2024\n",
			"nvidia-libraries": "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.535.104.05\n"}, "the kernel's NVIDIA driver is 550.54.14 and the image's library 535.104.05"},
		{"another architecture", command("/bin/sh: 1: /usr/bin/jq: Exec format error"), nil, "/usr/bin/jq is no program for this machine"},
		{"an interpreter", command("/usr/bin/ansible: bad interpreter: /usr/bin/python3: no such file"), nil, "the interpreter of /usr/bin/ansible is missing: /usr/bin/python3: no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var found []Finding
			if tt.failed == nil {
				found = OfImage(tt.evidence)
			} else {
				found = OfCheck(tt.failed, tt.evidence)
			}
			if len(found) == 0 || found[0].Text != tt.want {
				t.Errorf("got %q, want %q", found, tt.want)
			}
		})
	}
}

// A rule speaks up only for what has failed because of it.
func TestRulesKeepQuietAboutOtherFailures(t *testing.T) {
	broken := texts{
		"files":               "/etc/resolv.conf missing\n",
		"links":               "eth0 up 10.0.0.2 default-ipv4-route\n",
		"network-sysctl":      "net/ipv6/conf/all/disable_ipv6 = 1\n",
		"dpkg-updates":        "/var/lib/dpkg/updates/0001\n",
		"journal-ssh.service": "Nov 24 12:00:00 sshd[9]: sshd: no hostkeys available -- exiting.\n",
		"unit-ssh.service":    "LoadState=masked\n",
		"network-units":       "networking.service masked -\n",
	}
	for _, tt := range []struct {
		name   string
		failed []checks.Result
	}{
		{"a file's mode", failed("file", "/etc/motd", "mode", "")},
		{"another service", service()},
		{"a command", command("no")},
		{"a result that passed", []checks.Result{{Type: "dns", ID: "a", Property: "resolvable", Verdict: checks.Pass}}},
		{"nothing", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if found := OfCheck(tt.failed, broken); len(found) > 0 {
				t.Errorf("it says %q", found)
			}
		})
	}
	for _, f := range OfCheck(failed("network", "eth0", "ipv6", ""), broken) {
		if !strings.Contains(f.Text, "IPv6") {
			t.Errorf("of IPv6 it says %q", f)
		}
	}
}

// A good guest gives no cause for anything, whatever fails.
func TestAGoodGuestIsNotBlamed(t *testing.T) {
	good, _ := readRecorded(t, "testdata/good.txtar")
	for _, results := range [][]checks.Result{
		failed("network", "eth0", "ipv4", ""), failed("network", "eth0", "ipv6", ""), failed("network", "eth0", "nameservers", ""),
		failed("dns", "example.com", "resolvable", ""), failed("http", "https://example.com/", "status", ""), failed("addr", "tcp://example.com:80", "reachable", ""),
		install("E: something else"), service(), failed("file", "/x", "exists", ""), failed("boot", "", "state", ""), command("x"),
		failed("mount", "/", "exists", ""), failed("port", "tcp:80", "listening", ""), failed("clock", "", "offset", ""), failed("nvidia-smi", "", "gpus", ""),
	} {
		if found := OfCheck(results, good.evidence); len(found) > 0 {
			t.Errorf("%s %s: %q", results[0].Type, results[0].Property, found)
		}
	}
	if found := OfImage(good.evidence); len(found) > 0 {
		t.Errorf("the image: %q", found)
	}
}

func TestAtMostThreeCausesAndNoneTwice(t *testing.T) {
	said := strings.Repeat("E: Failed to fetch http://mirror.test/a.deb  404  Not Found\n", 9) +
		"Could not resolve 'one.test'\nCould not resolve 'two.test'\nCould not resolve 'three.test'\nCould not resolve 'four.test'\n"
	found := OfCheck(install(said), nil)
	seen := map[string]bool{}
	for _, f := range found {
		if seen[f.Text] {
			t.Errorf("%q twice", f.Text)
		}
		seen[f.Text] = true
	}
	if len(found) != 3 {
		t.Errorf("%d causes: %q", len(found), found)
	}
}

// FuzzCauses holds that no evidence, all of which a guest may make up, breaks the
// rules or what is made of them.
func FuzzCauses(f *testing.F) {
	f.Add("network", "eth0", "ipv4", "", "network-config", "==> /etc/network/interfaces <==\niface eth0 inet static\n", "programs", "ifup /sbin/ifup\n")
	f.Add("package", "nginx", "install", "E: NO_PUBKEY 00\x1b[2J", "apt-sources", "==> \xff <==\n==> a <==", "filesystems", "/ a ro 1 1 1% 1 1 1%\n")
	f.Add("service", "$1", "running", "", "unit-$1.service", "LoadState=masked\nFragmentPath=(", "journal-$1.service", "\x00: a: b[1]: $unit")
	f.Add("boot", "", "state", "", "jobs", "1 a start running", "unit-a", "argv[]=x ; stop_time=[n/a] ; pid=1")
	f.Fuzz(func(t *testing.T, typ, id, property, said, name, text, other, more string) {
		evidence := texts{name: text, other: more}
		for _, found := range [][]Finding{OfCheck(failed(typ, id, property, said), evidence), OfImage(evidence)} {
			if len(found) > most {
				t.Errorf("%d causes", len(found))
			}
			for _, f := range found {
				if n := len([]rune(f.Text)); n == 0 || n > maxText || f.Text != printable(f.Text) || strings.ContainsAny(f.Text, "\n\x1b") {
					t.Errorf("a cause of %d characters: %q", n, f.Text)
				}
			}
		}
	})
}
