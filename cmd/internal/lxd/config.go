package lxd

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Remote is a server and how to get its trust.
type Remote struct {
	Name     string // as it was asked for; of the incus client's, incus:NAME
	Addr     string // unix:///path, unix:/path or https://host:port
	Project  string // empty: the server's default
	AuthType string // tls or empty; oidc is not supported
	Public   bool   // serves images only
	Protocol string // lxd, incus, or simplestreams

	ClientCert   []byte   // PEM
	ClientKey    []byte   // PEM
	ServerCert   []byte   // PEM, pins the server
	Fingerprints []string // sha256, in hex, of server certificates that are trusted
}

// A Config is what LXD's own client and Incus's have configured on this machine.
//
// A name is one of the remotes of either. Where both have it, for different servers,
// lxc:NAME and incus:NAME tell them apart; only local is LXD's where there is one on
// this machine, and else Incus's.
type Config struct {
	clients []*clientConfig // lxc's, which goes first, and incus's
}

// LoadConfig reads the remotes of both clients: the machine's, then the user's over
// them. Files that are not there are no error.
func LoadConfig(env func(string) string) (*Config, error) {
	lxc, err := lxcConfig(env)
	if err != nil {
		return nil, err
	}
	incus, err := incusConfig(env)
	if err != nil {
		return nil, err
	}
	return &Config{[]*clientConfig{lxc, incus}}, nil
}

// DefaultRemote returns the name of the remote that is used where none is named: the
// one that LXC_REMOTE or INCUS_REMOTE names, or else the lxc client's default, unless
// that is a server on this machine which is not there, or else the incus client's.
func (c *Config) DefaultRemote() string {
	for _, client := range c.clients {
		if client.asked != "" {
			return c.nameOf(client, client.asked)
		}
	}
	for _, client := range c.clients {
		if client.here || !client.remotes[client.standard].isLocal() {
			return c.nameOf(client, client.standard)
		}
	}
	return "local"
}

// nameOf returns the name by which Remote finds a client's remote: its own, or where
// that is another client's too, with the client's before it.
func (c *Config) nameOf(client *clientConfig, name string) string {
	found, err := c.find(name)
	var ambiguous *AmbiguousRemoteError
	if errors.As(err, &ambiguous) || err == nil && found.client != client {
		return client.name + ":" + name
	}
	return name
}

// Remote returns the remote of that name. The name may also be an address:
// https://host:8443 or unix:/path. An unknown name gives an *UnknownRemoteError, one
// that is two servers' an *AmbiguousRemoteError, and one that serves images only, or has
// no address, an *UnusableRemoteError.
func (c *Config) Remote(name string) (Remote, error) {
	if name == "" {
		name = c.DefaultRemote()
	}
	found, err := c.find(name)
	if err != nil {
		return Remote{}, err
	}
	if found.named {
		name = strings.TrimSuffix(name, ":")
		if found.client.name == "incus" && name == found.name {
			name = "incus:" + name // for who reads it, and to find it again
		}
	}
	if found.entry.imagesOnly() {
		return Remote{}, &UnusableRemoteError{name, " only serves images: nothing can be launched on it"}
	}
	r := Remote{Name: name, Project: found.entry.Project, AuthType: found.entry.AuthType, Protocol: found.entry.Protocol}
	if r.Addr, err = found.address(); err != nil {
		return Remote{}, &UnusableRemoteError{name, ": " + err.Error()}
	}
	if strings.HasPrefix(r.Addr, "unix:") {
		return r, nil
	}
	for _, f := range []struct {
		to   *[]byte
		dir  string
		name string
	}{
		{&r.ClientCert, found.client.dir, "client.crt"},
		{&r.ClientKey, found.client.dir, "client.key"},
		{&r.ServerCert, found.entry.dir, "servercerts/" + found.name + ".crt"},
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

// A finding is a remote of one client's, or an address that it may be at.
type finding struct {
	client *clientConfig
	name   string // as the client has it
	named  bool   // it has it
	entry  remoteEntry
}

// find finds the remote of that name, or address.
func (c *Config) find(name string) (finding, error) {
	var found []finding
	clients, bare := c.whose(name)
	for _, client := range clients {
		own := strings.TrimSuffix(bare, ":")
		if entry, ok := client.remotes[own]; ok {
			found = append(found, finding{client, own, true, entry})
		}
	}
	if len(found) == 0 && (strings.HasPrefix(bare, "https://") || strings.HasPrefix(bare, "unix:")) {
		for _, client := range clients {
			found = append(found, finding{client: client, name: bare, entry: remoteEntry{Addr: adHoc(bare)}})
		}
	}
	if len(found) == 0 {
		return finding{}, &UnknownRemoteError{name, names(clients)}
	}
	return choose(found)
}

// whose returns the clients that a name may be of, and the name without the client's
// that may stand before it.
func (c *Config) whose(name string) ([]*clientConfig, string) {
	for _, client := range c.clients {
		if bare, ok := strings.CutPrefix(name, client.name+":"); ok && bare != "" {
			return []*clientConfig{client}, bare
		}
	}
	return c.clients, name
}

// names are those that could have been meant, as they would have to be written.
func names(clients []*clientConfig) []string {
	var names []string
	for _, client := range clients {
		for name := range client.remotes {
			if len(clients) == 1 {
				name = client.name + ":" + name
			}
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// choose chooses one of what both clients have by the same name.
func choose(found []finding) (finding, error) {
	first := found[0]
	servers := slices.DeleteFunc(slices.Clone(found), func(f finding) bool { return f.entry.imagesOnly() })
	if len(servers) > 0 {
		first = servers[0]
	}
	if len(servers) < 2 {
		return first, nil
	}
	second := servers[1]
	switch {
	case first.entry.isLocal() && second.entry.isLocal():
		if !first.client.here && second.client.here {
			return second, nil
		}
		return first, nil
	case !first.named: // an address, where the one is trusted who has a certificate
		if !first.hasCertificate() && second.hasCertificate() {
			return second, nil
		}
		return first, nil
	case first.entry.Addr == second.entry.Addr && first.entry.Project == second.entry.Project:
		return first, nil
	}
	return finding{}, &AmbiguousRemoteError{Name: first.name, LXC: first.entry.Addr, Incus: second.entry.Addr}
}

func (f finding) hasCertificate() bool {
	return f.client.dir != "" && isThere(filepath.Join(f.client.dir, "client.crt"))
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
func (f finding) address() (string, error) {
	addr := f.entry.Addr
	if path, ok := socketPath(addr); ok {
		if path == "" {
			path = f.client.socket
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
