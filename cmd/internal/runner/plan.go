package runner

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/spec"
)

// A Wanted says which part of a spec is to be run on what.
type Wanted struct {
	Checks []string // with what they need; empty: all
	Types  []string // empty: all that the version has
	Force  bool     // also what has passed earlier
}

// A Place is what the conditions of checks look at.
type Place struct {
	Arch string
	Type string
	GPUs []lxd.GPU // that the remote has
	// Where is of GPUs, for people: on rack1. Empty: here.
	Where string
	// RequireGPU: what a GPU is missing for is not skipped, but could not be found out.
	RequireGPU bool
}

// Checks returns the checks of the spec as a job's, those skipped whose
// conditions do not hold in the place, and all of them to be evaluated.
func Checks(s *spec.Spec, p Place) []Check {
	var all []Check
	for _, c := range s.Checks {
		check := Check{Check: c.Check, Source: c.Source, Required: c.Required, GPU: c.When.GPU, Again: true}
		if reason := p.without(c.When); reason != "" {
			check.Skip = reason
		} else if c.When.GPU != "" {
			check.Skip = p.withoutGPU(c.When.GPU)
			if check.Unknown = check.Skip != "" && p.RequireGPU; check.Unknown {
				check.Skip += " (--require-gpu)"
			}
		}
		all = append(all, check)
	}
	skipDependants(all)
	return all
}

// skipDependants skips what needs a check that is skipped.
func skipDependants(all []Check) {
	for range all { // as often as a chain can be long
		for i := range all {
			for _, need := range all[i].Needs {
				k := slices.IndexFunc(all, func(c Check) bool { return c.Name == need })
				if k >= 0 && all[k].Skip != "" && all[i].Skip == "" {
					all[i].Skip = fmt.Sprintf("needs %s, which is %s", need, all[k].left())
				}
			}
		}
	}
}

// without says what of the condition, but for its GPU, does not hold, or nothing.
func (p Place) without(w spec.When) string {
	switch {
	case len(w.Type) > 0 && !slices.Contains(w.Type, p.Type):
		return fmt.Sprintf("only for %s", strings.Join(w.Type, ", "))
	case len(w.Arch) > 0 && !spec.MatchAny(w.Arch, p.Arch):
		return fmt.Sprintf("only for %s", strings.Join(w.Arch, ", "))
	}
	return ""
}

// A Record is Polar's knowledge of one version.
type Record struct {
	version *Version
	ids     map[string]int64 // of checks, by slug
	passed  map[Gate]bool
	// Untracked are the checks of the spec that Polar does not know.
	Untracked []string
}

// Look asks Polar what it knows of the version: which checks it tracks, and which
// of them have passed for which types. types are all types of the version.
func Look(ctx context.Context, c *polar.Client, product polar.Product, serial string, cluster int64, s *spec.Spec, types []string) (*Record, error) {
	version, err := c.Version(ctx, product.ID, serial)
	if err != nil {
		return nil, err
	}
	tracked, err := c.Checks(ctx)
	if err != nil {
		return nil, err
	}
	r := &Record{
		version: &Version{ID: version.ID, Product: product.Key, Serial: version.Serial, Cluster: cluster},
		ids:     map[string]int64{},
		passed:  map[Gate]bool{},
	}
	for _, t := range tracked {
		r.ids[t.Slug] = t.ID
	}
	for _, check := range s.Checks {
		id, ok := r.ids[check.Name]
		if !ok {
			r.Untracked = append(r.Untracked, check.Name)
			continue
		}
		for _, typ := range types {
			if len(check.When.Type) > 0 && !slices.Contains(check.When.Type, typ) {
				continue
			}
			a, err := c.Assessment(ctx, version.ID, id, cluster, instanceType(typ))
			if err != nil {
				return nil, err
			}
			gate := Gate{Type: typ, Check: check.Name, Passed: a.State == polar.Passed, Failed: a.State == polar.Failed}
			r.version.Gates = append(r.version.Gates, gate)
			r.passed[Gate{Type: typ, Check: check.Name}] = gate.Passed
		}
	}
	return r, nil
}

