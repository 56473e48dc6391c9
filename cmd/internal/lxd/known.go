package lxd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ParseFingerprint returns a SHA-256 fingerprint, which may be in capitals and
// have colons, as 64 hexadecimal digits in lower case.
func ParseFingerprint(text string) (string, error) {
	digits := strings.ToLower(strings.ReplaceAll(text, ":", ""))
	if raw, err := hex.DecodeString(digits); err != nil || len(raw) != 32 {
		return "", fmt.Errorf("want a SHA-256 fingerprint, 64 hexadecimal digits, got %q", text)
	}
	return digits, nil
}

// A KnownServers is a file with the servers that were seen and the fingerprints
// of their certificates: https://host:port and a fingerprint a line, and
// comments that begin with #. Several processes may use it at once.
type KnownServers struct {
	Path string
}

// A KnownServer is what a KnownServers has of a server.
type KnownServer struct {
	Fingerprint string
	Line        int // in the file, from 1
}

// Lookup returns what is known of the server at the address, and whether
// anything is. What the file says must be right, or nothing can be relied on.
func (k KnownServers) Lookup(addr string) (KnownServer, bool, error) {
	_, known, err := k.read()
	if err != nil {
		return KnownServer{}, false, err
	}
	server, ok := known[serverKey(addr)]
	return server, ok, nil
}

// Remember adds the server at the address, and returns what the file then has of
// it: somebody else may have added it just before.
func (k KnownServers) Remember(ctx context.Context, addr, fingerprint string) (KnownServer, error) {
	if err := os.MkdirAll(filepath.Dir(k.Path), 0o700); err != nil {
		return KnownServer{}, err
	}
	unlock, err := k.lock(ctx)
	if err != nil {
		return KnownServer{}, err
	}
	defer unlock()
	text, known, err := k.read()
	if err != nil {
		return KnownServer{}, err
	}
	if server, ok := known[serverKey(addr)]; ok {
		return server, nil
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	server := KnownServer{fingerprint, strings.Count(text, "\n") + 1}
	return server, k.write(text + serverKey(addr) + " " + fingerprint + "\n")
}

// serverKey is what names the server at the address in the file.
func serverKey(addr string) string {
	u, err := url.Parse(addr)
	if err != nil {
		return addr
	}
	return u.Scheme + "://" + strings.ToLower(u.Host)
}

// read returns the file's text and what it says. A file that is not there says
// nothing, and so does one that cannot be there.
func (k KnownServers) read() (string, map[string]KnownServer, error) {
	data, err := os.ReadFile(k.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	known, err := parseKnown(string(data))
	if err != nil {
		return "", nil, fmt.Errorf("%s:%w", k.Path, err)
	}
	return string(data), known, nil
}

func parseKnown(text string) (map[string]KnownServer, error) {
	known := map[string]KnownServer{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("%d: want a server and a fingerprint", n)
		}
		fingerprint, err := ParseFingerprint(fields[1])
		if err != nil {
			return nil, fmt.Errorf("%d: %w", n, err)
		}
		server := serverKey(fields[0])
		if before, twice := known[server]; twice {
			return nil, fmt.Errorf("%d: %s is in line %d already", n, server, before.Line)
		}
		known[server] = KnownServer{fingerprint, n}
	}
	return known, nil
}

// write replaces the file, so that nobody reads a part of it.
func (k KnownServers) write(text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(k.Path), filepath.Base(k.Path)+".*") // for its owner only
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), k.Path)
}

// lock keeps others from writing the file until unlock is called. The lock is on
// a file of its own, as the file itself is replaced.
func (k KnownServers) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(k.Path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err == syscall.EWOULDBLOCK || err == syscall.EINTR {
			err = sleep(ctx, 10*time.Millisecond)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}
