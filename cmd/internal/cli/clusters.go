package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
)

// cluster returns a healthy cluster of Polar's that can run the version: the first
// that can be reached, but one that reads the feed's metadata rather than one
// that may not, and one that runs virtual machines where there is one to be run.
func (r *remotes) cluster(ctx context.Context, n need) (*remote, error) {
	clusters := slices.Clone(r.clusters)
	slices.SortStableFunc(clusters, func(a, b polar.Cluster) int { return reads(b, n.feed) - reads(a, n.feed) })
	var errs []error
	var spare *remote
	for _, c := range clusters {
		if c.Arch != n.arch {
			continue
		}
		on, err := r.healthy(ctx, c)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			errs = append(errs, err)
		case !n.vm || on.server.SupportsVM():
			return r.instead(on, errs), nil
		case spare == nil:
			spare = on
		}
	}
	switch {
	case spare != nil:
		return r.instead(spare, errs), nil
	case len(errs) > 0:
		return nil, errors.Join(errs...)
	}
	return nil, noClusterError(n.arch)
}

func reads(c polar.Cluster, feed string) int {
	if c.Type == feed {
		return 1
	}
	return 0
}

// instead warns of clusters that are not used because of errors.
func (r *remotes) instead(on *remote, errs []error) *remote {
	for _, err := range errs {
		r.warn("%v; %s is used instead", err, on.name)
	}
	return on
}

// noClusterError says that Polar has nowhere to launch images of an architecture.
type noClusterError string

func (e noClusterError) Error() string {
	return fmt.Sprintf("polar lists no healthy cluster for %s", string(e))
}

var errNoClusters = errors.New("polar lists no healthy cluster, and every result has to name one")

// addressOf is where a cluster of the type is: unix: is another socket with Incus, and
// where Polar has no certificate for it, the incus client's is shown.
func addressOf(typ, endpoint string) string {
	if typ == "incus" {
		return "incus:" + endpoint
	}
	return endpoint
}

// openCluster connects to a cluster of Polar's, with the certificate that Polar has
// for it, or where there is none, with the client's.
func (r *remotes) openCluster(ctx context.Context, name, endpoint, cert, key string) (*remote, error) {
	if open, ok := r.open[name]; ok {
		return open, nil
	}
	to, err := r.config.Remote(endpoint)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	to.Name = name
	whose := "this client's certificate"
	if cert != "" {
		to.ClientCert, to.ClientKey = []byte(cert), []byte(key)
		whose = "the certificate that Polar has for it"
	}
	on, err := r.meet(ctx, to)
	var untrusted *lxd.UntrustedError
	if errors.As(err, &untrusted) {
		err = fmt.Errorf("%s (%s) does not trust %s", name, to.Addr, whose)
	}
	return on, err
}

// meet connects to a server whose certificate nobody has told us. Where neither an
// authority nor a fingerprint that was given speaks for it, the one that it shows
// first is trusted and remembered, and another one later is refused. Until then
// the handshake is broken off, so that our certificate is for no stranger.
func (r *remotes) meet(ctx context.Context, to lxd.Remote) (*remote, error) {
	memory := knownServers(r.env)
	known, met, err := memory.Lookup(to.Addr)
	if err != nil {
		return nil, fmt.Errorf("%s: what is known of its certificate: %w", to.Name, err)
	}
	if met {
		to.Fingerprints = append(to.Fingerprints, known.Fingerprint)
	}
	on, err := r.connect(ctx, to.Name, to)
	var stranger *lxd.CertificateError
	switch {
	case !errors.As(err, &stranger):
		return on, err
	case met:
		return nil, &changedError{to, stranger.Fingerprint, known, memory.Path}
	case len(r.opts.fingerprints) > 0:
		return nil, err // it was said whom to trust
	}
	to.Fingerprints = append(to.Fingerprints, stranger.Fingerprint)
	if on, err = r.connect(ctx, to.Name, to); err != nil {
		return nil, err
	}
	if err := r.remember(ctx, memory, to, stranger.Fingerprint); err != nil {
		delete(r.open, to.Name)
		on.server.Close()
		return nil, err
	}
	return on, nil
}

