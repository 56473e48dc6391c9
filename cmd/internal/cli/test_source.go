package cli

import (
	"cmp"
	"context"

	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/cmd/internal/polar"
)

// defaultEndpoint is Polar's where POLAR_ENDPOINT names no other.
const defaultEndpoint = "https://images.opsmaru.com"

// sourceOptions say where the images come from.
type sourceOptions struct {
	products []string
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
	return len(o.products) > 0 && o.feed == "" && o.testing != "" && o.password != ""
}

// fromFeed tells whether the images come from a feed.
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
	case others == 1 && (o.feed != "" || len(o.products) > 0 || o.serial != ""):
		return usagef("a product, --feed and --serial do not go with --image, --path, --instance or --local")
	case others == 1:
		return nil
	case len(o.products) == 0:
		return usageError{
			err:  errNoSource,
			hint: "name a product such as debian:bookworm:amd64:default, or see icepak test --help for other sources",
		}
	case o.serial != "" && len(o.products) > 1:
		return usagef("--serial goes with a single product")
	case o.feed == "" && o.testing == "":
		return usageError{
			err:  errNoFeed,
			hint: "set TESTING_IMAGE_SERVER to the URL of the testing channel's space, or give --feed",
		}
	}
	return nil
}
