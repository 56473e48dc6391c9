package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/journal"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// journals is the folder of the journals; it is empty where there is none.
func journals(env *Env) string {
	dir := stateFolder(env)
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "runs")
}

// A keptRun is a run with a journal, if it has one.
type keptRun struct {
	id      string
	journal *journal.Journal // nil: none
}

// journal begins the run's journal, or goes on with that of the run that is resumed. A
// run of which nothing could be lost has none, and a run that cannot have one goes on.
func (p *planner) journal(jobs []runner.Job) *keptRun {
	kept := &keptRun{id: p.owner.Run}
	if p.opts.resumes != nil {
		kept.journal = p.opts.resumes.journal
		return kept
	}
	worth := slices.ContainsFunc(jobs, func(j runner.Job) bool {
		return j.Host != nil || j.Place != nil || j.Version != nil && p.opts.promote
	})
	if !worth || p.opts.source.local || p.opts.source.instance != "" {
		return kept
	}
	run := journal.Run{ID: kept.id, Started: time.Now(), Version: p.env.Version, Args: p.opts.args, Feed: p.opts.source.feed != "", Promote: p.opts.promote}
	run.Host, _ = os.Hostname() // else nobody but icepak resume takes care of it
	run.Dir, _ = os.Getwd()     // likewise, where no path is relative
	if p.polar != nil {
		run.Endpoint = p.polar.Endpoint()
	}
	for _, j := range jobs {
		run.Jobs = append(run.Jobs, journal.JobOf(j))
	}
	dir, err := journals(p.env), errNoState
	if dir != "" {
		kept.journal, err = journal.Create(dir, run, func(err error) {
			p.warn("the run's journal cannot be written, and if the run is killed, icepak resume may lack something: %v", err)
		})
	}
	if err != nil {
		p.warn("the run has no journal, and if it is killed, icepak resume cannot finish it: %v", err)
	}
	return kept
}

// forRunner is the journal, or nil where there is none.
func (k *keptRun) forRunner() runner.Journal {
	if k.journal == nil {
		return nil
	}
	return k.journal
}

// end removes the journal of a run that is over, and else says what finishes it.
func (k *keptRun) end(ctx context.Context, env *Env, sum report.Summary) {
	undone := slices.ContainsFunc(sum.Images, func(i report.ImageResult) bool { return i.Verdict == checks.Error })
	switch {
	case sum.Waiting > 0 && (k.journal == nil || !k.journal.Complete()):
		fmt.Fprintln(env.Err, "icepak: Polar lacks something of this run, and the run's journal is not complete: run it again")
	case ctx.Err() != nil && (undone || sum.Waiting > 0) && k.journal != nil:
		fmt.Fprintf(env.Err, "icepak: icepak resume %s goes on with what is left of this run\n", k.id)
	case sum.Waiting > 0:
		fmt.Fprintf(env.Err, "icepak: Polar lacks something of this run: icepak resume %s posts it when Polar is back\n", k.id)
	case k.journal != nil:
		if err := k.journal.Remove(); err != nil {
			fmt.Fprintf(env.Err, "icepak: the run is over, but its journal is not removed: %v\n", err)
		}
		return
	}
	if k.journal != nil {
		_ = k.journal.Close() // the lock goes in any case
	}
}

// countIs is a number of things, with its verb.
func countIs(n int, thing string) string {
	if n == 1 {
		return "1 " + thing + " is"
	}
	return fmt.Sprintf("%d %ss are", n, thing)
}

// commandLine is what the command was given, in a form that makes the same of it. The
// URL of a feed may hold a token, and is left out.
func commandLine(cmd *cobra.Command, args []string) []string {
	line := []string{cmd.Name()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "feed" {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			if f.Value.Type() == "stringSlice" {
				v = quoted(v)
			}
			line = append(line, "--"+f.Name+"="+v)
		}
	})
	return append(append(line, "--"), args...)
}

// quoted is an element of a list that is written with commas.
func quoted(element string) string {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{element}) // a buffer takes all
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
