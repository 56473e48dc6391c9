package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// librarian is a tracker that keeps reports, too.
type librarian struct {
	tracker
	kept []string
	err  error
}

func (l *librarian) PutReport(_ context.Context, version int64, typ string, doc []byte) error {
	sum, err := report.ParseJSON(doc)
	if err != nil || len(sum.Images) != 1 {
		return fmt.Errorf("%d images, %v", len(sum.Images), err)
	}
	l.kept = append(l.kept, fmt.Sprintf("%d/%s %s by %s, after %d verdicts and %d stages", version, typ, verdicts(sum.Images[0]), sum.Version, len(l.settled), len(sum.Images[0].Stages)))
	return l.err
}

func TestTheReportIsPostedAfterTheVerdicts(t *testing.T) {
	good, bad := command(t, 1, "good", "true"), command(t, 2, "bad", "false")
	earlier := good
	earlier.Earlier, earlier.Again = true, false
	for _, tt := range []struct {
		name    string
		cs      []Check
		untrack bool
		want    string
	}{
		{"passed and failed", []Check{good, bad}, false, "[7/container fail: good=pass bad=fail by 1.2.3, after 2 verdicts and 4 stages]"},
		{"nothing was launched", []Check{earlier}, false, "[]"},
		{"Polar does not know the version", []Check{good}, true, "[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &librarian{}
			j := job(&host{}, tt.cs...)
			j.Nothing = nothing(tt.cs)
			if !tt.untrack {
				j.Version = &Version{ID: 7}
			}
			run(t, Runner{Tracker: l, Version: "1.2.3"}, j)
			if got := fmt.Sprint(l.kept); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAReportThatIsNotTakenIsWarnedOf(t *testing.T) {
	l := &librarian{err: errors.New("disk full")}
	j := job(&host{}, command(t, 1, "a", "true"))
	j.Version = &Version{ID: 7, Gates: []Gate{{Type: "container", Check: "a"}}}
	var warned []string
	sum := run(t, Runner{Tracker: l, Promote: true, Emit: func(e report.Event) {
		if e.Kind == report.Warning {
			warned = append(warned, e.Detail)
		}
	}}, j)
	if sum.Verdict != checks.Pass || sum.Images[0].Promotion != report.Promoted || !slices.Equal(warned, []string{"the report is not posted: disk full"}) {
		t.Errorf("%s, %s, warned %q", sum.Verdict, sum.Images[0].Promotion, warned)
	}
}
