package runner

import (
	"context"
	"strings"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// InstanceName makes a name of its own for an instance of the product, one that is
// a valid host name.
func InstanceName(product string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(product) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	middle := strings.Trim(b.String(), "-")
	if len(middle) > 40 {
		middle = strings.Trim(middle[:40], "-")
	}
	if middle == "" {
		middle = "image"
	}
	return "icepak-" + middle + "-" + newRunID()
}

// A Leftover is an instance whose run is no more.
type Leftover struct {
	lxd.Labelled
	Kept bool // the run may have left it on purpose
}

// Leftovers lists the instances on the server that runs have left behind. Those
// of a live run are never among them.
func Leftovers(ctx context.Context, s *lxd.Server, now time.Time) ([]Leftover, error) {
	all, err := s.Labelled(ctx, LabelRun)
	if err != nil {
		return nil, err
	}
	var found []Leftover
	for _, inst := range all {
		if abandoned, kept := Abandoned(inst.Config, now); abandoned {
			found = append(found, Leftover{inst, kept})
		}
	}
	return found, nil
}

// LeftBy lists the instances on the server that the run has left, which is known to be
// no more.
func LeftBy(ctx context.Context, s *lxd.Server, run string) ([]Leftover, error) {
	all, err := s.Labelled(ctx, LabelRun)
	var found []Leftover
	for _, inst := range all {
		if inst.Config[LabelRun] == run {
			_, kept := Abandoned(inst.Config, time.Time{})
			found = append(found, Leftover{inst, kept})
		}
	}
	return found, err
}
