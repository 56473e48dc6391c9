package checks

import (
	"context"
	"time"
)

// A filesOnly resource looks at nothing but the file system, so that it can be
// looked at in a guest that is not running.
type filesOnly interface{ needsFilesOnly() }

// BeforeBoot tells whether resources of the type can be looked at before the guest
// has been started.
func (t Type) BeforeBoot() bool {
	_, ok := t.New().(filesOnly)
	return ok
}

// BeforeBoot tells whether the item is to be looked at before the guest is started.
func (it Item) BeforeBoot() bool {
	common := it.Resource.common()
	return common.BeforeBoot && !common.Skip
}

// LookBeforeBoot looks at the item in a guest that is not started yet: in sys there
// are its files and nothing else. The results are the item's Known.
func (it Item) LookBeforeBoot(ctx context.Context, sys *System) []Result {
	start := time.Now()
	list := it.look(ctx, sys)
	if ctx.Err() != nil {
		interrupted(list, context.Cause(ctx), false)
	}
	return it.beforeBoot(list, start)
}

// NotSeenBeforeBoot are the item's results where it could not be looked at before
// the boot: for what went wrong, or because the server shows no files of such a
// guest.
func (it Item) NotSeenBeforeBoot(why error, hidden bool) []Result {
	list := it.skipped(oneLine(why.Error()))
	if hidden {
		notHere(list)
	} else {
		for i := range list {
			list[i].Verdict = Error
		}
	}
	return it.beforeBoot(list, time.Now())
}

func (it Item) beforeBoot(list []Result, start time.Time) []Result {
	it.stamp(list, time.Since(start))
	for i := range list {
		list[i].When = BeforeBoot
	}
	return list
}

// notHere marks results of what cannot be looked at where this runs.
func notHere(list []Result) {
	for i := range list {
		list[i].NotHere = true
	}
}
