package checks

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestAccountsFindsWhoNeedsNoPasswordAndWhoIsSuperuser(t *testing.T) {
	const normal = "root:x:0:0:root:/root:/bin/sh\ndaemon:*:1:1::/:/bin/false\n"
	for _, tt := range []struct {
		name, passwd, shadow string // no shadow file where it is empty
		empty, superusers    string
	}{
		{"locked", normal, "root:*:1::::::\ndaemon:!:1::::::\n", `[]`, `["root"]`},
		{"empty in shadow", normal, "root::1::::::\n", `["root"]`, `["root"]`},
		{"empty in passwd, whatever shadow says", "root::0:0::/:/bin/sh\n", "root:!:1::::::\n", `["root"]`, `["root"]`},
		{"busybox asks shadow for a star too", normal, "root:!::::::\ndaemon:::::::\n", `["daemon"]`, `["root"]`},
		{"only in shadow is nobody", normal, "root:!:::::::\nghost::::::::\n", `[]`, `["root"]`},
		{"no shadow file", normal, "", `[]`, `["root"]`},
		{"no shadow file and none in passwd", "root::0:0::/:/bin/sh\n", "", `["root"]`, `["root"]`},
		{"a password in passwd", "root:$6$x:0:0::/:/bin/sh\n", "", `[]`, `["root"]`},
		{"a second superuser", normal + "toor:x:0:100::/:/bin/sh\n", "", `[]`, `["root","toor"]`},
		{"a line that ends early", normal + "toor::00:0\n", "", `["toor"]`, `["root","toor"]`},
		{"no accounts: comments, NIS, numbers that are none", normal + "#a::0:0:::\n+::::::\n-b::0:0:::\nc::x:0:::\nd\n\n", "", `[]`, `["root"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := fstest.MapFS{"etc/passwd": {Data: []byte(tt.passwd)}}
			if tt.shadow != "" {
				root["etc/shadow"] = &fstest.MapFile{Data: []byte(tt.shadow)}
			}
			want := map[string]string{"empty-passwords": `{"equal": ` + tt.empty + `}`, "superusers": `{"equal": ` + tt.superusers + `}`}
			checkTold(t, evaluate(t, &System{FS: root}, "accounts", "", want), "empty-passwords pass\nsuperusers pass\n")
		})
	}
}

// An unreadableFS does not let a file be read.
type unreadableFS struct {
	fs.FS
	name string
}

func (f unreadableFS) Open(name string) (fs.File, error) {
	if name == f.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("input/output error")}
	}
	return f.FS.Open(name)
}

func TestAccountsPassForNoGuestWhoseFilesCannotBeRead(t *testing.T) {
	root := fstest.MapFS{"etc/passwd": {Data: []byte("root:x:0:0::/:/bin/sh\n")}}
	none := map[string]string{"empty-passwords": `{"have-len": 0}`, "superusers": `{"have-len": {"le": 1}}`}
	for _, tt := range []struct {
		name string
		root fs.FS
		want string
	}{
		{"no passwd", fstest.MapFS{}, "empty-passwords fail: open etc/passwd: file does not exist\nsuperusers fail: open etc/passwd: file does not exist\n"},
		{"a broken shadow", unreadableFS{root, "etc/shadow"}, "empty-passwords fail: open etc/shadow: input/output error\nsuperusers pass\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkTold(t, evaluate(t, &System{FS: tt.root}, "accounts", "", none), tt.want)
		})
	}
}

func FuzzAccounts(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\n", "root:*:1::::::\n")
	f.Add("toor::0:0\n+::::::\n#\n", "::\n\x00:")
	f.Fuzz(func(t *testing.T, passwd, shadow string) {
		root := fstest.MapFS{"etc/passwd": {Data: []byte(passwd)}, "etc/shadow": {Data: []byte(shadow)}}
		list := evaluate(t, &System{FS: root}, "accounts", "", map[string]string{"empty-passwords": `{"have-len": 0}`, "superusers": `{"have-len": 1}`})
		if len(list) != 2 {
			t.Errorf("%d results", len(list))
		}
	})
}
