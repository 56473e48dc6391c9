package imagetest

// brokenPackages are images that install nothing.
func brokenPackages() []breakage {
	const install, list = "package-install", "/etc/apt/sources.list"
	all := []breakage{
		{"the repository is not there", "bookworm", []edit{file(list, "deb [trusted=yes] file:/srv/nowhere ./\n")},
			install, `/srv/nowhere`, ""},
		{"the mirror's name does not resolve", "bookworm", []edit{file(list, "deb http://mirror.invalid/debian bookworm main\n")},
			install, `mirror\.invalid`, ""},
		{"the mirror refuses connections", "bookworm", []edit{file(list, "deb http://127.0.0.1:9/debian bookworm main\n")},
			install, `127\.0\.0\.1.*refused`, ""},
		{"no source at all", "bookworm", []edit{file(list, "# none\n")},
			install, `nginx`, ""},
		{"the source is broken", "bookworm", []edit{file(list, "deb [trusted=yes file:/srv/repo ./\n")},
			install, `(?i)malformed.*sources\.list`, ""},
		{"the repository is not signed", "bookworm", []edit{file(list, "deb file:/srv/repo ./\n")},
			install, `not signed`, ""},
		{"the key is missing", "bookworm", []edit{file(list, "deb file:/srv/repo bookworm main\n"), remove("/etc/apt/trusted.gpg.d", "/usr/share/keyrings")},
			install, `(?i)public key|NO_PUBKEY|not signed|keyring`, ""},
		{"the lists have expired", "trixie", []edit{
			file(list, "deb [trusted=yes] file:/opt/repo ./\n"), file("/opt/repo/Packages", ""),
			file("/opt/repo/Release", "Date: Wed, 01 Jan 2020 00:00:00 UTC\nValid-Until: Wed, 08 Jan 2020 00:00:00 UTC\nSHA256:\n e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 Packages\n")},
			install, `expired`, ""},
		{"a dependency is not to be had", "bookworm", []edit{file("/etc/apt/preferences.d/pin", "Package: nginx-common\nPin: release *\nPin-Priority: -1\n")},
			install, `nginx-common`, ""},
		{"dpkg was interrupted", "bookworm", []edit{file("/var/lib/dpkg/updates/0001", "Package: netbase\nStatus: install ok half-configured\n")},
			"hygiene package-install", `dpkg was interrupted: /var/lib/dpkg/updates/0001`, ""},
		{"a package is half configured", "bookworm", []edit{replace("/var/lib/dpkg/status", "Package: netbase\nStatus: install ok installed", "Package: netbase\nStatus: install ok half-configured")},
			"hygiene", `netbase`, ""},
		{"apt has no folder for its lists", "bookworm", []edit{remove("/var/lib/apt/lists"), file("/var/lib/apt/lists", "")},
			install, `/var/lib/apt/lists`, ""},
		{"the disk for packages is full", "bookworm", []edit{
			file("/etc/fstab", "tmpfs /var/cache/apt tmpfs size=64k 0 0\ntmpfs /var/lib/apt/lists tmpfs size=16k 0 0\n")},
			install, `(?i)no space|full`, ""},
		{"dpkg may not be executed", "openrc", []edit{mode("/usr/bin/dpkg", 0o644)},
			"hygiene package-install", `dpkg`, ""},
	}
	for i := range all {
		all[i].only = "package-install,hygiene"
	}
	return all
}

// brokenServices are images on which a service that was installed does not work.
func brokenServices() []breakage {
	const start = "service-start"
	return []breakage{
		{"the service is masked", "bookworm", []edit{link("/etc/systemd/system/nginx.service", "/dev/null")},
			start, `masked`, ""},
		{"something else has its port", "bookworm", []edit{
			file("/etc/systemd/system/taken.socket", "[Socket]\nListenStream=80\nService=taken.service\n[Install]\nWantedBy=sockets.target\n"),
			file("/etc/systemd/system/taken.service", "[Service]\nExecStart=/bin/sleep infinity\n"),
			link("/etc/systemd/system/sockets.target.wants/taken.socket", "../taken.socket")},
			"boot service-start", `:80 is in use by something else`, ""},
		{"something before it fails", "trixie", []edit{file("/etc/systemd/system/nginx.service.d/x.conf", "[Service]\nExecStartPre=/bin/false\n")},
			"boot package-install", `nginx\.service`, ""},
		{"its user is not there", "bookworm", []edit{file("/etc/systemd/system/nginx.service.d/x.conf", "[Service]\nUser=nobody-has-made\n")},
			"boot package-install", `nobody-has-made|217/USER`, ""},
		{"its program is left out", "bookworm", []edit{file("/etc/dpkg/dpkg.cfg.d/exclude", "path-exclude=/usr/sbin/nginx\n")},
			"boot package-install", `/usr/sbin/nginx: No such file`, ""},
		{"it dies after a second", "bookworm", []edit{file("/etc/systemd/system/nginx.service.d/x.conf", "[Service]\nType=simple\nExecStart=\nExecStart=/bin/sh -c 'sleep 1; echo out of luck; exit 7'\nRestart=no\nExecStartPre=\nPIDFile=\n")},
			start, `out of luck|status=7|exit.*7`, ""},
		{"its init script is broken", "openrc", []edit{
			file("/etc/dpkg/dpkg.cfg.d/exclude", "path-exclude=/etc/init.d/nginx\n")},
			start, `nginx`, ""},
	}
}
