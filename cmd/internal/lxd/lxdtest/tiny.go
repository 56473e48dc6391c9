package lxdtest

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// An Option changes a tiny image.
type Option int

const (
	NoInit    Option = iota // without /sbin/init
	NoExec                  // /sbin/init may not be executed
	InitExits               // init ends at once
	NoIPv4                  // no DHCP client is started
	NoShell                 // without /bin/sh; nothing is set up at the boot
	WrongArch               // /sbin/init is of another architecture
	OddFiles                // with links out of it, a pipe, and other files that are hard to read, in /odd
	Unique                  // its fingerprint is another one with each call

	// Those of broken.go.
	NoLoader    // /sbin/init asks for a dynamic loader that is not there
	InitCrashes // init ends by SIGSEGV
	PowersOff   // it boots, and a moment later stops by itself
	Reboots     // it boots, and restarts itself, for ever
	RebootsOnce // likewise, but only once
	NoFolders   // without /dev, /proc and /sys
	NoMounts    // init unmounts /proc and /sys
	NoNull      // init removes /dev/null
	FillsDisk   // init writes until its disk is full
	EatsMemory  // init takes all the memory that it gets
	KillsProbe  // whatever is run in it by LXD is killed
	NoInitHere  // /sbin/init is a program that sleeps
	Floods      // init writes to the console without end
	HogsMemory  // likewise takes memory
	Forks       // it starts processes until there is no room for one more
	HangsShell  // /bin/sh never does what it is asked to
	BadProbe    // init puts another program in the probe's place, which says that all is well
	BadTokens   // likewise, with events of a token of its own
)

// applets are the programs that busybox stands for.
const applets = "awk cat chmod cp cut date dd echo env false getent grep halt head hostname httpd id ip kill ls mkdir mount mv nslookup ping poweroff printf ps pwd readlink reboot rm sed seq sh sleep stat tail tee test touch tr true udhcpc umount uname wc wget yes"

const inittab = `::sysinit:/etc/rc
::ctrlaltdel:/bin/poweroff
`

const rc = `#!/bin/sh
echo tiny boots
ip link set lo up
ip link set eth0 up
httpd -h /srv/www
`

const dhcp = `udhcpc -b -S -i eth0 -s /etc/udhcpc.script
`

const dhcpScript = `#!/bin/sh
case "$1" in
bound|renew)
  ip addr replace "$ip/$mask" dev "$interface"
  for r in $router; do ip route replace default via "$r" dev "$interface"; done
  : >/etc/resolv.conf
  for d in $dns; do echo "nameserver $d" >>/etc/resolv.conf; done
  ;;
esac
`

// Tiny makes a split image of about a megabyte, a folder with incus.tar.xz and
// rootfs.squashfs: busybox as init and shell, a DHCP client, a web server on
// port 80. It boots in a fraction of a second.
func Tiny(t testing.TB, options ...Option) string {
	t.Helper()
	dir := t.TempDir()
	root := rootfs(t, options)
	pack(t, root, "tar2sqfs", "-q", "-f", "-c", "zstd", "-X", "level=1", filepath.Join(dir, "rootfs.squashfs"))
	unique := "none"
	if slices.Contains(options, Unique) {
		unique = rand.Text() // nobody has seen its metadata either
	}
	metadata := archive(t, func(w *tar.Writer) {
		file(t, w, "metadata.yaml", 0o644, fmt.Sprintf(`architecture: %s
creation_date: 1735689600
properties:
  os: Tiny
  release: one
  architecture: %[1]s
  variant: default
  serial: "20250101-01"
  description: a tiny image for tests
# %[2]s
`, kernelArch(), unique))
	})
	if err := os.WriteFile(filepath.Join(dir, "incus.tar.xz"), pack(t, metadata, "xz", "-0", "-c"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func kernelArch() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64"
	}
	return "x86_64"
}

// pack runs a program over data and returns what it prints.
func pack(t testing.TB, data []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Stdin = bytes.NewReader(data)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v: %s (run .ci/setup)", args[0], err, stderr.String())
	}
	return out.Bytes()
}

