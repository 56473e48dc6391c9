package imagetest

import "slices"

// brokenBoots are images that do not start as they should, or not at all.
func brokenBoots() []breakage {
	return []breakage{
		{"no init", "bookworm", []edit{remove("/usr/sbin/init")}, "image", `sbin/init`, ""},
		{"an init that may not be executed", "tiny", []edit{remove("/sbin/init"), file("/sbin/init", "#!/bin/sh\nexit 1\n")}, "image", `sbin/init`, ""},
		{"an init that ends", "tiny", []edit{remove("/sbin/init"), script("/sbin/init", "#!/bin/sh\necho init gives up\nexit 1\n")}, "image", `init gives up|stopped by itself`, ""},
		{"an init without its library", "bookworm", []edit{remove("/usr/lib/x86_64-linux-gnu/libseccomp.so.2", "/usr/lib/x86_64-linux-gnu/libseccomp.so.2.5.4")}, "image", `libseccomp`, ""},
		{"a unit fails", "bookworm", unit("broken.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n"), "boot", `broken\.service`, ""},
		{"a unit's program is not there", "trixie", unit("broken.service", "[Service]\nExecStart=/usr/bin/not-there\n"), "boot", `broken\.service`, ""},
		{"the boot never ends", "bookworm", unit("hangs.service", "[Unit]\nBefore=multi-user.target\n[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\nTimeoutStartSec=infinity\n"), "image", `hangs\.service`, ""},
		{"the boot is slow", "bookworm", unit("slow.service", "[Unit]\nBefore=multi-user.target\n[Service]\nType=oneshot\nExecStart=/bin/sleep 20\n"), "boot", `time|slow\.service`, ""},
		{"it ends in emergency mode", "bookworm", []edit{
			file("/etc/systemd/system/data.mount", "[Mount]\nWhat=tmpfs\nWhere=/data\nType=nosuchfs\n"),
			link("/etc/systemd/system/local-fs.target.requires/data.mount", "../data.mount")}, "image", `data\.mount|emergency`, ""},
		{"no target to boot into", "bookworm", []edit{link("/etc/systemd/system/default.target", "/dev/null")}, "image", `default\.target|masked`, ""},
		{"it switches itself off", "bookworm", unit("off.service", "[Service]\nExecStart=/bin/systemctl poweroff\n"), "image", `stopped by itself|shut`, ""},
		{"it reboots for ever", "tiny", []edit{add("/etc/rc", "sleep 1\nreboot\n")}, "image", `restart`, ""},
		{"the second boot has no network", "bookworm", slices.Concat(unit("once.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo auto lo >/etc/network/interfaces'\n")), "ipv4 dns", `reboot`, ""},
		{"the second boot never comes", "tiny", []edit{add("/etc/rc", "rm /sbin/init\n")}, "image", `second time.*/sbin/init`, ""},
	}
}
