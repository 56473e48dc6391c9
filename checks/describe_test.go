package checks

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// described is a description on one line, as JSON.
func described(t *testing.T, sys *System, typ, id string) string {
	t.Helper()
	item, err := NewItem(typ, id)
	if err != nil {
		t.Fatal(err)
	}
	d, err := item.Describe(t.Context(), sys)
	if err != nil {
		return "error: " + err.Error()
	}
	return line(t, d)
}

func line(t *testing.T, d Description) string {
	t.Helper()
	parts := []string{d.Type, d.ID}
	if !d.There {
		parts = append(parts, "(not there)")
	}
	for _, a := range d.Attributes {
		value, err := json.Marshal(a.Value)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, a.Name+"="+string(value))
	}
	return strings.Join(parts, " ")
}

func TestAResourceIsDescribedAsASpecWouldSayIt(t *testing.T) {
	sys := fakeGuest(t, []string{"var/lib/dpkg/status", "bin/sh", "run/systemd/system/"}, script{
		"dpkg-query -W -f ${Package}\\t${Architecture}\\t${Status}\\t${Version}\\n": prints("nginx\tamd64\tinstall ok installed\t1.22.1-9\n"),
		"systemctl show --property=" + unitProperties + " -- nginx":                 prints("LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"),
		"systemctl show --property=" + unitProperties + " -- none":                  prints("LoadState=not-found\nActiveState=inactive\n"),
		"/bin/sh -c say":         prints("  one\n\n!two\n/three/\n\\four\none\n"),
		"/bin/sh -c say nothing": exits(3, ""),
		"/bin/sh -c none":        exits(127, "sh: none: not found\n"),
	})
	for _, tt := range []struct{ typ, id, want string }{
		{"package", "nginx", `package nginx installed=true versions=["1.22.1-9"]`},
		{"package", "none", `package none (not there) installed=false`},
		{"service", "nginx", `service nginx enabled=true running=true`},
		{"service", "none", `service none (not there) enabled=false running=false`},
		{"file", "/etc/none", `file /etc/none (not there) exists=false`},
		{"command", "say", `command say exit-status=0 stdout=["one","\\!two","\\/three/","\\\\four"] stderr=""`},
		{"command", "say nothing", `command say nothing exit-status=3 stdout="" stderr=""`},
		{"command", "none", `command none exit-status=127 stdout="" stderr=["sh: none: not found"]`},
		{"port", "x", `error: listening: want a port such as 22, tcp:22, tcp6:22, udp:53 or udp6:53, got "x"`},
	} {
		t.Run(tt.typ+" "+tt.id, func(t *testing.T) {
			if got := described(t, sys, tt.typ, tt.id); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestADescriptionHoldsOnTheSameMachine(t *testing.T) {
	sys := Local()
	for _, id := range [][2]string{
		{"file", "/etc/passwd"}, {"file", "/proc/self/exe"}, {"file", "/dev/null"}, {"user", "root"}, {"group", "root"},
		{"interface", "lo"}, {"command", `printf '!a\n/b/\n\\c\n'`}, {"port", "tcp:1"}, {"process", "none"}, {"file", "/none"},
	} {
		t.Run(id[0]+" "+id[1], func(t *testing.T) {
			item, err := NewItem(id[0], id[1])
			if err != nil {
				t.Fatal(err)
			}
			d, err := item.Describe(t.Context(), sys)
			if err != nil {
				t.Fatal(err)
			}
			asserted := assert(t, d)
			list := asserted.Evaluate(t.Context(), sys)
			if len(list) != len(d.Attributes) || !holds(list) {
				t.Errorf("%s does not hold:\n%s", line(t, d), told(list))
			}
		})
	}
}

// assert makes an item that asserts what a description says.
func assert(t *testing.T, d Description) Item {
	t.Helper()
	blank, err := NewItem(d.Type, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	_, recorders, err := blank.recording()
	if err != nil {
		t.Fatal(err)
	}
	matchers := map[string]Matcher{}
	for _, a := range d.Attributes {
		i := slices.IndexFunc(recorders, func(r *recorder) bool { return r.attribute == a.Name })
		matchers[a.Name] = expects(t, recorders[i].kind, a.Value)
	}
	raw, err := json.Marshal(matchers)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, blank.Resource); err != nil {
		t.Fatal(err)
	}
	return blank
}

func TestADescriptionDoesNothing(t *testing.T) {
	sys := fakeGuest(t, []string{"run/systemd/system/", "var/lib/dpkg/status", "usr/bin/apt-get"}, script{
		"dpkg-query -W -f ${Package}\\t${Architecture}\\t${Status}\\t${Version}\\n": prints("x\tamd64\tinstall ok installed\t1\n"),
		"systemctl show --property=" + unitProperties + " -- nginx":                 prints("LoadState=loaded\nActiveState=inactive\n"),
	})
	for _, it := range []Item{
		{Type: "package", ID: "nginx", Resource: &Package{Common: Common{Key: "nginx"}, Install: true}},
		{Type: "service", ID: "nginx", Resource: &Service{Common: Common{Key: "nginx"}, Start: true}},
	} {
		if _, err := it.Describe(t.Context(), sys); err != nil {
			t.Error(err)
		}
	}
}

func TestAThingIsDescribedByItsOwnOptions(t *testing.T) {
	item := Item{Type: "file", ID: "users", Resource: &File{Common: Common{Key: "users"}, Path: "/etc/passwd",
		Mode: expects(t, String, "0000"), Contents: expects(t, Text, "x")}}
	d, err := item.Describe(t.Context(), Local())
	if err != nil {
		t.Fatal(err)
	}
	if want := `file users exists=true mode="0644" owner="root" group="root" filetype="file"`; line(t, d) != want {
		t.Errorf("got %s", line(t, d))
	}
}

func TestALongTextIsDescribedByItsFirstLines(t *testing.T) {
	var text strings.Builder
	for i := range 3 * maxPatterns {
		text.WriteString(strconv.Itoa(i) + "\n")
	}
	list, _ := describeText(text.String() + strings.Repeat("x", 2*maxPatternSize)).([]any)
	if len(list) != maxPatterns {
		t.Errorf("%d patterns", len(list))
	}
	if got := describeText("\n  \n"); got != nil {
		t.Errorf("of blank lines something is said: %v", got)
	}
}

// Whatever a type is, describing it from nothing ends well, or with an error.
func TestEveryTypeCanBeAskedToDescribeItself(t *testing.T) {
	for _, typ := range Types() {
		t.Run(typ.Name, func(t *testing.T) {
			id := map[string]string{"addr": "tcp://127.0.0.1:1", "http": "http://127.0.0.1:1/", "command": "true", "dns": "localhost", "port": "1"}[typ.Name]
			if id == "" && !typ.Single {
				id = "none"
			}
			item, err := NewItem(typ.Name, id)
			if err != nil {
				t.Fatal(err)
			}
			d, err := item.Describe(t.Context(), Local())
			if (err == nil) != (len(d.Attributes) > 0) {
				t.Errorf("%s, %v", line(t, d), err)
			}
		})
	}
}

func TestFindLooksForAllThatGoesByAName(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	number := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		want []string
	}{
		{"/etc/passwd", []string{"file /etc/passwd exists=true"}},
		{"/none", nil},
		{"root", []string{"group root exists=true gid=0", "user root exists=true"}},
		{number, []string{"port " + number + ` listening=true ip=["127.0.0.1"]`}},
		{filepath.Base(exe), []string{"process " + filepath.Base(exe) + " running=true", "port tcp:" + number + " listening=true"}},
		{"no-such-thing", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all, err := Find(t.Context(), Local(), tt.name)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range tt.want {
				if i >= len(all) || !strings.HasPrefix(line(t, all[i]), want) {
					t.Errorf("got %v, want %s at %d", all, want, i)
				}
			}
			if tt.want == nil && len(all) > 0 {
				t.Errorf("got %v", all)
			}
		})
	}
}

func TestFindSaysWhatItCouldNotFindOut(t *testing.T) {
	sys := fakeGuest(t, []string{"var/lib/dpkg/status"}, script{
		"getent group nginx": exits(2, ""),
		"dpkg-query -W -f ${Package}\\t${Architecture}\\t${Status}\\t${Version}\\n": {{Truncated: true, Stdout: []byte("x")}},
	})
	_, err := Find(t.Context(), sys, "nginx")
	if err == nil || !strings.HasPrefix(err.Error(), "package: installed: ") {
		t.Errorf("got %v", err)
	}
	if _, ok := errors.AsType[inconclusive](err); !ok {
		t.Errorf("%v is not inconclusive", err)
	}
}
