package checks

import (
	"errors"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

const mountTable = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 0:30 / /srv rw - tmpfs none rw
31 30 254:1 /data /srv ro,nosuid,nosuid,noexec shared:7 master:2 - xfs /dev/vdb rw,attr2
32 27 0:31 / /mnt/a\040b\134c rw - 9p  rw
33 27 0:32 / /var/lib/x rw - overlay overlay rw,context="system_u:object_r:container_file_t:s0:c174,c741",mode=755
34 27 0:33
nonsense
`

func mountGuest() *System {
	return &System{
		FS: fstest.MapFS{"proc/self/mountinfo": {Data: []byte(mountTable)}},
		Usage: func(path string) (int, error) {
			if path == "/srv" {
				return 0, errors.New("input/output error")
			}
			return 42, nil
		},
	}
}

func TestMountProperties(t *testing.T) {
	for _, tt := range []struct {
		point, property, want string
		verdict               Verdict
		message               string
	}{
		{"/", "exists", `true`, Pass, ""},
		{"/home", "exists", `false`, Pass, ""},
		{"/home", "exists", `true`, Fail, "nothing is mounted there"},
		{"/home", "source", `"x"`, Fail, "nothing is mounted there"},
		{"/proc/", "exists", `true`, Pass, ""},
		{"/", "source", `"/dev/vda"`, Pass, ""},
		{"/", "filesystem", `"ext4"`, Pass, ""},
		{"/", "opts", `["rw", "relatime"]`, Pass, ""},
		{"/", "vfs-opts", `{"consist-of": ["rw", "discard"]}`, Pass, ""},
		{"/srv", "filesystem", `"xfs"`, Pass, ""}, // what is mounted over it is seen
		{"/srv", "opts", `{"equal": ["ro", "nosuid", "noexec"]}`, Pass, ""},
		{"/srv", "vfs-opts", `["ro"]`, Fail, `missing: "ro"`},
		{`/mnt/a b\c`, "exists", `true`, Pass, ""},
		{`/mnt/a b\c`, "source", `""`, Pass, ""},
		{"/var/lib/x", "vfs-opts", `["context=\"system_u:object_r:container_file_t:s0:c174,c741\"", "mode=755"]`, Pass, ""},
		{"/", "usage", `{"and": [{"lt": 95}, {"gt": 0}]}`, Pass, ""},
		{"/", "usage", `{"lt": 40}`, Fail, "42 is not less than 40"},
		{"/srv", "usage", `0`, Fail, "input/output error"},
	} {
		checkProperty(t, mountGuest(), "mount", tt.point, tt.property, tt.want, tt.verdict, tt.message)
	}
}

func TestMountThatIsMissingSkipsTheRest(t *testing.T) {
	m := &Mount{Common: Common{Key: "data"}, MountPoint: "/home", Exists: want(t, Bool, `false`), Usage: want(t, Int, `0`)}
	checkTold(t, m.Evaluate(t.Context(), mountGuest()), "exists pass\nusage skip: nothing is mounted there\n")
}

func TestMountsThatCannotBeReadAreAnError(t *testing.T) {
	sys := &System{FS: fstest.MapFS{}}
	checkProperty(t, sys, "mount", "/", "exists", `false`, Error, "open proc/self/mountinfo: file does not exist")
}

func TestFileSystemThatDoesNotAnswerFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		defer close(release)
		sys := mountGuest()
		sys.Usage = func(string) (int, error) {
			<-release
			return 0, nil
		}
		m := &Mount{Common: Common{Key: "/"}, Usage: want(t, Int, `{"lt": 95}`)}
		checkTold(t, m.Evaluate(t.Context(), sys), "usage fail: timed out after 1s\n")
		m.Timeout = Duration(3 * time.Second)
		checkTold(t, m.Evaluate(t.Context(), sys), "usage fail: timed out after 3s\n")
	})
}

func TestMountsOfThisMachine(t *testing.T) {
	sys := Local()
	checkProperty(t, sys, "mount", "/", "exists", `true`, Pass, "")
	checkProperty(t, sys, "mount", "/", "usage", `{"and": [{"ge": 0}, {"le": 100}]}`, Pass, "")
	checkProperty(t, sys, "mount", "/proc", "filesystem", `"proc"`, Pass, "")
	checkProperty(t, sys, "mount", "/proc", "usage", `0`, Pass, "")
}

func FuzzMountinfo(f *testing.F) {
	f.Add(mountTable)
	f.Fuzz(func(t *testing.T, line string) {
		if m, ok := parseMount(line); ok && len(m.opts) > len(line) {
			t.Errorf("%q has the options %q", line, m.opts)
		}
	})
}
