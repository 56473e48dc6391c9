package runner

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/probe"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// A Question is what a guest is asked to describe.
type Question struct {
	Image   report.Image // what is asked, for people
	Ready   checks.Ready
	Items   []checks.Item
	Names   []string
	Timeout time.Duration
}

// An Answer is what a guest has to say of one thing.
type Answer struct {
	Found []checks.Description
	Err   error // why it could not be found out
}

// Describe launches a guest, has it answer the question, and deletes it. There is an
// answer for each of the items, and then for each of the names.
func Describe(ctx context.Context, host Host, q Question, emit func(report.Event)) (answers []Answer, err error) {
	w := newWatch(emit, q.Image)
	w.emit(report.Event{Kind: report.ImageStarted})
	asking, cancel := context.WithTimeoutCause(ctx, q.Timeout, timeoutError(q.Timeout))
	defer cancel()
	guest, err := host.Launch(asking, w, nil)
	if guest != nil {
		defer func() {
			clean, cancel := afterwards(ctx)
			defer cancel()
			if deleteErr := guest.Delete(clean, w); deleteErr != nil {
				err = errors.Join(err, fmt.Errorf("not cleaned up: %w; icepak clean tries again", deleteErr))
			}
			w.stop()
			w.emit(report.Event{Kind: report.ImageDone, Done: &report.ImageResult{Image: q.Image}})
		}()
	}
	if err == nil {
		answers, err = q.ask(asking, guest, w)
	}
	if err != nil {
		return nil, cause(asking, err)
	}
	return answers, nil
}

// ask asks the guest's probe.
func (q Question) ask(ctx context.Context, guest Guest, w *Watch) ([]Answer, error) {
	answers := make([]Answer, len(q.Items)+len(q.Names))
	begin := func() {
		for i := range answers {
			answers[i] = Answer{Err: errors.New("the probe said nothing of it")}
		}
	}
	begin()
	var notReady error
	err := converse(ctx, guest, w, conversation{
		plan:  func() probe.Plan { return probe.Plan{Ready: q.Ready, Describe: q.Items, Find: q.Names} },
		image: wantsImage(q.Items),
		begin: begin,
		event: func(e probe.Event) {
			switch {
			case e.Kind == probe.Hello:
				w.Begin(report.ReadyFor)
			case e.Kind == probe.Ready:
				w.Begin(report.Evaluate)
			case e.Kind == probe.NotReady:
				notReady = errors.New(e.Detail)
			case e.Kind == probe.Described && e.Answer.Nth < len(answers):
				answers[e.Answer.Nth] = q.believe(*e.Answer)
			}
		},
	})
	return answers, errors.Join(err, notReady)
}

// portID is a process's port.
var portID = regexp.MustCompile(`^(tcp|udp)6?:[0-9]+$`)

// believe takes an answer of the guest's only where it is one to what was asked.
// What comes of it is written into a spec, which others will run.
func (q Question) believe(a probe.Answer) Answer {
	if a.Error != "" {
		return Answer{Err: errors.New(a.Error)}
	}
	asked := func(d checks.Description) bool {
		return d.Type == q.Items[a.Nth].Type && d.ID == q.Items[a.Nth].ID
	}
	if n := a.Nth - len(q.Items); n >= 0 {
		asked = func(d checks.Description) bool {
			return slices.Contains(checks.FoundTypes(), d.Type) && (d.ID == q.Names[n] || d.Type == "port" && portID.MatchString(d.ID))
		}
	}
	if slices.ContainsFunc(a.Found, func(d checks.Description) bool { return !asked(d) }) {
		return Answer{Err: errors.New("the probe's answer is not to what was asked")}
	}
	return Answer{Found: a.Found}
}
