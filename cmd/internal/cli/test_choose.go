package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
	"github.com/upmaru/icepak/spec"
)

// isPattern tells a pattern of products from a product's name.
func isPattern(name string) bool { return strings.ContainsAny(name, "*?[") }

// A version is one that is to be tested: with what, where, and what Polar knows of it.
type version struct {
	key, serial string
	// named: it was asked for by name. Then what is wrong with it ends the run before
	// anything is launched; else it is an error of its own.
	named  bool
	spec   *spec.Spec
	wanted runner.Wanted
	types  []string
	on     []*remote // the best first
	record *runner.Record
	err    error
}

// choose finds the versions that the options name. Of a product that has none in the
// channel there is a job that says so.
func (p *planner) choose(ctx context.Context) ([]*version, []runner.Job, error) {
	src := p.opts.source
	part, err := parseShard(p.opts.many.shard)
	if err != nil {
		return nil, nil, err
	}
	names := src.products
	if len(names) == 0 {
		names = []string{"*"}
	}
	var chosen []*version
	var others []runner.Job
	known := map[[2]string]bool{}
	for _, name := range names {
		found, jobs, err := p.chooseNamed(ctx, name)
		if err != nil {
			return nil, nil, err
		}
		for _, job := range jobs {
			if part.has(job.Image.Product) {
				others = append(others, job)
			}
		}
		for _, v := range found {
			if id := [2]string{v.key, v.serial}; part.has(simplestreams.Canonical(v.key)) && !known[id] {
				known[id] = true
				chosen = append(chosen, v)
			}
		}
	}
	return chosen, others, nil
}

// chooseNamed finds the versions of a product, or of a pattern's: the newest of each, or
// with --all and --pending all.
func (p *planner) chooseNamed(ctx context.Context, name string) ([]*version, []runner.Job, error) {
	var keys []string
	switch {
	case isPattern(name):
		keys = p.matching(name)
		if len(keys) == 0 && len(p.opts.source.products) > 0 {
			jobs, err := p.unmatched(ctx, name)
			return nil, jobs, err
		}
	case p.opts.readmit:
		if job, err := p.readmit(ctx, name); job != nil || err != nil {
			return nil, jobsOf(job), err
		}
		fallthrough
	default:
		key, err := p.feed.Resolve(name, p.remotes.arch(ctx, name))
		if err != nil {
			jobs, err := p.absent(ctx, name, err)
			return nil, jobs, err
		}
		keys = []string{key}
	}
	var found []*version
	for _, key := range keys {
		serials, err := p.serials(key)
		switch {
		case err != nil:
			return nil, nil, err
		case len(serials) == 0 && !isPattern(name):
			jobs, err := p.absent(ctx, key, nil)
			return nil, jobs, err
		}
		for _, serial := range serials {
			found = append(found, &version{key: key, serial: serial, named: !isPattern(name) && !p.opts.source.every()})
		}
	}
	return found, nil, nil
}

func jobsOf(job *runner.Job) []runner.Job {
	if job == nil {
		return nil
	}
	return []runner.Job{*job}
}

// matching returns the products that the pattern matches, sorted.
func (p *planner) matching(pattern string) []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(p.feed.Products)) {
		if matches(pattern, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// matches tells whether the pattern matches the product's key. A star also stands for
// several parts of it.
func matches(pattern, key string) bool {
	ok, _ := path.Match(simplestreams.Canonical(pattern), simplestreams.Canonical(key)) // its syntax was looked at
	return ok
}

// unmatched deals with a pattern that matches nothing in the feed. Where Polar knows
// products that it matches, these have simply nothing in testing.
func (p *planner) unmatched(ctx context.Context, pattern string) ([]runner.Job, error) {
	known := slices.Sorted(maps.Keys(p.feed.Products))
	if p.polar != nil {
		all, err := p.polar.Status(ctx, "")
		if err != nil && !errors.Is(err, polar.ErrNoStatus) {
			return nil, err
		}
		for _, product := range all {
			if matches(pattern, product.Product) {
				return []runner.Job{{Image: report.Image{Product: pattern}, Nothing: nothingInTesting}}, nil
			}
			known = append(known, product.Product)
		}
	}
	err := usageError{err: fmt.Errorf("no product matches %q", pattern)}
	slices.Sort(known)
	switch near := nearPattern(simplestreams.Canonical(pattern), known); {
	case near != "":
		err.hint = fmt.Sprintf("did you mean %q?", near)
	case len(known) > 0:
		known = slices.Compact(known)
		err.hint = "there is " + strings.Join(known[:min(len(known), 3)], ", ")
		if more := len(known) - 3; more > 0 {
			err.hint += fmt.Sprintf(" and %d more", more)
		}
	}
	return nil, err
}

// nearPattern is the pattern with its parts replaced by what they may have been meant
// to be, where it then matches one of the products; else it is empty.
func nearPattern(pattern string, keys []string) string {
	parts := strings.Split(pattern, ":")
	for i, part := range parts {
		if isPattern(part) {
			continue
		}
		var names []string
		for _, key := range keys {
			if of := strings.Split(key, ":"); i < len(of) {
				names = append(names, of[i])
			}
		}
		if near := checks.Suggest(part, names); near != "" {
			parts[i] = near
		}
	}
	near := strings.Join(parts, ":")
	if slices.ContainsFunc(keys, func(key string) bool { return matches(near, key) }) {
		return near
	}
	return ""
}

// serials are the product's versions that are asked for, the newest first.
func (p *planner) serials(key string) ([]string, error) {
	if p.opts.source.every() {
		p.warnHidden(key)
		return p.feed.Serials(key), nil
	}
	serial, err := p.serial(key)
	if err != nil || serial == "" {
		return nil, err
	}
	return []string{serial}, nil
}
