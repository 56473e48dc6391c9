package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/probe"
)

// What a first look did to the guest may be why a second one fails.
func TestAFailAfterALostLookIsNoVerdict(t *testing.T) {
	good, bad := command(t, 1, "good", "true"), command(t, 2, "bad", "false")
	for _, tt := range []struct {
		name  string
		until probe.Kind // what is said before the probe is lost
		want  string
	}{
		{"in the middle of the checks", probe.Check, "error: good=pass bad=error"},
		{"before the first check", probe.Hello, "fail: good=pass bad=fail"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &host{}
			h.probe = func(ctx context.Context, plan []byte, out Events) error {
				if h.probed == 1 {
					return cutAfter(tt.until, fmt.Errorf("%w: socket closed", ErrLost))(ctx, plan, out)
				}
				return probe.Serve(ctx, bytes.NewReader(plan), out, checks.Local())
			}
			tr := &tracker{}
			j := job(h, good, bad)
			j.Version = version()
			img := run(t, Runner{Tracker: tr}, j).Images[0]
			if got := verdicts(img); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if posted := strings.Contains(strings.Join(tr.settled, " "), "fail"); posted != strings.HasPrefix(tt.want, "fail") {
				t.Errorf("posted %q", tr.settled)
			}
		})
	}
}

// crowded is a host that has no room left.
type crowded struct{ *host }

func (c crowded) Launch(ctx context.Context, w *Watch, before Before) (Guest, error) {
	_, err := c.host.Launch(ctx, w, before)
	return c, err
}

func (crowded) Full(context.Context) string { return "the server's storage pool a is full" }

func TestWhereTheHostIsFullNothingIsTheImagesFault(t *testing.T) {
	good, bad := command(t, 1, "good", "true"), command(t, 2, "bad", "false")
	for _, tt := range []struct {
		name string
		host *host
		want string
	}{
		{"a check fails", &host{}, "error: good=pass bad=error"},
		{"the guest stops", &host{probe: cutAfter(probe.Hello, &ImageFault{Reason: "it stopped"})}, "error: good=error bad=error"},
		{"it does not get ready", &host{probe: forge(`{"event":"not-ready","detail":"still starting"}`)}, "error: good=error bad=error"},
		{"it does not start", &host{launch: &ImageFault{Reason: "no init"}}, "error: good=error bad=error"},
		{"the server is lost", &host{launch: errors.New("reset")}, "error: good=error bad=error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			img := run(t, Runner{}, job(crowded{tt.host}, good, bad)).Images[0]
			if got := verdicts(img); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
	t.Run("all is well", func(t *testing.T) {
		if got := verdicts(run(t, Runner{}, job(crowded{&host{}}, good)).Images[0]); got != "pass: good=pass" {
			t.Error(got)
		}
	})
}
