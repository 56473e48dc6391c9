package lxd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"
)

// A clientConfig is what one of the two clients, lxc or incus, has configured.
type clientConfig struct {
	name     string // of its program
	dir      string // of the user's config.yml, or empty
	asked    string // the remote that the environment names, or empty
	standard string // the default remote
	remotes  map[string]remoteEntry

	socket string // of this machine's server
	here   bool   // there is such a server, or the environment says so
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

// imagesOnly tells whether nothing can be launched on the remote.
func (e remoteEntry) imagesOnly() bool { return e.Public || e.Protocol == "simplestreams" }

// isLocal tells whether the remote is this machine's server, wherever it listens.
func (e remoteEntry) isLocal() bool {
	path, ok := socketPath(e.Addr)
	return ok && path == ""
}

func images(addr string) remoteEntry {
	return remoteEntry{Addr: addr, Public: true, Protocol: "simplestreams"}
}

// lxcConfig reads what LXD's client has.
func lxcConfig(env func(string) string) (*clientConfig, error) {
	c := &clientConfig{name: "lxc", asked: env("LXC_REMOTE"), remotes: map[string]remoteEntry{
		"local":                {Addr: "unix://"},
		"images":               images("https://images.lxd.canonical.com"),
		"ubuntu":               images("https://cloud-images.ubuntu.com/releases"),
		"ubuntu-daily":         images("https://cloud-images.ubuntu.com/daily"),
		"ubuntu-minimal":       images("https://cloud-images.ubuntu.com/minimal/releases"),
		"ubuntu-minimal-daily": images("https://cloud-images.ubuntu.com/minimal/daily"),
	}}
	c.userDir(env("LXD_CONF"), env("HOME"), ".config/lxc", "snap/lxd/common/config")
	c.findSocket(env("LXD_SOCKET"), env("LXD_DIR"), "/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket")
	return c, c.read(env("LXD_GLOBAL_CONF"), "/etc/lxd")
}

// incusConfig reads what Incus's client has.
func incusConfig(env func(string) string) (*clientConfig, error) {
	c := &clientConfig{name: "incus", asked: env("INCUS_REMOTE"), remotes: map[string]remoteEntry{
		"local":  {Addr: "unix://"},
		"images": images("https://images.linuxcontainers.org"),
	}}
	c.userDir(env("INCUS_CONF"), env("HOME"), ".config/incus")
	c.findSocket(env("INCUS_SOCKET"), env("INCUS_DIR"), "/run/incus/unix.socket", "/var/lib/incus/unix.socket")
	err := c.read(env("INCUS_GLOBAL_CONF"), "/etc/incus")
	if project := env("INCUS_PROJECT"); project != "" {
		for name, entry := range c.remotes {
			entry.Project = project
			c.remotes[name] = entry
		}
	}
	return c, err
}

// userDir finds the folder of the user's configuration: the one that is named, or else
// the first of those in the home that has some.
func (c *clientConfig) userDir(named, home string, dirs ...string) {
	if c.dir = named; named != "" || home == "" {
		return
	}
	c.dir = filepath.Join(home, dirs[0])
	for _, dir := range dirs {
		dir = filepath.Join(home, dir)
		if isThere(filepath.Join(dir, "config.yml")) {
			c.dir = dir
			return
		}
	}
}

// findSocket finds the socket of this machine's server: the one that is named, the one
// in the server's folder, or else the first of those that are there.
func (c *clientConfig) findSocket(named, dir string, paths ...string) {
	if named == "" && dir != "" {
		named = filepath.Join(dir, "unix.socket")
	}
	if c.socket = named; named != "" {
		c.here = true
		return
	}
	for _, c.socket = range paths {
		if c.here = isThere(c.socket); c.here {
			return
		}
	}
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// read reads the machine's remotes, and the user's over them. Files that are not
// there are no error.
func (c *clientConfig) read(global, standard string) error {
	if global == "" {
		global = standard
	}
	c.standard = "local"
	for _, dir := range []string{global, c.dir} {
		if dir == "" {
			continue
		}
		path := filepath.Join(dir, "config.yml")
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("the %s client's configuration: %w", c.name, err)
		}
		if err := c.parse(dir, data); err != nil {
			return fmt.Errorf("the %s client's configuration %s: %w", c.name, path, err)
		}
	}
	return nil
}

func (c *clientConfig) parse(dir string, data []byte) error {
	var file struct {
		Default string                 `yaml:"default-remote"`
		Remotes map[string]remoteEntry `yaml:"remotes"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return err
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
