package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// remoteOptions say where images are launched.
type remoteOptions struct {
	name         string
	names        []string // of icepak test, which takes several; name is the only one
	targets      []string // members of the cluster that is the remote
	project      string
	clientCert   string
	clientKey    string
	fingerprints []string
}

func (o *remoteOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.name, "remote", "", "the LXD or Incus `remote`, as its client knows it, or https://host:8443")
	o.clientFlags(f)
}

// manyFlags are flags where there may be several remotes.
func (o *remoteOptions) manyFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.names, "remote", nil, "an LXD or Incus `remote`, as its client knows it, or https://host:8443; may be repeated")
	f.StringArrayVar(&o.targets, "target", nil, "launch on this `member` of the remote, which is a cluster; may be repeated (default: as the cluster places)")
	o.clientFlags(f)
}

func (o *remoteOptions) clientFlags(f *pflag.FlagSet) {
	f.StringVar(&o.clientCert, "client-cert", "", "a client certificate for the remote, a PEM `file`")
	f.StringVar(&o.clientKey, "client-key", "", "its key, a PEM `file`")
	o.serverFlags(f)
}

// serverFlags are those that go with any server, also one that Polar names.
func (o *remoteOptions) serverFlags(f *pflag.FlagSet) {
	f.StringVar(&o.project, "project", "", "the LXD project, instead of the remote's")
	o.trustFlags(f)
}

func (o *remoteOptions) trustFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.fingerprints, "server-fingerprint", nil, "trust a server whose certificate has this SHA-256 `fingerprint`")
}

