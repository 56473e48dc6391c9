package checks

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

const tcpTable = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21403 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20001 1 0000000000000000 100 0 0 10 0
   2: 3500007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 20002 1 0000000000000000 100 0 0 10 5
   3: 0100A8C0:D431 08080808:01BB 01 00000000:00000000 02:000003E8 00000000  1000        0 20003 2 0000000000000000 20 4 30 10 -1
   4: garbage
`

const tcp6Table = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20010 1 0000000000000000 100 0 0 10 0
   1: B80D01200000000000000000010000FF:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20011 1 0000000000000000 100 0 0 10 0
`

const udpTable = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  100: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 20020 2 0000000000000000 0
  101: 0100A8C0:9C40 08080808:0035 01 00000000:00000000 00:00000000 00000000     0        0 20021 2 0000000000000000 0
`

func procGuest() *System {
	stat := func(comm, state string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("7 (" + comm + ") " + state + " 1 7 7 0 -1 4194560")}
	}
	return &System{FS: fstest.MapFS{
		"proc/net/tcp":    {Data: []byte(tcpTable)},
		"proc/net/tcp6":   {Data: []byte(tcp6Table)},
		"proc/net/udp":    {Data: []byte(udpTable)},
		"proc/7/stat":     stat("systemd-journal", "S"),
		"proc/7/cmdline":  {Data: []byte("/lib/systemd/systemd-journald\x00")},
		"proc/8/stat":     stat("tricky) S 1 (x", "S"),
		"proc/9/stat":     stat("dead", "Z"),
		"proc/10/stat":    stat("nginx", "S"),
		"proc/10/status":  {Data: []byte("Name:\tnginx\nUid:\t0\t33\t33\t33\nGid:\t0\t0\t0\t0\n")},
		"proc/14/stat":    stat("nginx", "S"),
		"proc/14/status":  {Data: []byte("Uid:\t4711\t4711\t4711\t4711\n")},
		"etc/passwd":      {Data: []byte("root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/false\n")},
		"proc/10/exe":     {Mode: os.ModeSymlink, Data: []byte("/usr/sbin/nginx-real (deleted)")},
		"proc/11/stat":    {Data: []byte("11 (half")},
		"proc/12/stat":    stat("unattended-upgr", "S"),
		"proc/12/cmdline": {Data: []byte("/usr/bin/python3\x00-u\x00/usr/bin/unattended-upgrade\x00/opt/other\x00")},
		"proc/12/exe":     {Mode: os.ModeSymlink, Data: []byte("/usr/bin/python3.11")},
		"proc/13/stat":    stat("sshd", "S"),
		"proc/13/cmdline": {Data: []byte("sshd: web on /usr/sbin/apache2\x00")},
		"proc/self/stat":  stat("self", "S"),
	}}
}

func TestPortProperties(t *testing.T) {
	for _, tt := range []struct {
		id, property, want string
		verdict            Verdict
		message            string
	}{
		{"22", "listening", `true`, Pass, ""},
		{"tcp:22", "listening", `true`, Pass, ""},
		{"tcp:22", "ip", `["0.0.0.0"]`, Pass, ""},
		{"tcp:631", "ip", `{"equal": ["127.0.0.1"]}`, Pass, ""},
		{"tcp:53", "ip", `["127.0.0.1"]`, Fail, `missing: "127.0.0.1"`},
		{"tcp:54321", "listening", `true`, Fail, "nothing listens on it"}, // a connection's own port
		{"tcp:80", "listening", `true`, Fail, "nothing listens on it, but on tcp6:80"},
		{"tcp6:80", "listening", `true`, Pass, ""},
		{"tcp6:80", "ip", `["::"]`, Pass, ""},
		{"tcp6:443", "ip", `["2001:db8::ff00:1"]`, Pass, ""},
		{"tcp:81", "listening", `false`, Pass, ""},
		{"tcp:81", "ip", `{"consist-of": []}`, Fail, "nothing listens on it"},
		{"udp:68", "listening", `true`, Pass, ""},
		{"udp:40000", "listening", `true`, Fail, "nothing listens on it"}, // connected: a client
		{"udp6:68", "listening", `false`, Pass, ""},                       // a kernel without IPv6
		{"sctp:1", "listening", `false`, Error, "want a port such as 22"},
		{"tcp:http", "listening", `false`, Error, "want a port such as 22"},
		{"tcp:65536", "listening", `false`, Error, "want a port such as 22"},
	} {
		t.Run(tt.id+" "+tt.property+" "+tt.want, func(t *testing.T) {
			list := evaluate(t, procGuest(), "port", tt.id, map[string]string{tt.property: tt.want})
			checkOne(t, list, tt.property, tt.verdict, tt.message)
		})
	}
}

func TestPortOfAMachineWithoutProcIsAnError(t *testing.T) {
	for _, id := range []string{"22", "tcp6:22", "udp6:53"} {
		list := evaluate(t, &System{FS: fstest.MapFS{}}, "port", id, map[string]string{"listening": `false`})
		checkOne(t, list, "listening", Error, "proc/net/")
	}
}

func TestPortOnThisMachine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("tcp:%d", l.Addr().(*net.TCPAddr).Port)
	checkOne(t, evaluate(t, Local(), "port", id, map[string]string{"ip": `["127.0.0.1"]`}), "ip", Pass, "")
	l.Close()
	checkOne(t, evaluate(t, Local(), "port", id, map[string]string{"listening": `false`}), "listening", Pass, "")
}

func TestProcessIsFoundByEachOfItsNames(t *testing.T) {
	for _, tt := range []struct {
		name    string
		running bool
	}{
		{"systemd-journald", true}, // cut by the kernel
		{"systemd-journal", true},
		{"tricky) S 1 (x", true},
		{"nginx", true},
		{"nginx-real", true},
		{"unattended-upgrade", true}, // a script
		{"unattended-upgr", true},
		{"other", false},   // its argument
		{"apache2", false}, // in the title that a process gave itself
		{"dead", false},
		{"half", false},
		{"self", false},
		{"", false},
		{".", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := evaluate(t, procGuest(), "process", tt.name, map[string]string{"running": fmt.Sprint(tt.running)})
			checkOne(t, list, "running", Pass, "")
		})
	}
}

func TestUsersOfAProcess(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		verdict    Verdict
		message    string
	}{
		{"nginx", `{"equal": ["4711", "www-data"]}`, Pass, ""},
		{"nginx", `{"not": {"contain-element": "root"}}`, Pass, ""},
		{"nginx", `["root"]`, Fail, `missing: "root"`},
		{"sshd", `["root"]`, Fail, "it has just ended"}, // its status is not there any more
		{"nosuch", `{"not": ["root"]}`, Fail, "it is not running"},
	} {
		checkProperty(t, procGuest(), "process", tt.name, "users", tt.want, tt.verdict, tt.message)
	}
	p := &Process{Common: Common{Key: "nosuch"}, Running: want(t, Bool, `true`), Users: want(t, List, `["root"]`)}
	checkTold(t, p.Evaluate(t.Context(), procGuest()), "running fail: it is not running\nusers skip: it is not running\n")
}

func TestProcessListErrorReachesEveryone(t *testing.T) {
	sys := &System{FS: fstest.MapFS{}}
	for range 2 {
		checkOne(t, evaluate(t, sys, "process", "x", map[string]string{"running": `false`}), "running", Error, "proc")
	}
}

func TestProcessIsNotAbsentWhereNoProcessIs(t *testing.T) {
	sys := &System{FS: fstest.MapFS{"proc/readme": {}}}
	checkOne(t, evaluate(t, sys, "process", "x", map[string]string{"running": `false`}), "running", Error, "/proc shows no process")
}

func TestProcessOnThisMachine(t *testing.T) {
	name := os.Args[0][strings.LastIndex(os.Args[0], "/")+1:]
	checkOne(t, evaluate(t, Local(), "process", name, map[string]string{"running": `true`}), "running", Pass, "")
}

func TestInterfaceProperties(t *testing.T) {
	for _, tt := range []struct {
		id, property, want string
		verdict            Verdict
		message            string
	}{
		{"eth0", "exists", `true`, Pass, ""},
		{"eth0", "addrs", `{"contain-element": {"match-regexp": "^10\\."}}`, Pass, ""},
		{"eth0", "addrs", `["10.0.0.6/24"]`, Fail, `missing: "10.0.0.6/24"`},
		{"eth0", "mtu", `1500`, Pass, ""},
		{"eth1", "exists", `true`, Fail, "no such interface"},
		{"eth1", "exists", `false`, Pass, ""},
		{"eth1", "mtu", `0`, Fail, "no such interface"},
	} {
		t.Run(tt.id+" "+tt.property+" "+tt.want, func(t *testing.T) {
			sys := &System{Interfaces: func() ([]NetInterface, error) {
				return []NetInterface{{"lo", 65536, nil}, {"eth0", 1500, []string{"10.0.0.5/24", "fe80::1/64"}}}, nil
			}}
			checkOne(t, evaluate(t, sys, "interface", tt.id, map[string]string{tt.property: tt.want}), tt.property, tt.verdict, tt.message)
		})
	}
	sys := &System{Interfaces: func() ([]NetInterface, error) { return nil, errors.New("no netlink") }}
	checkOne(t, evaluate(t, sys, "interface", "lo", map[string]string{"exists": `false`}), "exists", Error, "no netlink")
	checkOne(t, evaluate(t, new(System), "interface", "lo", map[string]string{"addrs": `["127.0.0.1/8"]`}), "addrs", Pass, "")
}

func FuzzProc(f *testing.F) {
	f.Add([]byte(tcpTable))
	f.Add([]byte(tcp6Table))
	f.Add([]byte("7 (a) S 1"))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range parseSockets(data, "0A") {
			if !s.IsValid() {
				t.Errorf("%v", s)
			}
		}
		parseStat(data)
	})
}
