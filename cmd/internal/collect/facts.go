package collect

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/upmaru/icepak/checks"
)

// factFiles are the files whose mere state explains a failure.
var factFiles = strings.Fields(`/ /tmp /var/tmp /run /dev/null /dev/shm /sbin/init /bin/sh
	/etc/resolv.conf /run/systemd/resolve/stub-resolv.conf /etc/hosts /etc/hostname /etc/nsswitch.conf /etc/machine-id /var/lib/dbus/machine-id
	/etc/passwd /etc/group /etc/shadow /etc/ld.so.cache /etc/localtime /usr/share/zoneinfo
	/etc/network/interfaces /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem
	/usr/lib/locale/locale-archive /usr/lib/locale/C.utf8 /etc/apt/sources.list /var/lib/apt/lists /var/cache/apt/archives /var/lib/dpkg/status /var/lib/dpkg/lock-frontend
	/var/lib/rpm /lib/apk/db/installed /lib/apk/db/lock /var/lib/pacman/db.lck /etc/systemd/system/multi-user.target.wants /etc/systemd/system/default.target`)

// fileFacts says of some files what they are: mode, owner, size, and where links
// lead.
func fileFacts(_ context.Context, sys *checks.System) string {
	var b strings.Builder
	for _, name := range factFiles {
		b.WriteString(name + " " + fileFact(sys.FS, strings.TrimPrefix(path.Clean(name), "/")) + "\n")
	}
	return b.String()
}

func fileFact(root fs.FS, name string) string {
	if name == "" {
		name = "."
	}
	fi, err := fs.Lstat(root, name)
	if err != nil {
		return "missing"
	}
	text := fi.Mode().String()
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		text = fmt.Sprintf("%s %d:%d", text, st.Uid, st.Gid)
	}
	if fi.Mode()&fs.ModeSymlink == 0 {
		return fmt.Sprintf("%s %d", text, fi.Size())
	}
	text += " -> " + linkTarget(root, name)
	if target, err := fs.Stat(root, name); err != nil {
		text += " (dangling)"
	} else {
		text += " " + target.Mode().String()
	}
	return text
}

func linkTarget(root fs.FS, name string) string {
	target, err := fs.ReadLink(root, name)
	if err != nil {
		return ""
	}
	return target
}

// programFacts says which programs there are of those that a network, packages
// and services need.
func programFacts(_ context.Context, sys *checks.System) string {
	var b strings.Builder
	for program := range strings.FieldsSeq(`ifup dhclient udhcpc dhcpcd dhcpcd-base NetworkManager connmand wicked netplan systemd-networkd systemd-resolved systemd-udevd ip
		systemctl rc-service sv s6-rc apt-get dpkg dnf dnf5 yum rpm zypper pacman apk xbps-install emerge opkg gpg gpgv sqv cloud-init`) {
		where := "missing"
		for dir := range strings.SplitSeq("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/systemd:/lib/systemd", ":") {
			fi, err := fs.Stat(sys.FS, strings.TrimPrefix(dir, "/")+"/"+program)
			if err != nil || fi.IsDir() {
				continue
			}
			where = dir + "/" + program
			if fi.Mode()&0o111 == 0 {
				where += " (not executable)"
			}
			break
		}
		b.WriteString(program + " " + where + "\n")
	}
	return b.String()
}