// Narrow has only what is wanted stand in the way of the version's promotion, for
// every type of the version, and what has failed.
func (r *Record) Narrow(w Wanted) {
	if len(w.Checks) == 0 {
		return
	}
	r.version.Gates = slices.DeleteFunc(r.version.Gates, func(g Gate) bool {
		return !g.Failed && !slices.Contains(w.Checks, g.Check)
	})
}

// mark notes in the job's checks what Polar tracks and what has passed.
func (r *Record) mark(job *Job, force bool) {
	job.Version = r.version
	for i := range job.Checks {
		c := &job.Checks[i]
		c.ID = r.ids[c.Name]
		c.Earlier = r.passed[Gate{Type: job.Image.Type, Check: c.Name}]
		c.Again = force || !c.Earlier
		if c.Skip != "" && !c.Unknown {
			r.version.dropGate(job.Image.Type, *c)
		}
	}
}

// dropGate takes a check out of the gates that its condition skips here, unless
// it is required or something is known of it.
func (v *Version) dropGate(typ string, c Check) {
	if c.Required {
		return
	}
	v.Gates = slices.DeleteFunc(v.Gates, func(g Gate) bool { return g.Type == typ && g.Check == c.Name && !g.Passed && !g.Failed })
}

// needed has everything evaluated again that a check which is evaluated needs:
// what it did is not in this guest.
func needed(all []Check) {
	for range all {
		for _, c := range all {
			for _, need := range c.Needs {
				k := slices.IndexFunc(all, func(o Check) bool { return o.Name == need })
				if c.Again && k >= 0 {
					all[k].Again = true
				}
			}
		}
	}
}

// NewJob makes the job of testing the image with the spec in the place. record
// is nil where Polar is not asked.
func NewJob(img report.Image, s *spec.Spec, p Place, w Wanted, record *Record, timeout time.Duration) Job {
	img.Spec = s.Path
	job := Job{Image: img, Ready: ReadyFor(s.Instance.Ready, img.Type), Checks: Checks(s, p), Timeout: timeout, Spec: textOf(s)}
	if record != nil {
		record.mark(&job, w.Force) // before the choice: what is not wanted still gates
	}
	if len(w.Checks) > 0 {
		job.Checks = slices.DeleteFunc(job.Checks, func(c Check) bool { return !slices.Contains(w.Checks, c.Name) })
	}
	needed(job.Checks)
	job.Nothing = nothing(job.Checks)
	return job
}

// textOf tells a spec's text, its templates carried out, from other texts.
func textOf(s *spec.Spec) string {
	sum := sha256.New()
	for _, f := range s.Files {
		fmt.Fprintf(sum, "%q %q\n", f.Text, f.Rendered)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// nothing says why there is nothing to launch the image for, or nothing at all.
func nothing(all []Check) string {
	earlier := 0
	for _, c := range all {
		if c.Again && c.Skip == "" {
			return ""
		}
		if c.Earlier {
			earlier++
		}
	}
	if slices.ContainsFunc(all, func(c Check) bool { return c.Unknown && c.Again }) {
		return "no check can be evaluated; nothing is launched"
	}
	if earlier == 0 {
		return "every check is skipped; nothing is launched"
	}
	return fmt.Sprintf("%d of %d checks passed earlier and none is left; nothing is launched", earlier, len(all))
}

// ForTypes returns the types of the version that are wanted and that the spec is
// for.
func (w Wanted) ForTypes(types []string, s *spec.Spec) []string {
	return slices.DeleteFunc(slices.Clone(types), func(typ string) bool {
		return len(w.Types) > 0 && !slices.Contains(w.Types, typ) ||
			len(s.Instance.Types) > 0 && !slices.Contains(s.Instance.Types, typ)
	})
}
