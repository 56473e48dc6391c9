package lxdtest

import (
	"bytes"
	"encoding/binary"
)

// A breakage is what a broken image's /etc/rc does after all else.
type breakage struct {
	option Option
	lines  string
}

var breakages = []breakage{
	{PowersOff, "(sleep 1; echo powering off; poweroff -f) &\n"},
	{Reboots, "(echo restarting; reboot -f) &\n"},
	{RebootsOnce, "test -e /etc/restarted || { touch /etc/restarted; echo restarting; reboot -f; }\n"},
	{NoMounts, "umount -l /sys; umount -l /proc\n"},
	{NoNull, "rm -f /dev/null || umount -l /dev/null; rm -f /dev/null\n"},
	{FillsDisk, "dd if=/dev/urandom of=/var/fill bs=65536\n"},
	{KillsProbe, `(while true; do
  for p in /proc/[0-9]*; do
    case "$(readlink $p/exe)" in */icepak-probe) sleep 0.3; kill -9 "${p#/proc/}";; esac
  done
done) &
`},
	{Floods, "yes \"$(printf '\\033[2J::error::flood \\377')\" >/dev/console 2>&1 &\n"},
	{HogsMemory, "tail /dev/zero &\ntail /dev/zero &\n"},
	{Forks, "forks() { forks | forks & sleep 1000; }\n(while true; do forks; done) 2>/dev/null &\n"},
	{HangsShell, "printf '#!/bin/busybox sh\\nexec sleep 86400\\n' >/bin/hang; chmod 755 /bin/hang; mv /bin/hang /bin/sh\n"},
	{BadProbe, forger(`{"event":"checked","check":"up","outcome":{"verdict":"pass","passed":1,"total":1}}`)},
	{BadTokens, forger(`{"token":"x","event":"hello","protocol":3}`, `{"token":"x","event":"ready","ready":{}}`,
		`{"token":"x","event":"result","check":"up","result":{"verdict":"pass"}}`,
		`{"token":"x","event":"checked","check":"up","outcome":{"verdict":"pass","passed":1,"total":1}}`, `{"token":"x","event":"end"}`)},
}

// forger replaces the probe by a program that says the lines, and has it run: where the
// probe runs already, it is killed once, and asked once more.
func forger(lines ...string) string {
	script := "#!/bin/sh\ncat >/dev/null\n"
	for _, line := range lines {
		script += "echo '" + line + "'\n"
	}
	return "cat >/icepak-probe.new <<'EOF'\n" + script + "EOF\nchmod 755 /icepak-probe.new\numount -l /icepak-probe 2>/dev/null\nmv /icepak-probe.new /icepak-probe\n" + `cat >/etc/kills <<'EOF'
while true; do
  for p in /proc/[0-9]*; do
    case "$(readlink $p/exe)" in */busybox | "") ;; *) kill -9 "${p#/proc/}";; esac
  done
done
EOF
sh /etc/kills &
`
}

// withoutLoader is an executable of this machine's architecture whose dynamic loader
// is nowhere: a header, and a program header that names it.
func withoutLoader() string {
	const loader = "/lib/ld-none.so.1\x00"
	const header, entry = 64, 56
	machine := map[string]uint16{"x86_64": 62, "aarch64": 183}[kernelArch()]
	var b bytes.Buffer
	put := func(fields ...any) {
		for _, f := range fields {
			_ = binary.Write(&b, binary.LittleEndian, f) // a buffer takes all
		}
	}
	b.WriteString("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	put(uint16(3), machine, uint32(1), uint64(0), uint64(header), uint64(0), uint32(0))
	put(uint16(header), uint16(entry), uint16(1), uint16(0), uint16(0), uint16(0))
	put(uint32(3), uint32(4), uint64(header+entry), uint64(header+entry), uint64(header+entry), uint64(len(loader)), uint64(len(loader)), uint64(1))
	b.WriteString(loader)
	return b.String()
}
