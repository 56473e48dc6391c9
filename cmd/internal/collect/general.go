package collect

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/upmaru/icepak/checks"
)

// networkUnits are those whose journal says how the network came up.
const networkUnits = "networking systemd-networkd systemd-networkd-wait-online systemd-resolved NetworkManager dhcpcd connman wicked ifup@eth0 netplan"

// general is what is looked at in every guest.
func general(want Wanted) []piece {
	pieces := []piece{
		{"system", systemFacts},
		{"files", fileFacts},
		{"programs", programFacts},

		{"links", links},
		{"ip-addr", command("ip", "addr")},
		{"ip-route", command("ip", "route")},
		{"ip-6-route", command("ip", "-6", "route")},
		{"network-sysctl", networkSysctl},
		{"network-config", networkConfig},
		{"journal-network", journal(300, networkMatches()...)},
		{"network-units", networkUnitStates},
		{"firewall", command("nft", "list", "ruleset")},
		{"resolv.conf", whole("/etc/resolv.conf")},
		{"resolved.conf", whole("/run/systemd/resolve/resolv.conf")},
		{"hosts", whole("/etc/hosts")},
		{"nsswitch.conf", files("/etc/nsswitch.conf")},

		{"systemd-state", onSystemd(command("systemctl", "is-system-running"))},
		{"failed-units", onSystemd(command("systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager", "--full"))},
		{"jobs", onSystemd(command("systemctl", "list-jobs", "--no-legend", "--no-pager", "--full"))},
		{"journal-warnings", journal(200, "-p", "warning")},
		{"rc-status", command("rc-status", "--all", "--nocolor")},
		{"rc.log", end(100, "/var/log/rc.log")},
		{"boot.log", end(100, "/var/log/boot", "/var/log/boot.log")},
		{"syslog", end(100, "/var/log/syslog", "/var/log/messages")},
		{"s6-rc", command("s6-rc", "-da", "list")},
		{"runit", command("sv", "status", "/var/service/", "/etc/service/")},

		{"apt-term.log", end(80, "/var/log/apt/term.log")},
		{"dpkg.log", end(40, "/var/log/dpkg.log")},
		{"dpkg-audit", command("dpkg", "--audit")},
		{"dpkg-updates", names("/var/lib/dpkg/updates/*")},
		{"dpkg-unfinished", dpkgUnfinished},
		{"apt-holds", command("apt-mark", "showhold")},
		{"apt-sources", files("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")},
		{"apt-config", files("/etc/apt/preferences", "/etc/apt/preferences.d/*", "/etc/apt/apt.conf", "/etc/apt/apt.conf.d/*")},
		{"keyrings", names("/etc/apt/trusted.gpg", "/etc/apt/trusted.gpg.d/*", "/etc/apt/keyrings/*", "/usr/share/keyrings/*",
			"/etc/pki/rpm-gpg/*", "/etc/apk/keys/*", "/etc/pacman.d/gnupg/*.gpg", "/usr/share/pacman/keyrings/*")},
		{"dnf.log", end(60, "/var/log/dnf5.log", "/var/log/dnf.log", "/var/log/yum.log")},
		{"zypper.log", end(60, "/var/log/zypper.log")},
		{"pacman.log", end(60, "/var/log/pacman.log")},
		{"repositories", files("/etc/yum.repos.d/*.repo", "/etc/zypp/repos.d/*.repo", "/etc/apk/repositories", "/etc/pacman.conf",
			"/etc/pacman.d/mirrorlist", "/etc/xbps.d/*", "/usr/share/xbps.d/*", "/etc/portage/repos.conf/*", "/etc/opkg/*.conf")},

		{"filesystems", filesystems},
		{"mounts", whole("/proc/mounts")},
		{"fstab", files("/etc/fstab")},
		{"memory", whole("/proc/meminfo")},
		{"cgroup", cgroup},
		{"processes", processes},

		{"locale", locales},
		{"cloud-init", files("/run/cloud-init/status.json", "/run/cloud-init/result.json", "/run/cloud-init/cloud-id", "/run/cloud-init/ds-identify.log")},
		{"cloud-init.log", matching(60, `WARNING|ERROR|CRITICAL|Traceback|^\w*Error`, "/var/log/cloud-init.log")},
		{"cloud-init-output.log", end(60, "/var/log/cloud-init-output.log")},
		{"nvidia", files("/proc/driver/nvidia/version")},
		{"nvidia-libraries", names("/usr/lib*/libnvidia-ml.so*", "/usr/lib/*-linux-gnu/libnvidia-ml.so*", "/usr/lib/*-linux-gnu/nvidia/*/libnvidia-ml.so*")},
	}
	if want.Kernel {
		pieces = append(pieces, piece{"dmesg", func(ctx context.Context, sys *checks.System) string {
			return lastLines(command("dmesg")(ctx, sys), 200)
		}})
	}
	return pieces
}

