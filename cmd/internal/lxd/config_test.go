package lxd

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// environment is a process's environment that knows nothing of this machine.
func environment(vars ...string) func(string) string {
	return func(name string) string {
		for _, v := range slices.Backward(vars) {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return map[string]string{"LXD_GLOBAL_CONF": "testdata/nosuch"}[name]
	}
}

func load(t *testing.T, vars ...string) *Config {
	t.Helper()
	c, err := LoadConfig(environment(vars...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRemote(t *testing.T) {
	all := []string{"LXD_CONF=testdata/user", "LXD_GLOBAL_CONF=testdata/global"}
	cert, key := []byte("user certificate\n"), []byte("user key\n")
	tests := []struct {
		name string
		vars []string
		want Remote
	}{
		{"", all, Remote{Name: "rack1", Addr: "https://rack1.example.com:8443", Project: "testing", AuthType: "tls", Protocol: "lxd",
			ClientCert: cert, ClientKey: key, ServerCert: []byte("rack1 server\n")}},
		{"rack1:", all, Remote{Name: "rack1", Addr: "https://rack1.example.com:8443", Project: "testing", AuthType: "tls", Protocol: "lxd",
			ClientCert: cert, ClientKey: key, ServerCert: []byte("rack1 server\n")}},
		{"socket", all, Remote{Name: "socket", Addr: "unix:///run/lxd.socket"}},
		{"shared", all, Remote{Name: "shared", Addr: "https://mine.example.com:8443", ClientCert: cert, ClientKey: key}},
		{"lab", all, Remote{Name: "lab", Addr: "https://lab.example.com:8443", ClientCert: cert, ClientKey: key, ServerCert: []byte("lab server\n")}},
		{"https://other.example.com", all, Remote{Name: "https://other.example.com", Addr: "https://other.example.com:8443", ClientCert: cert, ClientKey: key}},
		{"https://[::1]:9443/", all, Remote{Name: "https://[::1]:9443/", Addr: "https://[::1]:9443", ClientCert: cert, ClientKey: key}},
		{"unix:/tmp/s", nil, Remote{Name: "unix:/tmp/s", Addr: "unix:///tmp/s"}},
		{"unix:///tmp/s", nil, Remote{Name: "unix:///tmp/s", Addr: "unix:///tmp/s"}},
		{"", []string{"LXD_SOCKET=/s"}, Remote{Name: "local", Addr: "unix:///s"}},
		{"local", append(all, "LXD_DIR=/var/other"), Remote{Name: "local", Addr: "unix:///var/other/unix.socket"}},
		{"", append(all, "LXC_REMOTE=socket"), Remote{Name: "socket", Addr: "unix:///run/lxd.socket"}},
		{"https://a.example.com:1", nil, Remote{Name: "https://a.example.com:1", Addr: "https://a.example.com:1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := load(t, test.vars...).Remote(test.name)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestRemoteRefused(t *testing.T) {
	c := load(t, "LXD_CONF=testdata/user")
	for name, want := range map[string]string{
		"feed":          "remote feed only serves images: nothing can be launched on it",
		"open":          "remote open only serves images: nothing can be launched on it",
		"ubuntu":        "remote ubuntu only serves images: nothing can be launched on it",
		"odd":           `remote odd: want an address such as https://host:8443, got "ftp://odd.example.com"`,
		"unix:relative": `remote unix:relative: want a socket such as unix:/path, got "unix:relative"`,
		"https://":      `remote https://: want an address such as https://host:8443, got "https://:8443"`,
		"https://[::1":  `remote https://[::1: want an address such as https://host:8443, got "https://[::1"`,
		"http://a.test": `unknown remote "http://a.test"`,
	} {
		if _, err := c.Remote(name); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var unknown *UnknownRemoteError
	if _, err := c.Remote("rack2"); !errors.As(err, &unknown) || unknown.Name != "rack2" || !slices.Contains(unknown.Known, "rack1") || !slices.IsSorted(unknown.Known) {
		t.Errorf("got %v", err)
	}
}

func TestLoadConfigFindsTheUsersFolder(t *testing.T) {
	home := t.TempDir()
	write := func(dir, remote string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, dir, "config.yml"), []byte("default-remote: "+remote+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := func(remote string) {
		t.Helper()
		if got := load(t, "HOME="+home).DefaultRemote(); got != remote {
			t.Errorf("default remote %s, want %s", got, remote)
		}
	}
	want("local")
	write("snap/lxd/common/config", "snap")
	want("snap")
	write(".config/lxc", "home")
	want("home")
	if got := load(t).DefaultRemote(); got != "local" {
		t.Errorf("without a home: %s", got)
	}
}

func TestLoadConfigTellsWhatIsBroken(t *testing.T) {
	_, err := LoadConfig(environment("LXD_CONF=testdata/broken"))
	if err == nil || !strings.Contains(err.Error(), "testdata/broken/config.yml") {
		t.Errorf("got %v", err)
	}
}

func FuzzRemote(f *testing.F) {
	f.Add("https://host:8443")
	f.Add("unix:")
	f.Add("unix:///a/b")
	f.Add("local")
	c, err := LoadConfig(environment())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		r, err := c.Remote(name)
		if err == nil && !strings.HasPrefix(r.Addr, "unix:///") && !strings.HasPrefix(r.Addr, "https://") {
			t.Errorf("%q gives the address %q", name, r.Addr)
		}
	})
}
