package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

// tree is a guest of a few files, with owners.
func tree() fstest.MapFS {
	owned := &syscall.Stat_t{Uid: 33, Gid: 44}
	return fstest.MapFS{
		"etc/passwd":      {Data: []byte("root:x:0:0:root:/root:/bin/bash\nweb:x:33:44::/srv/web:/usr/sbin/nologin\n")},
		"etc/group":       {Data: []byte("root:x:0:\nwww:x:44:\nadm:x:4:syslog,web\n+::::\nbad\n")},
		"etc/motd":        {Data: []byte("hello\nworld\n"), Mode: 0o644, Sys: owned},
		"etc/stranger":    {Sys: &syscall.Stat_t{Uid: 4711, Gid: 4712}},
		"usr/bin/su":      {Data: []byte("x"), Mode: 0o755 | fs.ModeSetuid},
		"tmp":             {Mode: fs.ModeDir | 0o777 | fs.ModeSticky},
		"run/pipe":        {Mode: fs.ModeNamedPipe | 0o600},
		"etc/mtab":        {Mode: fs.ModeSymlink | 0o777, Data: []byte("../proc/mounts")},
		"srv/web/a.html":  {Data: []byte("a"), Mode: 0o640},
		"etc/link":        {Mode: fs.ModeSymlink | 0o777, Data: []byte("motd")},
		"var/big":         {Data: make([]byte, maxContents+1)},
		"var/dangling":    {Mode: fs.ModeSymlink | 0o777, Data: []byte("nowhere")},
		"dev/null":        {Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666},
		"root/.profile":   {Data: []byte("secret"), Mode: 0o600},
		"proc/self/dummy": {},
	}
}

func TestFileProperties(t *testing.T) {
	for _, tt := range []struct {
		path, property, want string
		verdict              Verdict
		message              string
	}{
		{"/etc/motd", "exists", `true`, Pass, ""},
		{"/etc/motd", "mode", `"0644"`, Pass, ""},
		{"/etc/motd", "mode", `420`, Fail, ""},
		{"/usr/bin/su", "mode", `"4755"`, Pass, ""},
		{"/tmp", "mode", `"1777"`, Pass, ""},
		{"/etc/motd", "owner", `"web"`, Pass, ""},
		{"/etc/motd", "uid", `33`, Pass, ""},
		{"/etc/motd", "group", `"www"`, Pass, ""},
		{"/etc/motd", "gid", `44`, Pass, ""},
		{"/etc/stranger", "owner", `"web"`, Fail, ""},
		{"/etc/stranger", "owner", `"4711"`, Pass, ""},
		{"/etc/stranger", "group", `"4712"`, Pass, ""},
		{"/tmp", "uid", `0`, Error, "does not tell owners"}, // a file system of tests, without owners
		{"/etc/mtab", "linked-to", `"../proc/mounts"`, Pass, ""},
		{"/etc/motd", "linked-to", `"x"`, Fail, "it is no link but a file"},
		{"/etc/mtab", "filetype", `"symlink"`, Pass, ""},
		{"/etc/motd", "filetype", `"file"`, Pass, ""},
		{"/tmp", "filetype", `"directory"`, Pass, ""},
		{"/run/pipe", "filetype", `"pipe"`, Pass, ""},
		{"/dev/null", "filetype", `"character-device"`, Pass, ""},
		{"/etc/motd", "contents", `["/^wor/", "!foo"]`, Pass, ""},
		{"/etc/motd", "contents", `["foo"]`, Fail, `missing: "foo"`},
		{"/etc/link", "contents", `["hello"]`, Pass, ""},
		{"/run/pipe", "contents", `["x"]`, Fail, "it is no file but a pipe"},
		{"/tmp", "contents", `["x"]`, Fail, "it is no file but a directory"},
		{"/var/big", "contents", `["!x"]`, Error, "bigger than 10 MiB"},
		{"/var/dangling", "contents", `["!x"]`, Fail, "not exist"},
		{"/var/dangling", "exists", `true`, Pass, ""},
		{"/etc/motd", "size", `12`, Pass, ""},
		{"/etc/motd", "size", `{"gt": 100}`, Fail, "12 is not greater than 100"},
		{"/etc/motd", "md5", `"0f723ae7f9bf07744445e93ac5595156"`, Pass, ""},
		{"/etc/motd", "sha256", `{"have-prefix": "4b6c"}`, Fail, "does not start with"},
		{"/etc/motd", "sha512", `{"have-len": 128}`, Pass, ""},
		{"/run/pipe", "md5", `"x"`, Fail, "it is no file but a pipe"},
		{"~web/a.html", "mode", `"0640"`, Pass, ""},
		{"~nobody/a.html", "exists", `true`, Fail, "no user nobody"},
		{"~nobody/a.html", "exists", `false`, Fail, "no user nobody"},
		{"etc/../etc/motd", "exists", `true`, Pass, ""},
		{"/", "filetype", `"directory"`, Pass, ""},
		{"/no/such", "exists", `true`, Fail, "does not exist"},
		{"/no/such", "exists", `false`, Pass, ""},
		{"/no/such", "contents", `["!x"]`, Fail, "does not exist"},
		{"/no/such", "owner", `{"not": "web"}`, Fail, "does not exist"},
	} {
		checkProperty(t, &System{FS: tree()}, "file", tt.path, tt.property, tt.want, tt.verdict, tt.message)
	}
}

