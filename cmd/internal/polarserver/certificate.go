package polarserver

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// A certificate is the server's, in two files. It is read again when they have
// changed: a renewed one is taken without a restart.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu    sync.Mutex
	pair  *tls.Certificate // the last one that was good
	tried stamp            // of the files that were read last
}

// A stamp tells files from what they were before.
type stamp struct {
	cert, key time.Time
	size      int64
}

// tlsConfig returns how to serve with the certificate, which must be good now.
func tlsConfig(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.read(c.stamp()); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

// get is called for each connection. A pair that is being written, or that is
// wrong, does not replace the one that was good.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.stamp(); now != c.tried {
		if err := c.read(now); err != nil {
			c.log.Warn("certificate not renewed", "error", err)
		}
	}
	return c.pair, nil
}

func (c *certificate) read(now stamp) error {
	c.tried = now
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.pair = &pair
	return nil
}

// stamp returns the files' stamp. Of a missing one reading tells.
func (c *certificate) stamp() (s stamp) {
	if info, err := os.Stat(c.certFile); err == nil {
		s.cert, s.size = info.ModTime(), info.Size()
	}
	if info, err := os.Stat(c.keyFile); err == nil {
		s.key = info.ModTime()
	}
	return s
}
