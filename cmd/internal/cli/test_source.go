package cli

import (
	"cmp"
	"context"
	"errors"
	"path"

	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/cmd/internal/polar"
)

// defaultEndpoint is Polar's where POLAR_ENDPOINT names no other.
const defaultEndpoint = "https://images.opsmaru.com"

// sourceOptions say where the images come from.
type sourceOptions struct {
	products []string
	all      bool
	pending  bool
	serial   string
	feed     string
	image    string
	path     string
	instance string
	local    bool
	endpoint string

	password string // Polar's, from the environment only
	testing  string // the testing feed, from the environment only
	active   string // the active channel's feed, from the environment only
}

func (o *sourceOptions) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.all, "all", false, "every version in the testing channel, or of the products that are named")
	f.BoolVar(&o.pending, "pending", false, "as --all, but only versions of which Polar's record says that something is left to pass")
	f.StringVar(&o.serial, "serial", "", "the version's `serial` (default: the newest in testing)")
	f.StringVar(&o.feed, "feed", "", "another simplestreams feed than the testing channel; nothing is posted")
	f.StringVar(&o.image, "image", "", "an image that is on the remote: `fingerprint` or alias")
	f.StringVar(&o.path, "path", "", "a `folder` with built files (incus.tar.xz and rootfs.squashfs or disk.qcow2), which are uploaded")
	f.StringVar(&o.instance, "instance", "", "an instance that runs on the remote; it is left alone")
	f.BoolVar(&o.local, "local", false, "this machine, without LXD")
	f.StringVar(&o.endpoint, "endpoint", "", "Polar's URL (default "+defaultEndpoint+")")
}

func (o *sourceOptions) fromEnv(env *Env) {
	o.password = env.Getenv("POLAR_AUTH_TOKEN")
	o.testing = env.Getenv("TESTING_IMAGE_SERVER")
	o.active = env.Getenv("ACTIVE_IMAGE_SERVER")
	o.endpoint = cmp.Or(o.endpoint, env.Getenv("POLAR_ENDPOINT"), defaultEndpoint)
}

// tracked tells whether Polar is asked and told: it knows only what is in its
// testing channel.
func (o *sourceOptions) tracked() bool {
	return (len(o.products) > 0 || o.every()) && o.feed == "" && o.testing != "" && o.password != ""
}

// every tells whether all of a product's versions are asked for, not only the newest.
func (o *sourceOptions) every() bool { return o.all || o.pending }

// fromFeed tells whether the images are a feed's.
func (o *sourceOptions) fromFeed() bool {
	return o.image == "" && o.path == "" && o.instance == "" && !o.local
}

// client returns a client of Polar with a session.
func (o *sourceOptions) client(ctx context.Context, env *Env) (*polar.Client, error) {
	client, err := polar.New(o.endpoint, polar.Options{
		UserAgent: userAgent(env), Actor: actor(env),
		TestingFeed: polar.Secret(o.testing), ActiveFeed: polar.Secret(o.active),
	})
	if err != nil {
		return nil, err
	}
	return client, client.Authenticate(ctx, o.password)
}

func (o *sourceOptions) validate() error {
	others := 0
	for _, set := range []bool{o.image != "", o.path != "", o.instance != "", o.local} {
		if set {
			others++
		}
	}
	switch {
	case others > 1:
		return usagef("--image, --path, --instance and --local exclude one another")
	case others == 1 && (o.feed != "" || len(o.products) > 0 || o.serial != "" || o.every()):
		return usagef("a product, --all, --pending, --feed and --serial do not go with --image, --path, --instance or --local")
	case others == 1:
		return nil
	case o.all && o.pending:
		return usagef("--all and --pending exclude each other")
	case len(o.products) == 0 && !o.every():
		return usageError{
			err:  errNoSource,
			hint: "name a product such as debian:bookworm:amd64:default, or see icepak test --help for other sources",
		}
	case o.serial != "" && (len(o.products) != 1 || o.every() || isPattern(o.products[0])):
		return usagef("--serial goes with a single product")
	case o.feed == "" && o.testing == "":
		return usageError{
			err:  errNoFeed,
			hint: "set TESTING_IMAGE_SERVER to the URL of the testing channel's space, or give --feed",
		}
	case o.pending && !o.tracked():
		return usageError{err: errors.New("--pending needs Polar"), hint: "set POLAR_AUTH_TOKEN and TESTING_IMAGE_SERVER"}
	}
	for _, name := range o.products {
		if _, err := path.Match(name, ""); err != nil {
			return usagef("%q is no pattern: a bracket is not closed", name)
		}
	}
	return nil
}