// evaluate makes an item with the properties, each a matcher in JSON, and
// looks at it.
func evaluate(t *testing.T, sys *System, typ, id string, properties map[string]string) []Result {
	t.Helper()
	return itemOf(t, typ, id, properties).Evaluate(t.Context(), sys)
}

// checkOne checks the only result; of the message, a part.
func checkOne(t *testing.T, list []Result, property string, v Verdict, message string) {
	t.Helper()
	if len(list) != 1 {
		t.Fatalf("got %d results: %+v", len(list), list)
	}
	r := list[0]
	if r.Property != property || r.Verdict != v || !strings.Contains(r.Message, message) {
		t.Errorf("got %s %s %q, actual %v", r.Property, r.Verdict, r.Message, r.Actual)
	}
	if v == Pass && r.Message != "" {
		t.Errorf("a pass has the message %q", r.Message)
	}
}

func TestFileOfAnAliasIsLookedAtInsteadOfTheKey(t *testing.T) {
	f := &File{Common: Common{Key: "a name"}, Path: "/etc/motd", Exists: want(t, Bool, `true`)}
	if list := f.Evaluate(t.Context(), &System{FS: tree()}); list[0].Verdict != Pass {
		t.Errorf("got %+v", list)
	}
}

func TestRelativePathLeadsFromTheFolder(t *testing.T) {
	for dir, want := range map[string]Verdict{"": Fail, "/etc": Pass, "/srv/web/../../etc": Pass} {
		sys := &System{FS: tree(), Dir: dir}
		if list := evaluate(t, sys, "file", "./motd", map[string]string{"exists": `true`}); list[0].Verdict != want {
			t.Errorf("from %q: %+v", dir, list)
		}
	}
}

func TestFileThatPassesDoesNotShowItsContents(t *testing.T) {
	list := evaluate(t, &System{FS: tree()}, "file", "/root/.profile", map[string]string{"contents": `["sec"]`})
	if s := fmt.Sprintf("%+v", list); strings.Contains(s, "secret") {
		t.Error(s)
	}
}

func TestFileOnARealFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	sys := &System{FS: os.DirFS(dir)}
	for _, tt := range []struct {
		path, property, want string
		verdict              Verdict
		message              string
	}{
		{"/file", "mode", `"0600"`, Pass, ""},
		{"/file", "uid", fmt.Sprint(os.Getuid()), Pass, ""},
		{"/link", "linked-to", `"file"`, Pass, ""},
		{"/link", "contents", `["x"]`, Pass, ""},
		{"/pipe", "contents", `["x"]`, Fail, "it is no file but a pipe"}, // and does not hang
		{"/file/below", "exists", `false`, Pass, ""},
		{"/file\x00", "exists", `true`, Fail, "invalid"},
	} {
		t.Run(tt.path+" "+tt.property, func(t *testing.T) {
			checkOne(t, evaluate(t, sys, "file", tt.path, map[string]string{tt.property: tt.want}), tt.property, tt.verdict, tt.message)
		})
	}
}

func TestUnreadableFileIsNotAbsent(t *testing.T) {
	list := evaluate(t, &System{FS: brokenFS{}}, "file", "/x", map[string]string{"exists": `false`, "mode": `"0644"`})
	if len(list) != 2 || list[0].Verdict != Fail || list[1].Verdict != Skip {
		t.Errorf("got %+v", list)
	}
}

