package imagetest

// brokenHygiene are images that work, and that nobody wants to use.
func brokenHygiene() []breakage {
	one := func(name, base, why string, edits ...edit) breakage {
		return breakage{name, base, edits, "hygiene", why, "hygiene"}
	}
	return []breakage{
		one("a machine's id", "bookworm", `/etc/machine-id`, file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")),
		one("SSH host keys", "bookworm", `/etc/ssh/ssh_host_ed25519_key`, file("/etc/ssh/ssh_host_ed25519_key", "key\n"), mode("/etc/ssh/ssh_host_ed25519_key", 0o600)),
		one("leftovers in tmp", "bookworm", `/tmp/build\.log`, file("/tmp/build.log", "made here\n")),
		one("logs of the build", "trixie", `/var/log/installer\.log`, file("/var/log/installer.log", "made here\n")),
		one("root's history", "bookworm", `/root/\.bash_history`, file("/root/.bash_history", "passwd\n")),
		one("keys to log in with", "bookworm", `authorized_keys`, file("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA maker\n")),
		one("packages in apt's cache", "bookworm", `/var/cache/apt/archives/left_1_all\.deb`, file("/var/cache/apt/archives/left_1_all.deb", "deb")),
		one("a user without a password", "bookworm", `maker`, add("/etc/passwd", "maker:x:1000:1000::/home/maker:/bin/sh\n"), add("/etc/shadow", "maker::19000:0:99999:7:::\n")),
		one("a second root", "sid", `toor`, add("/etc/passwd", "toor:x:0:0::/root:/bin/sh\n"), add("/etc/shadow", "toor:*:19000:0:99999:7:::\n")),
		one("a program that all may write", "bookworm", `/usr/local/bin/tool`, script("/usr/local/bin/tool", "#!/bin/sh\n"), mode("/usr/local/bin/tool", 0o777)),
		one("tmp is not for all", "openrc", `/tmp`, mode("/tmp", 0o755)),
		one("a locale that is not there", "bookworm", `(?i)locale`, file("/etc/default/locale", "LANG=xx_XX.UTF-8\n"), file("/etc/environment", "LANG=xx_XX.UTF-8\nLC_ALL=xx_XX.UTF-8\n")),
		one("no certificates", "bookworm", `(?i)certificate|/etc/ssl`, file("/etc/ssl/certs/ca-certificates.crt", "")),
		one("metadata of another release", "bookworm", `trixie`, replace("/usr/lib/os-release", "VERSION_CODENAME=bookworm", "VERSION_CODENAME=trixie"), replace("/usr/lib/os-release", `VERSION_ID="12"`, `VERSION_ID="13"`)),
		one("services may not start", "bookworm", `policy-rc\.d`, script("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")),
	}
}
