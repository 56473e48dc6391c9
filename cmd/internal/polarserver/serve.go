package polarserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// stopTimeout is how long requests may take to end once the server is to stop.
const stopTimeout = 10 * time.Second

// Serve serves the store until ctx is done. It then lets running requests end,
// downloads too, within limits.
func Serve(ctx context.Context, st *polarstore.Store, opts Options) error {
	if err := serve(ctx, newServer(st, opts), opts); err != nil {
		return fmt.Errorf("serve Polar: %w", err)
	}
	return nil
}

func serve(ctx context.Context, s *server, opts Options) error {
	if err := s.prepare(ctx, opts.PruneAfter); err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute, // of a request with its body, which is small but for uploads
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(serverLog{s.log}, "", 0),
	}
	serve, scheme := srv.Serve, "http"
	if opts.TLSCert != "" {
		var err error
		if srv.TLSConfig, err = tlsConfig(opts.TLSCert, opts.TLSKey, s.log); err != nil {
			return err
		}
		serve, scheme = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }, "https"
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", opts.Listen)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- serve(l) }()

	running, end := context.WithCancel(ctx)
	var tidying sync.WaitGroup
	tidying.Go(func() { s.keepTidy(running, opts.PruneAfter) })
	defer tidying.Wait()
	defer end()

	if opts.Ready != nil {
		opts.Ready(scheme + "://" + l.Addr().String())
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		srv.Close() // what still runs is a download; its client asks again
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// prepare does what is better done before somebody asks for something.
func (s *server) prepare(ctx context.Context, pruneAfter time.Duration) error {
	// Credentials that cannot be read are the maintainer's to know of, not testers'.
	if _, err := s.store.Clusters(ctx); err != nil {
		return err
	}
	if err := s.tidy(ctx, pruneAfter); err != nil {
		return err
	}
	// A feed of many versions takes a moment the first time.
	spaces, err := s.store.Spaces(ctx)
	if err != nil {
		return err
	}
	for _, sp := range spaces {
		if _, err := s.images(ctx, sp); err != nil {
			return err
		}
	}
	return nil
}

// A serverLog takes what the HTTP server says went wrong. Handshakes are clients'
// trouble, and common: LXD asks for each file without TLS first.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	if !bytes.Contains(line, []byte("TLS handshake error")) {
		l.log.Warn(string(bytes.TrimSpace(line)))
	}
	return len(line), nil
}
