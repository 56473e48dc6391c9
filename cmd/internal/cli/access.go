package cli

import (
	"cmp"
	"context"
	"net/http"

	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
)

// accessOptions lead to Polar and to the feeds of its channels.
type accessOptions struct {
	endpoint string

	password string    // Polar's, from the environment only
	channels []channel // from there too: URLs of feeds hold tokens
}

// A channel is testing or active, which is also the state of the versions in it.
type channel struct {
	name, url string
	feed      *simplestreams.Feed
}

func (o *accessOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.endpoint, "endpoint", "", "Polar's URL (default "+defaultEndpoint+")")
}

func (o *accessOptions) fromEnv(env *Env) {
	o.endpoint = cmp.Or(o.endpoint, env.Getenv("POLAR_ENDPOINT"), defaultEndpoint)
	o.password = env.Getenv("POLAR_AUTH_TOKEN")
	// A version goes from testing to active. Read in this order, it is in one of them.
	o.channels = nil
	for _, c := range []channel{{name: "testing", url: env.Getenv("TESTING_IMAGE_SERVER")}, {name: "active", url: env.Getenv("ACTIVE_IMAGE_SERVER")}} {
		if c.url != "" {
			o.channels = append(o.channels, c)
		}
	}
}

// client returns a client of Polar with a session.
func (o *accessOptions) client(ctx context.Context, env *Env) (*polar.Client, error) {
	client, err := polar.New(o.endpoint, polar.Options{UserAgent: userAgent(env), Actor: actor(env)})
	if err != nil {
		return nil, usageError{err: err, hint: "see --endpoint and POLAR_ENDPOINT"}
	}
	if err := client.Authenticate(ctx, o.password); err != nil {
		client.Close()
		return nil, err
	}
	return client, nil
}

// read returns the channels that are known, with their feeds as they are now.
func (o *accessOptions) read(ctx context.Context) ([]channel, error) {
	var all []channel
	for _, c := range o.channels {
		var err error
		if c.feed, err = simplestreams.Fetch(ctx, http.DefaultClient, c.url); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}