// systemFacts says what the machine is, and which time it has.
func systemFacts(_ context.Context, sys *checks.System) string {
	var b strings.Builder
	fact := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	for line := range strings.Lines(read(sys.FS, "/etc/os-release")) {
		if name, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			fact("os", strings.Trim(strings.TrimSpace(name), `"`))
		}
	}
	fact("kernel", strings.TrimSpace(read(sys.FS, "/proc/version")))
	fact("init", linkTarget(sys.FS, "proc/1/exe"))
	fact("init's command", strings.ReplaceAll(strings.TrimRight(read(sys.FS, "/proc/1/cmdline"), "\x00"), "\x00", " "))
	fact("hostname", strings.TrimSpace(read(sys.FS, "/proc/sys/kernel/hostname")))
	fact("uptime", strings.TrimSpace(read(sys.FS, "/proc/uptime")))
	fact("guest's clock", time.Now().UTC().Format(time.RFC3339))
	if !sys.Host.Time.IsZero() {
		fact("host's clock", sys.Host.Time.UTC().Format(time.RFC3339))
	}
	return b.String()
}

// locales is what is set and what there is.
func locales(ctx context.Context, sys *checks.System) string {
	text := files("/etc/default/locale", "/etc/locale.conf", "/etc/env.d/02locale", "/etc/profile.d/locale.sh")(ctx, sys)
	if all := command("locale", "-a")(ctx, sys); all != "" {
		text += header("locale -a") + all
	}
	return text
}

// dpkgUnfinished lists the packages that dpkg has not finished with.
func dpkgUnfinished(_ context.Context, sys *checks.System) string {
	data, err := readAll(sys.FS, "var/lib/dpkg/status", 32<<20)
	if err != nil {
		return ""
	}
	var b strings.Builder
	name := ""
	for line := range strings.Lines(data) {
		if n, ok := strings.CutPrefix(line, "Package: "); ok {
			name = strings.TrimSpace(n)
		}
		status, ok := strings.CutPrefix(line, "Status: ")
		if status = strings.TrimSpace(status); ok && name != "" {
			switch f := strings.Fields(status); {
			case len(f) == 3 && f[0] == "hold": // whatever its state
				fmt.Fprintf(&b, "%s: %s\n", name, status)
			case len(f) != 3, f[2] == "installed", f[2] == "not-installed", f[2] == "config-files":
			default:
				fmt.Fprintf(&b, "%s: %s\n", name, status)
			}
		}
	}
	return b.String()
}

// onSystemd looks only where systemd is the init.
func onSystemd(look func(context.Context, *checks.System) string) func(context.Context, *checks.System) string {
	return func(ctx context.Context, sys *checks.System) string {
		if !isDir(sys.FS, "/run/systemd/system") {
			return ""
		}
		return look(ctx, sys)
	}
}

// journal is the end of this boot's journal, of what the arguments choose.
func journal(lines int, args ...string) func(context.Context, *checks.System) string {
	return onSystemd(command(append([]string{"journalctl", "-b", "-q", "--no-pager", "--no-hostname", "-n", fmt.Sprint(lines)}, args...)...))
}

// networkUnitStates says of the network's services whether they are enabled.
func networkUnitStates(ctx context.Context, sys *checks.System) string {
	args := []string{"systemctl", "list-unit-files", "--no-legend", "--no-pager"}
	for unit := range strings.FieldsSeq(networkUnits) {
		args = append(args, unit+".service")
	}
	return onSystemd(command(args...))(ctx, sys)
}

// networkMatches choose what programs of the network have written.
func networkMatches() []string {
	var all []string
	add := func(match string) {
		if len(all) > 0 {
			all = append(all, "+")
		}
		all = append(all, match)
	}
	for unit := range strings.FieldsSeq(networkUnits) {
		add("_SYSTEMD_UNIT=" + unit + ".service")
		add("UNIT=" + unit + ".service")
	}
	for _, program := range []string{"dhclient", "udhcpc", "dhcpcd", "ifup", "NetworkManager"} {
		add("SYSLOG_IDENTIFIER=" + program)
	}
	return all
}