func (o *remoteOptions) fromEnv(env *Env) {
	if v := env.Getenv("ICEPAK_SERVER_FINGERPRINTS"); v != "" && len(o.fingerprints) == 0 {
		o.fingerprints = strings.FieldsFunc(v, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	}
}

func (o *remoteOptions) validate() error {
	if (o.clientCert == "") != (o.clientKey == "") {
		return usagef("--client-cert and --client-key go together")
	}
	for _, name := range append(o.names, o.name) {
		if u, err := url.Parse(name); err == nil && u.User != nil { // reports show addresses
			return usagef("--remote: an address has no user and no password; access is by a client certificate")
		}
	}
	for _, f := range o.fingerprints {
		if _, err := lxd.ParseFingerprint(f); err != nil {
			return usagef("--server-fingerprint: %w", err)
		}
	}
	return nil
}

// use opens the remote that the options name for f, and closes it. Nobody is warned.
func (o remoteOptions) use(ctx context.Context, env *Env, f func(*remote) error) error {
	remotes, err := newRemotes(env, o, func(string, ...any) {})
	if err != nil {
		return err
	}
	defer remotes.close()
	on, err := remotes.named(ctx)
	if err != nil {
		return err
	}
	return f(on)
}

// A remote is an LXD server that a run uses.
type remote struct {
	name    string
	addr    string
	server  *lxd.Server
	target  string   // the cluster's member, or empty
	archs   []string // the member's; nil: the server's
	cleaned bool
	asked   asked // while it was connected to

	gpus      []lxd.GPU
	gpusKnown bool
}

// remotes connects to servers, each once.
type remotes struct {
	env      *Env
	opts     remoteOptions
	config   *lxd.Config
	warn     func(format string, args ...any)
	clusters []polar.Cluster // Polar's; used where no remote is named
	asked    bool            // whether Polar was asked for them
	open     map[string]*remote
	chosen   []*remote       // what lanes returns
	failed   map[int64]error // of clusters that could not be reached, by id

	// What servers are asked for while they are connected to.
	launch bool   // for what earlier runs have left, where instances will be launched
	image  string // for this one; empty: none
}

// asked is what a server has answered while it was connected to.
type asked struct {
	left     []runner.Leftover
	leftErr  error
	image    lxd.ImageInfo
	imageErr error
}

func newRemotes(env *Env, opts remoteOptions, warn func(string, ...any)) (*remotes, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	config, err := lxd.LoadConfig(env.Getenv)
	if err != nil {
		return nil, err
	}
	return &remotes{env: env, opts: opts, config: config, warn: warn, open: map[string]*remote{}, failed: map[int64]error{}}, nil
}

func (r *remotes) close() {
	for _, open := range r.open {
		open.server.Close()
	}
}

// useClusters has Polar's clusters used where no remote is named.
func (r *remotes) useClusters(ctx context.Context, c *polar.Client) error {
	clusters, err := c.Clusters(ctx)
	r.clusters, r.asked = clusters, true
	return err
}

// arch is what completes an alias: the named remote's native architecture.
func (r *remotes) arch(ctx context.Context, product string) string {
	if strings.Count(product, ":") == 3 {
		return archOf(product)
	}
	if r.polars() {
		if len(r.clusters) > 0 {
			return r.clusters[0].Arch
		}
		return runtime.GOARCH
	}
	on, err := r.named(ctx)
	if err != nil || len(on.server.Architectures()) == 0 {
		return runtime.GOARCH // the connection's error comes again when it is used
	}
	return on.server.Architectures()[0]
}

// A need is what a version asks of the server that its images are launched on.
type need struct {
	arch string
	vm   bool   // also for a virtual machine
	feed string // lxd or incus: whose metadata the feed has
}

// named returns the remote that --remote or a client's configuration names.
func (r *remotes) named(ctx context.Context) (*remote, error) {
	return r.connectNamed(ctx, r.opts.name)
}

// connectNamed returns a remote by its name; an empty one is the default's.
func (r *remotes) connectNamed(ctx context.Context, name string) (*remote, error) {
	if name == "" {
		name = r.config.DefaultRemote()
	}
	known, err := r.configured(name)
	if err != nil {
		return nil, err
	}
	if open, ok := r.open[known.Name]; ok {
		return open, nil
	}
	return r.connect(ctx, known.Name, known)
}

// configured returns a remote of one of the clients, or of an address, with the
// certificate that was given for it.
func (r *remotes) configured(name string) (lxd.Remote, error) {
	known, err := r.config.Remote(name)
	if err != nil || r.opts.clientCert == "" {
		return known, err
	}
	if known.ClientCert, err = os.ReadFile(r.opts.clientCert); err != nil {
		return known, usageError{err: fmt.Errorf("--client-cert: %w", err)}
	}
	if known.ClientKey, err = os.ReadFile(r.opts.clientKey); err != nil {
		return known, usageError{err: fmt.Errorf("--client-key: %w", err)}
	}
	return known, nil
}

func (r *remotes) connect(ctx context.Context, name string, known lxd.Remote) (*remote, error) {
	if r.opts.project != "" {
		known.Project = r.opts.project
	}
	known.Fingerprints = append(known.Fingerprints, r.opts.fingerprints...)
	var also asked
	var asks []func(context.Context, *lxd.Server)
	if r.launch {
		asks = append(asks, func(ctx context.Context, s *lxd.Server) {
			also.left, also.leftErr = runner.Leftovers(ctx, s, time.Now())
		})
	}
	if r.image != "" {
		asks = append(asks, func(ctx context.Context, s *lxd.Server) { also.image, also.imageErr = s.Image(ctx, r.image) })
	}
	server, err := lxd.Connect(ctx, known, userAgent(r.env), asks...)
	if err != nil {
		return nil, err
	}
	r.open[name] = &remote{name: name, addr: known.Addr, server: server, asked: also}
	return r.open[name], nil
}

// clean deletes what runs that are no more have left on the remote, once a run.
func (r *remotes) clean(ctx context.Context, on *remote) error {
	if on.cleaned {
		return nil
	}
	for _, same := range r.open { // a cluster's members are one server
		same.cleaned = same.cleaned || same.server == on.server
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	found, err := on.asked.left, on.asked.leftErr
	if !r.launch {
		found, err = runner.Leftovers(ctx, on.server, time.Now())
	}
	if err != nil {
		return err
	}
	for _, l := range found {
		if l.Kept {
			continue
		}
		r.warn("deleting %s, which a run left behind on %s", l.Name, on.name)
		err = errors.Join(err, on.server.DeleteInstance(ctx, l.Project, l.Name))
	}
	return err
}

// probe returns the probe for the architecture: the one that was named, the
// embedded one, or this very program.
func (p *planner) probe(arch string) (runner.Program, error) {
	find, ok := p.probes[arch]
	if !ok {
		find = p.finder(arch)
		if p.probes != nil {
			p.probes[arch] = find
		}
	}
	return find()
}

// finder returns what finds the probe once, and keeps it in a file where that is asked for.
func (p *planner) finder(arch string) func() (runner.Program, error) {
	return sync.OnceValues(func() (runner.Program, error) {
		program, err := p.findProbe(arch)
		program.File = sync.OnceValues(func() (string, error) {
			dir := stateFolder(p.env)
			if dir == "" {
				return "", errNoState
			}
			return runner.KeepProgram(filepath.Join(dir, "probes"), arch, program)
		})
		return program, err
	})
}

func (p *planner) findProbe(arch string) (runner.Program, error) {
	if p.opts.probe != "" {
		data, err := os.ReadFile(p.opts.probe)
		if err != nil {
			return runner.Program{}, usageError{err: fmt.Errorf("--probe: %w", err)}
		}
		return runner.Program{Data: data}, nil
	}
	program, err := runner.FindProbe(arch)
	if errors.Is(err, fs.ErrNotExist) {
		return program, usageError{err: err, hint: "build icepak with make build, or name a static probe with --probe"}
	}
	return program, err
}
