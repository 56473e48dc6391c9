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
		return map[string]string{"LXD_GLOBAL_CONF": "testdata/nosuch", "INCUS_GLOBAL_CONF": "testdata/nosuch"}[name]
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
	incus := []string{"INCUS_CONF=testdata/incus"}
	both := slices.Clip(slices.Concat(all, incus))
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
		{"bench", incus, Remote{Name: "incus:bench", Addr: "https://bench.example.com:8443", Project: "lab", Protocol: "incus",
			ClientCert: []byte("incus certificate\n"), ClientKey: []byte("incus key\n"), ServerCert: []byte("bench server\n")}},
		{"bench", append(incus, "INCUS_PROJECT=other"), Remote{Name: "incus:bench", Addr: "https://bench.example.com:8443", Project: "other", Protocol: "incus",
			ClientCert: []byte("incus certificate\n"), ClientKey: []byte("incus key\n"), ServerCert: []byte("bench server\n")}},
		{"incus:bench", incus, Remote{Name: "incus:bench", Addr: "https://bench.example.com:8443", Project: "lab", Protocol: "incus",
			ClientCert: []byte("incus certificate\n"), ClientKey: []byte("incus key\n"), ServerCert: []byte("bench server\n")}},
		{"lxc:rack1", both, Remote{Name: "lxc:rack1", Addr: "https://rack1.example.com:8443", Project: "testing", AuthType: "tls", Protocol: "lxd",
			ClientCert: cert, ClientKey: key, ServerCert: []byte("rack1 server\n")}},
		{"incus:rack1:", both, Remote{Name: "incus:rack1", Addr: "https://other.example.com:8443", Protocol: "incus",
			ClientCert: []byte("incus certificate\n"), ClientKey: []byte("incus key\n")}},
		{"socket", both, Remote{Name: "socket", Addr: "unix:///run/lxd.socket"}},                       // the same for both
		{"open", both, Remote{Name: "incus:open", Addr: "unix:///run/open.socket", Protocol: "incus"}}, // lxc's serves images only
		{"", append(both, "INCUS_REMOTE=rack1"), Remote{Name: "incus:rack1", Addr: "https://other.example.com:8443", Protocol: "incus",
			ClientCert: []byte("incus certificate\n"), ClientKey: []byte("incus key\n")}},
		{"", append(both, "LXC_REMOTE=rack1", "INCUS_REMOTE=bench"), Remote{Name: "lxc:rack1", Addr: "https://rack1.example.com:8443", Project: "testing",
			AuthType: "tls", Protocol: "lxd", ClientCert: cert, ClientKey: key, ServerCert: []byte("rack1 server\n")}},
		{"local", []string{"INCUS_SOCKET=/i", "LXD_DIR=/l"}, Remote{Name: "local", Addr: "unix:///l/unix.socket"}},
		{"incus:local", []string{"INCUS_SOCKET=/i", "LXD_DIR=/l"}, Remote{Name: "incus:local", Addr: "unix:///i"}},
		{"incus:unix:", []string{"INCUS_DIR=/i", "LXD_DIR=/l"}, Remote{Name: "incus:unix:", Addr: "unix:///i/unix.socket"}},
		{"https://new.example.com", incus, Remote{Name: "https://new.example.com", Addr: "https://new.example.com:8443",
			ClientCert: []byte("incus certificate\n"), ClientKey: []byte("incus key\n")}},
		{"https://new.example.com", both, Remote{Name: "https://new.example.com", Addr: "https://new.example.com:8443", ClientCert: cert, ClientKey: key}},
		{"incus:https://new.example.com", both, Remote{Name: "incus:https://new.example.com", Addr: "https://new.example.com:8443",
			ClientCert: []byte("incus certificate\n"), ClientKey: []byte("incus key\n")}},
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

func TestANameOfBothClientsForTwoServersIsRefused(t *testing.T) {
	c := load(t, "LXD_CONF=testdata/user", "INCUS_CONF=testdata/incus")
	var ambiguous *AmbiguousRemoteError
	_, err := c.Remote("rack1")
	if !errors.As(err, &ambiguous) || *ambiguous != (AmbiguousRemoteError{"rack1", "https://rack1.example.com:8443", "https://other.example.com:8443"}) {
		t.Errorf("got %v", err)
	}
	var unknown *UnknownRemoteError
	if _, err := c.Remote("incus:rack2"); !errors.As(err, &unknown) || !slices.Contains(unknown.Known, "incus:rack1") || slices.Contains(unknown.Known, "incus:shared") {
		t.Errorf("got %v", err)
	}
	if _, err := c.Remote("images"); err == nil || err.Error() != "remote images only serves images: nothing can be launched on it" {
		t.Errorf("got %v", err)
	}
}

// On a machine with one of the two servers, local is that one, and so is the default.
func TestLocalIsTheServerThatIsThere(t *testing.T) {
	for _, tt := range []struct {
		name       string
		lxd, incus bool
		want       string
	}{
		{"only LXD", true, false, "unix:///lxd"},
		{"only Incus", false, true, "unix:///incus"},
		{"both", true, true, "unix:///lxd"},
		{"neither", false, false, "unix:///lxd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			local := func() map[string]remoteEntry { return map[string]remoteEntry{"local": {Addr: "unix://"}} }
			c := &Config{[]*clientConfig{
				{name: "lxc", standard: "local", remotes: local(), socket: "/lxd", here: tt.lxd},
				{name: "incus", standard: "local", remotes: local(), socket: "/incus", here: tt.incus},
			}}
			for _, name := range []string{"", "local", "local:", "unix:"} {
				if r, err := c.Remote(name); err != nil || r.Addr != tt.want {
					t.Errorf("%q: %+v, %v", name, r, err)
				}
			}
		})
	}
}

// Who moved to Incus may still have what the lxc client has written for a start.
func TestDefaultRemoteIsNoServerThatIsNotThere(t *testing.T) {
	for here, want := range map[bool]string{true: "local", false: "bench"} {
		c := &Config{[]*clientConfig{
			{name: "lxc", standard: "local", remotes: map[string]remoteEntry{"local": {Addr: "unix://"}}, here: here},
			{name: "incus", standard: "bench", remotes: map[string]remoteEntry{"bench": {Addr: "https://bench.example.com:8443"}}},
		}}
		if got := c.DefaultRemote(); got != want {
			t.Errorf("LXD is here: %t: %s, want %s", here, got, want)
		}
	}
}

// A socket in its usual place tells that the server is there.
func TestFindSocket(t *testing.T) {
	there := filepath.Join(t.TempDir(), "unix.socket")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		named, dir, usual string
		want              string
		here              bool
	}{
		{"", "", there, there, true},
		{"", "", "/no/such", "/no/such", false},
		{"", "/d", there, "/d/unix.socket", true},
		{"/s", "/d", there, "/s", true},
	} {
		var c clientConfig
		c.findSocket(tt.named, tt.dir, "/nor/this", tt.usual)
		if c.socket != tt.want || c.here != tt.here {
			t.Errorf("%+v: %s, %t", tt, c.socket, c.here)
		}
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
	f.Add("incus:local")
	f.Add("lxc:unix:")
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