// links is the kernel's own view of the network, which needs no tool.
func links(_ context.Context, sys *checks.System) string {
	list, err := sys.ListLinks()
	if err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	var b strings.Builder
	for _, l := range list {
		state := "up"
		if l.Down {
			state = "down"
		}
		b.WriteString(l.Name + " " + state)
		for _, a := range l.Addrs {
			b.WriteString(" " + a.Addr.String())
			for _, flag := range []struct {
				set  bool
				name string
			}{{a.Tentative, "tentative"}, {a.Duplicate, "duplicate"}, {a.Deprecated, "deprecated"}} {
				if flag.set {
					b.WriteString(" (" + flag.name + ")")
				}
			}
		}
		if l.Gateway4 {
			b.WriteString(" default-ipv4-route")
		}
		if l.Gateway6 {
			b.WriteString(" default-ipv6-route")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// networkSysctl is what the kernel was told of IPv6.
func networkSysctl(_ context.Context, sys *checks.System) string {
	var b strings.Builder
	for _, name := range glob(sys.FS, "/proc/sys/net/ipv6/conf/*/disable_ipv6", "/proc/sys/net/ipv6/conf/*/accept_ra", "/proc/sys/net/ipv6/conf/*/autoconf") {
		b.WriteString(strings.TrimPrefix(name, "/proc/sys/") + " = " + strings.TrimSpace(read(sys.FS, name)) + "\n")
	}
	if !isDir(sys.FS, "/proc/sys/net/ipv6") {
		b.WriteString("net/ipv6 missing\n")
	}
	return b.String()
}

// networkConfig is the configuration of all that configures networks, and of what
// sets the kernel's parameters.
func networkConfig(ctx context.Context, sys *checks.System) string {
	return files("/etc/network/interfaces", "/etc/network/interfaces.d/*", "/etc/systemd/network/*", "/run/systemd/network/*",
		"/etc/netplan/*.yaml", "/etc/sysconfig/network", "/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*",
		"/etc/NetworkManager/system-connections/*", "/etc/NetworkManager/conf.d/*", "/etc/conf.d/net", "/etc/dhcpcd.conf", "/etc/dhcp/dhclient.conf",
		"/etc/config/network", "/etc/sysctl.conf", "/etc/sysctl.d/*", "/etc/systemd/resolved.conf", "/etc/systemd/resolved.conf.d/*")(ctx, sys)
}

// cgroup is what the guest may use of memory and processes, and what it was
// refused.
func cgroup(_ context.Context, sys *checks.System) string {
	var b strings.Builder
	for _, name := range strings.Fields(`memory.max memory.current memory.events pids.max pids.current pids.events
		memory/memory.limit_in_bytes memory/memory.usage_in_bytes memory/memory.oom_control pids/pids.max pids/pids.current pids/pids.events`) {
		for line := range strings.Lines(read(sys.FS, "/sys/fs/cgroup/"+name)) {
			b.WriteString(name + " " + strings.TrimSpace(line) + "\n")
		}
	}
	return b.String()
}

// filesystems says how full the mounted file systems are.
func filesystems(ctx context.Context, sys *checks.System) string {
	var b strings.Builder
	b.WriteString("mounted type options bytes free used inodes free used\n")
	for line := range strings.Lines(read(sys.FS, "/proc/mounts")) {
		f := strings.Fields(line)
		if len(f) < 4 || ctx.Err() != nil || strings.HasPrefix(f[1], "/dev/") || strings.HasPrefix(f[1], "/proc/") || strings.HasPrefix(f[1], "/sys/") {
			continue
		}
		var st unix.Statfs_t
		if err := unix.Statfs(f[1], &st); err != nil || st.Blocks == 0 {
			continue
		}
		// What is kept for root is not free to others; but services run as both.
		bytes, free := uint64(st.Blocks)*uint64(st.Bsize), uint64(st.Bavail)*uint64(st.Bsize)
		fmt.Fprintf(&b, "%s %s %s %d %d %s %d %d %s\n", f[1], f[2], access(f[3]),
			bytes, free, percent(free, bytes), uint64(st.Files), uint64(st.Ffree), percent(uint64(st.Ffree), uint64(st.Files)))
	}
	return b.String()
}

func access(options string) string {
	if options == "ro" || strings.HasPrefix(options, "ro,") {
		return "ro"
	}
	return "rw"
}

// percent is how much of all is not free.
func percent(free, all uint64) string {
	if all == 0 || free > all {
		return "-"
	}
	return strconv.FormatUint((all-free)*100/all, 10) + "%"
}

// processes lists the processes: pid, parent, state, memory in KiB, command line.
func processes(ctx context.Context, sys *checks.System) string {
	var b strings.Builder
	b.WriteString("pid ppid state rss command\n")
	entries, err := fs.ReadDir(sys.FS, "proc")
	if err != nil {
		return ""
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil || ctx.Err() != nil {
			continue
		}
		status := map[string]string{}
		for line := range strings.Lines(read(sys.FS, "/proc/"+e.Name()+"/status")) {
			if name, value, ok := strings.Cut(line, ":"); ok {
				status[name] = strings.TrimSpace(value)
			}
		}
		line := strings.TrimRight(strings.ReplaceAll(read(sys.FS, "/proc/"+e.Name()+"/cmdline"), "\x00", " "), " ")
		if line == "" {
			line = "[" + status["Name"] + "]"
		}
		if len(line) > 300 {
			line = line[:300] + "…"
		}
		fmt.Fprintf(&b, "%s %s %.1s %s %s\n", e.Name(), status["PPid"], status["State"], strings.TrimSuffix(status["VmRSS"], " kB"), line)
	}
	return b.String()
}

// readAll reads a regular file of at most so many bytes.
func readAll(root fs.FS, name string, most int64) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most))
	return string(data), err
}