func archive(t testing.TB, fill func(*tar.Writer)) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	fill(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func rootfs(t testing.TB, options []Option) []byte {
	t.Helper()
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v (run .ci/setup)", err)
	}
	has := func(o Option) bool { return slices.Contains(options, o) }
	return archive(t, func(w *tar.Writer) {
		for _, dir := range strings.Fields("bin dev etc proc root run sbin srv srv/www sys tmp usr usr/bin usr/local usr/local/bin var") {
			if has(NoFolders) && slices.Contains([]string{"dev", "proc", "sys"}, dir) {
				continue
			}
			header(t, w, &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755})
		}
		file(t, w, "bin/busybox", 0o755, string(busybox))
		for _, name := range strings.Fields(applets) {
			if name != "sh" || !has(NoShell) {
				link(t, w, "bin/"+name, "busybox")
			}
		}
		initialise(t, w, busybox, has)
		file(t, w, "etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n")
		file(t, w, "etc/group", 0o644, "root:x:0:\n")
		file(t, w, "etc/hosts", 0o644, "127.0.0.1 localhost\n::1 localhost\n")
		file(t, w, "etc/os-release", 0o644, "ID=tiny\nNAME=Tiny\nVERSION_ID=1\n")
		file(t, w, "srv/www/index.html", 0o644, "tiny\n")
		if has(OddFiles) {
			oddFiles(t, w)
		}
		if has(Unique) {
			file(t, w, "etc/unique", 0o644, rand.Text()+"\n")
		}
	})
}

// oddFiles adds what a host must not be misled by.
func oddFiles(t testing.TB, w *tar.Writer) {
	header(t, w, &tar.Header{Typeflag: tar.TypeDir, Name: "odd/", Mode: 0o1777})
	link(t, w, "odd/inside", "/etc/os-release")
	link(t, w, "odd/outside", "/usr/bin/tar")
	link(t, w, "odd/up", "../../../../../../usr/bin/tar")
	link(t, w, "odd/loop", "loop")
	link(t, w, "odd/folder", "/etc")
	header(t, w, &tar.Header{Typeflag: tar.TypeFifo, Name: "odd/pipe", Mode: 0o644})
	file(t, w, "odd/secret", 0, "nobody may read it\n")
	file(t, w, "odd/setuid", 0o4755, "x")
	header(t, w, &tar.Header{Typeflag: tar.TypeReg, Name: "odd/owned", Mode: 0o644, Uid: 1000, Gid: 1001})
	file(t, w, "odd/large", 0o644, strings.Repeat("0123456789abcde\n", 1<<20))
}

// initialise adds what runs at the boot.
func initialise(t testing.TB, w *tar.Writer, busybox []byte, has func(Option) bool) {
	switch {
	case has(NoInit):
	case has(NoExec):
		file(t, w, "sbin/init", 0o644, string(busybox))
	case has(InitExits):
		file(t, w, "sbin/init", 0o755, "#!/bin/sh\necho init gives up\nexit 1\n")
	case has(WrongArch):
		other := bytes.Clone(busybox)
		other[18] ^= 0xff // the machine in the ELF header
		file(t, w, "sbin/init", 0o755, string(other))
	case has(NoLoader):
		file(t, w, "sbin/init", 0o755, withoutLoader())
	case has(InitCrashes):
		file(t, w, "sbin/init", 0o755, "#!/bin/sh\necho init crashes\nkill -SEGV $$\n")
	case has(EatsMemory):
		file(t, w, "sbin/init", 0o755, "#!/bin/sh\necho init eats\nexec tail /dev/zero\n")
	case has(NoInitHere):
		file(t, w, "sbin/init", 0o755, "#!/bin/sh\nexec sleep 86400\n")
	default:
		link(t, w, "sbin/init", "../bin/busybox")
	}
	if has(NoShell) {
		return
	}
	script := rc
	if !has(NoIPv4) {
		script += dhcp
	}
	for _, b := range breakages {
		if has(b.option) {
			script += b.lines
		}
	}
	file(t, w, "etc/inittab", 0o644, inittab)
	file(t, w, "etc/rc", 0o755, script)
	file(t, w, "etc/udhcpc.script", 0o755, dhcpScript)
}

func header(t testing.TB, w *tar.Writer, h *tar.Header) {
	t.Helper()
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
}

func file(t testing.TB, w *tar.Writer, name string, mode int64, content string) {
	t.Helper()
	header(t, w, &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))})
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, w *tar.Writer, name, target string) {
	t.Helper()
	header(t, w, &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
}
