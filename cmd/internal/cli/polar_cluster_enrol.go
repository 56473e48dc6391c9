package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// enrolOptions say how a server comes to trust a new certificate.
type enrolOptions struct {
	remote   remoteOptions
	token    bool
	password bool
}

func (o *enrolOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.remote.name, "remote", "", "have this `remote` trust a new certificate: one of the lxc or the incus client, or https://host:8443")
	o.remote.serverFlags(f)
	f.BoolVar(&o.token, "token", false, "with a trust token, which is read")
	f.BoolVar(&o.password, "password", false, "with the trust password, which is read")
}

// welcome reads the token or password that a server takes a client for, if there
// is to be one. Neither is a flag, since those are in lists of processes.
func (o *enrolOptions) welcome(ctx context.Context, env *Env) (w lxd.Welcome, err error) {
	switch {
	case o.token && o.password:
		return w, usagef("--token and --password exclude each other")
	case o.password:
		w.Password, err = readSecret(ctx, env, "ICEPAK_TRUST_PASSWORD", "trust password")
		return w, err
	case o.token:
		text, err := readSecret(ctx, env, "ICEPAK_TRUST_TOKEN", "trust token")
		if err != nil {
			return w, err
		}
		if w.Token, err = lxd.ParseToken(strings.TrimSpace(text)); err != nil {
			return w, usageError{err: err}
		}
	}
	return w, nil
}

// readSecret takes a secret from the variable, or else asks for it on a terminal, or
// reads a line of what is not one.
func readSecret(ctx context.Context, env *Env, variable, what string) (string, error) {
	if v := env.Getenv(variable); v != "" {
		return v, nil
	}
	if f, ok := env.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return promptPassword(ctx, env.Err, f, "The "+what+": ")
	}
	return readLine(ctx, env, what, "or set "+variable)
}

func runPolarClusterEnrol(ctx context.Context, env *Env, opts polarClusterAddOptions) error {
	remotes, err := newRemotes(env, opts.enrol.remote, warnTo(env))
	if err != nil {
		return err
	}
	defer remotes.close()
	return opts.data.use(ctx, env, func(store *polarstore.Store) error {
		_, taken, err := findCluster(ctx, store, opts.cluster.Name)
		if err != nil {
			return err
		}
		if taken {
			return usagef("cluster %s exists already", opts.cluster.Name)
		}
		e, err := newEnrolment(ctx, env, remotes, opts)
		if err != nil {
			return err
		}
		c, fingerprint, err := e.enrol(ctx, store)
		if err != nil {
			return err
		}
		fmt.Fprintf(env.Out, "added cluster %s: %s, %s, %s\n", c.Name, c.Type, c.Arch, c.Endpoint)
		fmt.Fprintf(env.Out, "its server's certificate has the fingerprint %s\n", fingerprint)
		remotes.noteEnrolled(ctx, c.Endpoint, fingerprint)
		return nil
	})
}

// An enrolment makes a client certificate known to a server.
type enrolment struct {
	cluster   string
	to        lxd.Remote  // the server, as testers will reach it
	host      *lxd.Server // whom we may tell whom to trust; nil where welcome is the way in
	welcome   lxd.Welcome
	userAgent string
	warn      func(format string, args ...any)
}

func newEnrolment(ctx context.Context, env *Env, r *remotes, opts polarClusterAddOptions) (*enrolment, error) {
	e := &enrolment{cluster: opts.cluster.Name, userAgent: userAgent(env), warn: r.warn}
	var err error
	if e.to, err = r.configured(opts.enrol.remote.name); err != nil {
		return nil, err
	}
	if e.welcome, err = opts.enrol.welcome(ctx, env); err != nil {
		return nil, err
	}
	e.to.Name, e.to.Project = e.cluster, opts.enrol.remote.project
	e.to.Fingerprints = append(e.to.Fingerprints, opts.enrol.remote.fingerprints...)
	if opts.enrol.token {
		e.to.Fingerprints = append(e.to.Fingerprints, e.welcome.Token.Fingerprint)
	} else if !opts.enrol.password {
		on, err := r.named(ctx)
		if err != nil {
			return nil, notOurs(err)
		}
		e.host = on.server
		e.to.Fingerprints = append(e.to.Fingerprints, e.host.Fingerprint())
	}
	e.to.Addr, err = e.address(r, opts.cluster.Endpoint)
	return e, err
}