type brokenFS struct{}

func (brokenFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("input/output error")}
}

func TestUserAndGroupProperties(t *testing.T) {
	for _, tt := range []struct {
		typ, id, property, want string
		verdict                 Verdict
		message                 string
	}{
		{"user", "web", "exists", `true`, Pass, ""},
		{"user", "web", "uid", `33`, Pass, ""},
		{"user", "web", "uid", `"33"`, Pass, ""},
		{"user", "web", "gid", `44`, Pass, ""},
		{"user", "web", "home", `"/srv/web"`, Pass, ""},
		{"user", "web", "shell", `{"have-suffix": "nologin"}`, Pass, ""},
		{"user", "web", "groups", `{"equal": ["adm", "www"]}`, Pass, ""},
		{"user", "web", "groups", `["root"]`, Fail, `missing: "root"`},
		{"user", "no", "exists", `true`, Fail, "there is no such user"},
		{"user", "no", "exists", `false`, Pass, ""},
		{"user", "no", "uid", `0`, Fail, "there is no such user"},
		{"user", "no", "groups", `{"consist-of": []}`, Fail, "there is no such user"},
		{"user", "remote", "uid", `5000`, Pass, ""}, // known to getent only
		{"user", "remote", "groups", `["people"]`, Pass, ""},
		{"user", "-h", "exists", `true`, Fail, "there is no such user"},
		{"group", "www", "exists", `true`, Pass, ""},
		{"group", "www", "gid", `44`, Pass, ""},
		{"group", "people", "gid", `6000`, Pass, ""},
		{"group", "no", "gid", `0`, Fail, "there is no such group"},
		{"group", "bad", "exists", `true`, Fail, "there is no such group"},
	} {
		t.Run(tt.typ+" "+tt.id+" "+tt.property, func(t *testing.T) {
			sys := &System{FS: tree(), Exec: getent}
			checkOne(t, evaluate(t, sys, tt.typ, tt.id, map[string]string{tt.property: tt.want}), tt.property, tt.verdict, tt.message)
		})
	}
}

func TestUserIsNotAbsentWhenGetentCannotBeAsked(t *testing.T) {
	sys := &System{FS: tree(), Exec: func(context.Context, Command) (Output, error) {
		return Output{}, errors.New("no process left")
	}}
	checkOne(t, evaluate(t, sys, "user", "remote", map[string]string{"exists": `false`}), "exists", Error, "no process left")
	sys.Exec = func(context.Context, Command) (Output, error) { return Output{}, exec.ErrNotFound }
	checkOne(t, evaluate(t, sys, "user", "remote", map[string]string{"exists": `false`}), "exists", Pass, "")
}

// getent knows one user and one group.
func getent(_ context.Context, cmd Command) (Output, error) {
	switch strings.Join(cmd.Args, " ") {
	case "getent passwd remote":
		return Output{Stdout: []byte("remote:*:5000:6000:R:/home/remote:/bin/sh\n")}, nil
	case "getent group people", "getent group 6000":
		return Output{Stdout: []byte("people:*:6000:remote\n")}, nil
	}
	return Output{ExitCode: 2}, nil
}

func TestGuestWithoutAccountFilesHasNoUsers(t *testing.T) {
	list := evaluate(t, &System{FS: fstest.MapFS{}}, "user", "root", map[string]string{"exists": `true`})
	checkOne(t, list, "exists", Fail, "there is no such user")
	list = evaluate(t, &System{FS: brokenFS{}}, "user", "root", map[string]string{"exists": `false`})
	checkOne(t, list, "exists", Error, "input/output error")
}

func FuzzAccountFiles(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\n\n+::::::\nx:x:-1:0:::\nx:x:99999999999:0:::", "root:x:0:a,b,,\n:::")
	f.Fuzz(func(t *testing.T, passwd, group string) {
		root := fstest.MapFS{"etc/passwd": {Data: []byte(passwd)}, "etc/group": {Data: []byte(group)}}
		accounts, err := readPasswd(root)
		if err != nil {
			t.Fatal(err)
		}
		groups, err := readGroups(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range accounts {
			if a.name == "" || a.uid < 0 || a.gid < 0 {
				t.Errorf("%+v", a)
			}
		}
		for _, g := range groups {
			if g.name == "" || g.gid < 0 {
				t.Errorf("%+v", g)
			}
		}
	})
}