// remember notes a server's certificate, and says so. That it cannot be noted ends
// no run: the server is trusted already.
func (r *remotes) remember(ctx context.Context, memory lxd.KnownServers, to lxd.Remote, fingerprint string) error {
	var known lxd.KnownServer
	err := errNoState
	if memory.Path != "" {
		known, err = memory.Remember(ctx, to.Addr, fingerprint)
	}
	what := "remembered in " + memory.Path
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		what = fmt.Sprintf("not remembered: %v", err)
	case known.Fingerprint != fingerprint: // which another process has met just now
		return &changedError{to, fingerprint, known, memory.Path}
	}
	r.warn("%s (%s) is trusted at first sight, as no authority speaks for its certificate: fingerprint %s, %s",
		to.Name, to.Addr, fingerprint, what)
	return nil
}

// A changedError says that a server shows another certificate than it did before.
type changedError struct {
	remote lxd.Remote
	shown  string // its fingerprint
	known  lxd.KnownServer
	file   string
}

func (e *changedError) Error() string {
	return fmt.Sprintf("%s (%s) shows a certificate that is not the one it had: fingerprint %s, but %s:%d has %s",
		e.remote.Name, e.remote.Addr, e.shown, e.file, e.known.Line, e.known.Fingerprint)
}

var errNoState = errors.New("none of ICEPAK_STATE, XDG_STATE_HOME and HOME is set")

// knownServers is the file where the certificates of clusters are remembered. It has
// no path where there is no folder for it.
func knownServers(env *Env) lxd.KnownServers {
	dir := stateFolder(env)
	if dir == "" {
		return lxd.KnownServers{}
	}
	return lxd.KnownServers{Path: filepath.Join(dir, "known_clusters")}
}

// stateFolder is where icepak remembers things between runs; it is empty where there
// is no place for it.
func stateFolder(env *Env) string {
	if dir := env.Getenv("ICEPAK_STATE"); dir != "" {
		return dir
	}
	if state := env.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "icepak")
	}
	if home := env.Getenv("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", "icepak")
	}
	return ""
}

// clusterName is what people are told of a cluster of Polar's.
func clusterName(c polar.Cluster) string { return fmt.Sprintf("cluster %d", c.ID) }

// healthy connects to one of the clusters that Polar says are healthy.
func (r *remotes) healthy(ctx context.Context, c polar.Cluster) (*remote, error) {
	return r.openCluster(ctx, clusterName(c), addressOf(c.Type, c.Credential.Endpoint), c.Credential.Certificate, string(c.Credential.PrivateKey))
}

// called returns the remote that an earlier run called so: one of Polar's clusters, or
// one of a client's. A member is found on its cluster.
func (r *remotes) called(ctx context.Context, name string) (*remote, error) {
	for _, target := range r.opts.targets {
		name = strings.TrimSuffix(name, "/"+target)
	}
	for _, c := range r.clusters {
		if clusterName(c) == name {
			return r.healthy(ctx, c)
		}
	}
	return r.connectNamed(ctx, name)
}

// clusterID is the cluster that assessments of a run on the remote name. Polar
// keeps one assessment for all clusters, so that any will do where the remote is
// none of them.
func (r *remotes) clusterID(on *remote, arch string) (int64, error) {
	var id int64
	for _, c := range r.clusters {
		if sameHost(c.Credential.Endpoint, on.addr) {
			return c.ID, nil
		}
		if id == 0 || c.Arch == arch {
			id = c.ID
		}
	}
	if id == 0 {
		return 0, errNoClusters
	}
	return id, nil
}

func sameHost(a, b string) bool {
	ua, errA := url.Parse(a)
	ub, errB := url.Parse(b)
	return a == b || errA == nil && errB == nil && ua.Host != "" && ua.Host == ub.Host
}
