package lxd

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Remote is a server and how to get its trust.
type Remote struct {
	Name     string
	Addr     string // unix:///path, unix:/path or https://host:port
	Project  string // empty: the server's default
	AuthType string // tls or empty; oidc is not supported
	Public   bool   // serves images only
	Protocol string // lxd, or simplestreams

	ClientCert   []byte   // PEM
	ClientKey    []byte   // PEM
	ServerCert   []byte   // PEM, pins the server
	Fingerprints []string // sha256, in hex, of server certificates that are trusted
}

// A Config is what LXD's own client has configured on this machine.
type Config struct {
	env      func(string) string
	dir      string // the folder of the user's config.yml
	standard string // the default remote's name
	remotes  map[string]remoteEntry
}

// A remoteEntry is a remote in config.yml.
type remoteEntry struct {
	Addr     string `yaml:"addr"`
	Project  string `yaml:"project"`
	AuthType string `yaml:"auth_type"`
	Public   bool   `yaml:"public"`
	Protocol string `yaml:"protocol"`

	dir string // that has servercerts
}

// builtin returns the remotes that LXD's client has without any configuration.
func builtin() map[string]remoteEntry {
	images := func(addr string) remoteEntry {
		return remoteEntry{Addr: addr, Public: true, Protocol: "simplestreams"}
	}
	return map[string]remoteEntry{
		"local":                {Addr: "unix://"},
		"images":               images("https://images.lxd.canonical.com"),
		"ubuntu":               images("https://cloud-images.ubuntu.com/releases"),
		"ubuntu-daily":         images("https://cloud-images.ubuntu.com/daily"),
		"ubuntu-minimal":       images("https://cloud-images.ubuntu.com/minimal/releases"),
		"ubuntu-minimal-daily": images("https://cloud-images.ubuntu.com/minimal/daily"),
	}
}

// LoadConfig reads the remotes of LXD's client: the machine's, then the
// user's over them. Files that are not there are no error.
func LoadConfig(env func(string) string) (*Config, error) {
	c := &Config{env: env, dir: userDir(env), standard: "local", remotes: builtin()}
	global := env("LXD_GLOBAL_CONF")
	if global == "" {
		global = "/etc/lxd"
	}
	for _, dir := range []string{global, c.dir} {
		if err := c.read(dir); err != nil {
			return nil, err
		}
	}
	if name := env("LXC_REMOTE"); name != "" {
		c.standard = name
	}
	return c, nil
}

// userDir returns the folder of the user's configuration, or nothing.
func userDir(env func(string) string) string {
	if dir := env("LXD_CONF"); dir != "" {
		return dir
	}
	home := env("HOME")
	if home == "" {
		return ""
	}
	dirs := []string{filepath.Join(home, ".config/lxc"), filepath.Join(home, "snap/lxd/common/config")}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "config.yml")); err == nil {
			return dir
		}
	}
	return dirs[0]
}

func (c *Config) read(dir string) error {
	if dir == "" {
		return nil
	}
	path := filepath.Join(dir, "config.yml")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("LXD's client configuration: %w", err)
	}
	var file struct {
		Default string                 `yaml:"default-remote"`
		Remotes map[string]remoteEntry `yaml:"remotes"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("LXD's client configuration %s: %w", path, err)
	}
	if file.Default != "" {
		c.standard = file.Default
	}
	for name, entry := range file.Remotes {
		entry.dir = dir
		c.remotes[name] = entry
	}
	return nil
}

// DefaultRemote returns the name of the remote that is used where none is named.
func (c *Config) DefaultRemote() string { return c.standard }

// Remote returns the remote of that name. The name may also be an address:
// https://host:8443 or unix:/path. An unknown name gives an *UnknownRemoteError.
func (c *Config) Remote(name string) (Remote, error) {
	if name == "" {
		name = c.standard
	}
	entry, ok := c.remotes[strings.TrimSuffix(name, ":")]
	switch {
	case ok:
		name = strings.TrimSuffix(name, ":")
	case strings.HasPrefix(name, "https://"), strings.HasPrefix(name, "unix:"):
		entry = remoteEntry{Addr: adHoc(name)}
	default:
		return Remote{}, &UnknownRemoteError{name, slices.Sorted(maps.Keys(c.remotes))}
	}
	if entry.Public || entry.Protocol == "simplestreams" {
		return Remote{}, fmt.Errorf("remote %s only serves images: nothing can be launched on it", name)
	}
	r := Remote{Name: name, Project: entry.Project, AuthType: entry.AuthType, Protocol: entry.Protocol}
	var err error
	if r.Addr, err = c.address(entry.Addr); err != nil {
		return Remote{}, fmt.Errorf("remote %s: %w", name, err)
	}
	if strings.HasPrefix(r.Addr, "unix:") {
		return r, nil
	}
	for _, f := range []struct {
		to   *[]byte
		dir  string
		name string
	}{
		{&r.ClientCert, c.dir, "client.crt"},
		{&r.ClientKey, c.dir, "client.key"},
		{&r.ServerCert, entry.dir, "servercerts/" + name + ".crt"},
	} {
		if f.dir == "" {
			continue
		}
		if *f.to, err = os.ReadFile(filepath.Join(f.dir, f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Remote{}, fmt.Errorf("remote %s: %w", name, err)
		}
	}
	return r, nil
}

// adHoc completes an address that a person gave, with LXD's port.
func adHoc(addr string) string {
	u, err := url.Parse(addr)
	if err != nil || u.Scheme != "https" || u.Port() != "" {
		return addr
	}
	u.Host = net.JoinHostPort(u.Hostname(), "8443")
	return u.String()
}

// address checks a configured address and completes that of a socket.
func (c *Config) address(addr string) (string, error) {
	if path, ok := socketPath(addr); ok {
		if path == "" {
			path = c.socket()
		}
		if !filepath.IsAbs(path) {
			return "", fmt.Errorf("want a socket such as unix:/path, got %q", addr)
		}
		return "unix://" + path, nil
	}
	u, err := url.Parse(addr)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return "", fmt.Errorf("want an address such as https://host:8443, got %q", addr)
	}
	return strings.TrimSuffix(addr, "/"), nil
}

// socketPath returns the path in unix:/path, or unix:///path.
func socketPath(addr string) (string, bool) {
	path, ok := strings.CutPrefix(addr, "unix:")
	return strings.TrimPrefix(path, "//"), ok
}

// socket returns the path of this machine's server.
func (c *Config) socket() string {
	if path := c.env("LXD_SOCKET"); path != "" {
		return path
	}
	if dir := c.env("LXD_DIR"); dir != "" {
		return filepath.Join(dir, "unix.socket")
	}
	const snap = "/var/snap/lxd/common/lxd/unix.socket"
	if _, err := os.Stat(snap); err == nil {
		return snap
	}
	return "/var/lib/lxd/unix.socket"
}
