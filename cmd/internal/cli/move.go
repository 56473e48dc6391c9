package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/cmd/internal/polar"
)

// moveOptions say which version is moved between channels by hand.
type moveOptions struct {
	access          accessOptions
	product, serial string
	comment         string
	force           bool
}

func (o *moveOptions) flags(f *pflag.FlagSet) {
	o.access.flags(f)
	f.StringVar(&o.comment, "comment", "", "why, for the version's history, where Polar keeps that")
}

// runMove is the RunE of a command that moves a version.
func runMove(env *Env, opts *moveOptions, run func(context.Context, *mover) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		opts.product, opts.serial = args[0], args[1]
		opts.access.fromEnv(env)
		if opts.access.password == "" {
			return usageError{err: errors.New("only Polar moves versions"), hint: "set POLAR_AUTH_TOKEN to its password"}
		}
		ctx := cmd.Context()
		client, err := opts.access.client(ctx, env)
		if err != nil {
			return err
		}
		defer client.Close()
		m := &mover{env: env, opts: *opts, client: client}
		if m.product, err = client.Product(ctx, opts.product); err != nil {
			return err
		}
		if m.version, err = client.Version(ctx, m.product.ID, opts.serial); err != nil {
			return err
		}
		return run(ctx, m)
	}
}

// A mover moves a version between channels.
type mover struct {
	env     *Env
	opts    moveOptions
	client  *polar.Client
	product polar.Product
	version polar.Version
}

// A standing is how a version stands, as far as that can be found out.
type standing struct {
	state string // "inactive" also where it is in no channel; empty where it is not known
	// checks are those of the version, where checked says that Polar tells them.
	checks  []polar.AssessmentStatus
	checked bool
}

// look finds out how the version stands: from Polar where it tells that, and else from
// the feeds of the channels that are known.
func (m *mover) look(ctx context.Context) (standing, error) {
	products, err := m.client.Status(ctx, m.product.Key)
	if errors.Is(err, polar.ErrNoStatus) {
		return m.lookAtFeeds(ctx)
	}
	if err != nil {
		return standing{}, err
	}
	for _, v := range products[0].Versions {
		if v.ID == m.version.ID {
			return standing{state: v.State, checks: v.Assessments, checked: true}, nil
		}
	}
	return standing{}, fmt.Errorf("polar tells nothing of %s", m)
}

func (m *mover) lookAtFeeds(ctx context.Context) (standing, error) {
	channels, err := m.opts.access.read(ctx)
	if err != nil {
		return standing{}, err
	}
	for _, c := range channels {
		if c.feed.Has(m.product.Key, m.version.Serial) {
			return standing{state: c.name}, nil
		}
	}
	if len(channels) == 2 {
		return standing{state: "inactive"}, nil
	}
	return standing{}, nil
}

// change has Polar move the version, and returns how it stands then. Where it stays
// open whether the event was taken, how the version stands decides.
func (m *mover) change(ctx context.Context, event, want string) (standing, error) {
	err := m.client.VersionEvent(ctx, m.version.ID, event, m.opts.comment)
	now, lookErr := m.look(ctx)
	if err != nil && (lookErr != nil || now.state != want) {
		return now, err
	}
	if lookErr != nil {
		return standing{}, nil // it was taken
	}
	return now, nil
}

// say prints how the version stands.
func (m *mover) say(how string) error {
	_, err := fmt.Fprintf(m.env.Out, "%s: %s\n", m, how)
	return err
}

// String names the version.
func (m *mover) String() string { return m.product.Key + " " + m.version.Serial }

// A notPassedError says what stands in the way of a promotion.
type notPassedError struct {
	version string
	missing []string
}

func (e notPassedError) Error() string {
	return fmt.Sprintf("%s is not promoted: %s", e.version, strings.Join(e.missing, ", "))
}

// notPassed lists what of the version has not passed.
func (s standing) notPassed() []string {
	var missing []string
	for _, a := range s.checks {
		if a.State != polar.Passed {
			missing = append(missing, fmt.Sprintf("%s (%s) is %s", a.Check, lxdType(a.InstanceType), a.State))
		}
	}
	if len(s.checks) == 0 {
		missing = append(missing, "no check has passed")
	}
	return missing
}