// notOurs says what to do about a server that does not trust us.
func notOurs(err error) error {
	var untrusted *lxd.UntrustedError
	if errors.As(err, &untrusted) {
		return usageError{err: err, hint: "make a token with lxc (or incus) config trust add where it is trusted, and give it with --token"}
	}
	return err
}

// address is where testers reach the server: where it was said they do, or else
// where it is or listens.
func (e *enrolment) address(r *remotes, endpoint string) (string, error) {
	addr := e.to.Addr
	if endpoint != "" {
		said, err := r.config.Remote(endpoint)
		if err != nil {
			return "", usageError{err: fmt.Errorf("--endpoint: %w", err)}
		}
		addr = said.Addr
	} else if e.host != nil && !strings.HasPrefix(addr, "https://") {
		if listens := e.host.Addresses(); len(listens) > 0 {
			addr = "https://" + listens[0]
		}
	}
	if !strings.HasPrefix(addr, "https://") {
		return "", usageError{
			err: errors.New("the server does not listen on the network, and nobody needs a certificate at its socket"),
			hint: "have it listen with lxc (or incus) config set core.https_address :8443; or for testers on its machine: icepak polar cluster add " +
				e.cluster + " --endpoint unix:",
		}
	}
	return addr, nil
}

// enrol makes a certificate, has the server trust it, sees whether it does, and adds
// the cluster. Where anything fails, the server is told to forget the certificate.
func (e *enrolment) enrol(ctx context.Context, store *polarstore.Store) (c polarstore.Cluster, fingerprint string, err error) {
	if e.to.ClientCert, e.to.ClientKey, err = lxd.NewIdentity(e.certificate()); err != nil {
		return c, "", err
	}
	err = e.admit(ctx)
	if neverAsked(err) {
		return c, "", err
	}
	defer func() {
		if err != nil {
			e.expel(ctx)
		}
	}()
	if err != nil {
		return c, "", err
	}
	server, err := lxd.Connect(ctx, e.to, e.userAgent)
	if err != nil {
		return c, "", err
	}
	defer server.Close()
	c = polarstore.Cluster{
		Name: e.cluster, Type: "lxd", Endpoint: e.to.Addr, State: "healthy",
		Certificate: string(e.to.ClientCert), PrivateKey: polarstore.Secret(e.to.ClientKey),
	}
	if server.IsIncus() {
		c.Type = "incus"
	}
	if archs := server.Architectures(); len(archs) > 0 {
		c.Arch = archs[0]
	}
	c, err = store.AddCluster(ctx, c)
	return c, server.Fingerprint(), err
}

// certificate is its name in the server's trust store.
func (e *enrolment) certificate() string { return "icepak-" + e.cluster }

func (e *enrolment) admit(ctx context.Context) error {
	if e.host != nil {
		return e.host.Trust(ctx, e.certificate(), e.to.ClientCert, e.to.Project)
	}
	return lxd.Enrol(ctx, e.to, e.certificate(), e.welcome, e.userAgent)
}

// neverAsked tells whether an admission failed before the server was asked for it.
func neverAsked(err error) bool {
	var unreachable *lxd.UnreachableError
	var stranger *lxd.CertificateError
	return errors.As(err, &unreachable) || errors.As(err, &stranger)
}

// expel has the server forget the certificate, if it took it.
func (e *enrolment) expel(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := e.distrust(ctx)
	var untrusted *lxd.UntrustedError
	if err != nil && !errors.As(err, &untrusted) {
		e.warn("the server may trust the certificate %s still, see lxc (or incus) config trust list there: %v", e.certificate(), err)
	}
}

func (e *enrolment) distrust(ctx context.Context) error {
	if e.host != nil {
		return e.host.Distrust(ctx, e.to.ClientCert)
	}
	server, err := lxd.Connect(ctx, e.to, e.userAgent)
	if err != nil {
		return err
	}
	defer server.Close()
	return server.Distrust(ctx, e.to.ClientCert)
}

// noteEnrolled remembers the certificate of a server that was told to trust us, for
// tests from this machine.
func (r *remotes) noteEnrolled(ctx context.Context, addr, fingerprint string) {
	memory := knownServers(r.env)
	if memory.Path == "" {
		return
	}
	known, err := memory.Remember(ctx, addr, fingerprint)
	switch {
	case err != nil:
		r.warn("it is not remembered: %v", err)
	case known.Fingerprint != fingerprint:
		r.warn("%s:%d has another fingerprint: remove that line", memory.Path, known.Line)
	}
}
