package runner

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// Files are a guest's file system before it is started.
type Files interface {
	fs.FS
	// Err returns why something could not be found out, if that is not for what the
	// files are.
	Err() error
}

// A Before looks at the files of a guest that has been created and not been
// started.
type Before func(ctx context.Context, files Files)

// lookTime bounds all looks before the boot.
const lookTime = 5 * time.Minute

var errLookTime = errors.New("the looks before the boot took longer than 5m")

// look lets before see the instance, while nothing has been put into it yet.
func (g *instance) look(ctx context.Context, before Before) {
	if before == nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lookTime, errLookTime)
	defer cancel()
	err := g.inst.Files(ctx, func(files *lxd.Files) error {
		before(ctx, files)
		return nil
	})
	if err != nil {
		before(ctx, noFiles{err})
	}
}

// noFiles are those that could not be opened.
type noFiles struct{ err error }

func (n noFiles) Open(string) (fs.File, error) { return nil, n.err }

func (n noFiles) Err() error { return n.err }

// before returns what looks at the items that are to be looked at before the boot,
// and keeps the results in them; nil where there are none.
func (e *evidence) before() Before {
	if !slices.ContainsFunc(e.job.Checks, func(c Check) bool { return c.evaluated() && slices.ContainsFunc(c.Items, checks.Item.BeforeBoot) }) {
		return nil
	}
	return func(ctx context.Context, files Files) {
		sys := &checks.System{FS: files}
		for i := range e.job.Checks {
			c := &e.job.Checks[i]
			if !c.evaluated() {
				continue
			}
			c.Items = slices.Clone(c.Items) // other jobs have the same ones
			for k := range c.Items {
				if item := &c.Items[k]; item.BeforeBoot() {
					item.Known = lookBefore(ctx, *item, sys, files)
				}
			}
		}
	}
}

// lookBefore looks at one item. Once the server or the connection has failed,
// nothing that is said of files is believed.
func lookBefore(ctx context.Context, item checks.Item, sys *checks.System, files Files) []checks.Result {
	var list []checks.Result
	err := files.Err()
	if err == nil {
		list = item.LookBeforeBoot(ctx, sys)
		err = files.Err()
	}
	var hidden *lxd.HiddenError
	switch {
	case ctx.Err() != nil:
		return item.NotSeenBeforeBoot(context.Cause(ctx), false)
	case err != nil:
		return item.NotSeenBeforeBoot(err, errors.As(err, &hidden))
	}
	return list
}

// evaluated tells whether the check is evaluated in this run.
func (c Check) evaluated() bool { return c.Again && c.Skip == "" }
