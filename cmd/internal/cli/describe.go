package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
	"github.com/upmaru/icepak/spec"
)

// describeOptions say what is looked at, and which spec it is written into.
type describeOptions struct {
	source  sourceOptions
	remote  remoteOptions
	spec    specOptions
	check   string
	force   bool
	exclude []string
	timeout time.Duration
	probe   string
}

func (o *describeOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.source.instance, "instance", "", "look at an instance that runs on the remote")
	f.StringVar(&o.source.image, "image", "", "launch an image that is on the remote, `fingerprint` or alias, and look at that")
	f.BoolVar(&o.source.local, "local", false, "look at this machine (the default)")
	o.remote.flags(f)
	f.StringVar(&o.spec.file, "spec", "icepak.yaml", "the `file` to write into")
	o.spec.varFlags(f)
	f.StringVar(&o.check, "check", "", "the `check` to write into, of a spec that has several; a new file is made with it")
	f.BoolVar(&o.force, "force", false, "describe anew what the spec has already")
	f.StringSliceVar(&o.exclude, "exclude", nil, "leave out these `attributes`")
	f.DurationVar(&o.timeout, "timeout", 15*time.Minute, "how long it may take in all")
	f.StringVar(&o.probe, "probe", "", "the probe to use, a static linux `file`, instead of the embedded one")
}

func (o *describeOptions) fromEnv(env *Env) {
	o.remote.fromEnv(env)
	if o.probe == "" {
		o.probe = env.Getenv("ICEPAK_PROBE")
	}
}

// validate refuses what contradicts itself. known are the attributes that may come.
func (o *describeOptions) validate(known []string) error {
	if o.source.instance == "" && o.source.image == "" {
		o.source.local = true
	}
	if o.timeout <= 0 {
		return usagef("--timeout: want a positive duration, got %s", o.timeout)
	}
	for _, name := range o.exclude {
		if !slices.Contains(known, name) {
			return usagef("--exclude: want %s, got %q", strings.Join(dedupe(known), ", "), name)
		}
	}
	return o.source.validate()
}

// An adding is a spec's file that is being added to.
type adding struct {
	env    *Env
	opts   describeOptions
	edit   *spec.Edit
	done   []string // what was put, for people
	failed []error
}

// change edits the spec's file. What could be described is written although
// something else could not.
func (o *describeOptions) change(env *Env, fill func(*adding) error) error {
	vars, err := o.spec.options(env)
	if err != nil {
		return err
	}
	file := o.spec.file
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return usageError{err: fmt.Errorf("spec: %w", err)}
	}
	edit, err := spec.NewEdit(file, data, o.check, vars)
	if err != nil {
		return editError(file, err)
	}
	a := &adding{env: env, opts: *o, edit: edit}
	if err := fill(a); err != nil {
		return editError(file, err)
	}
	if len(a.done) > 0 {
		text, err := edit.Bytes()
		if err != nil {
			return editError(file, err)
		}
		if err := replaceFile(file, text); err != nil {
			return err
		}
	}
	for _, line := range a.done {
		fmt.Fprintf(env.Out, "%s: %s\n", file, report.Clean(line))
	}
	return a.failure()
}

// failure tells what could not be described, and ends with the weightiest exit code.
func (a *adding) failure() error {
	code := exitOK
	for _, err := range a.failed {
		printError(a.env.Err, err)
		if !isUsage(err) {
			code = exitUnknown
		} else if code == exitOK {
			code = exitUsage
		}
	}
	if code == exitOK {
		return nil
	}
	return exitError(code)
}

// there tells of a resource that the spec has already.
func (a *adding) there(item checks.Item) {
	fmt.Fprintf(a.env.Err, "icepak: %s is there already, at %s; --force describes it anew\n", report.Clean(named(item.Type, item.ID)), item.Source)
}

// put adds what was described.
func (a *adding) put(d checks.Description) error {
	d.Attributes = slices.DeleteFunc(d.Attributes, func(at checks.Attribute) bool { return slices.Contains(a.opts.exclude, at.Name) })
	if len(d.Attributes) == 0 {
		a.failed = append(a.failed, usagef("%s: --exclude leaves nothing of it", named(d.Type, d.ID)))
		return nil
	}
	if err := a.edit.Put(d); err != nil {
		return err
	}
	verb, note := "added", ""
	if _, was := a.edit.Item(d.Type, d.ID); was {
		verb = "renewed"
	}
	if !d.There {
		note = ", which is not there"
	}
	a.done = append(a.done, fmt.Sprintf("%s %s%s", verb, named(d.Type, d.ID), note))
	return nil
}

// ask has the machine describe the items and what goes by the names. Nothing is
// launched for nothing.
func (a *adding) ask(ctx context.Context, items []checks.Item, names []string) ([]runner.Answer, error) {
	if len(items)+len(names) == 0 {
		return nil, nil
	}
	q := runner.Question{Items: items, Names: names, Timeout: a.opts.timeout}
	if a.opts.source.local {
		host, err := localHost()
		if err != nil {
			return nil, err
		}
		q.Image = machine()
		return runner.Describe(ctx, host, q, func(report.Event) {})
	}
	output := outputOptions{}
	progress := report.NewText(io.Discard, a.env.Err, output.text(a.env, io.Discard))
	emit := func(e report.Event) {
		if a.opts.source.image != "" || e.Kind == report.Warning { // a look at what runs is over at once
			_ = progress.Event(e)
		}
	}
	p := &planner{env: a.env, warn: func(format string, args ...any) {
		emit(report.Event{Kind: report.Warning, Time: time.Now(), Detail: fmt.Sprintf(format, args...)})
	}}
	p.opts = testOptions{source: a.opts.source, remote: a.opts.remote, probe: a.opts.probe, timeout: a.opts.timeout, keep: string(runner.KeepNever)}
	p.owner = runner.NewOwner(time.Now().Add(a.opts.timeout + time.Hour))
	var err error
	if p.remotes, err = newRemotes(a.env, a.opts.remote, p.warn); err != nil {
		return nil, err
	}
	defer p.close()
	host, err := a.host(ctx, p, &q)
	if err != nil {
		return nil, err
	}
	answers, err := runner.Describe(ctx, host, q, emit)
	return answers, errors.Join(err, progress.Close(report.Summary{}))
}

// host is where the instance comes from.
func (a *adding) host(ctx context.Context, p *planner, q *runner.Question) (runner.Host, error) {
	if a.opts.source.instance != "" {
		on, host, err := p.running(ctx)
		if err == nil {
			q.Image = instanceImage(on, host.Instance)
		}
		return host, err
	}
	on, info, err := p.image(ctx)
	if err != nil {
		return nil, err
	}
	s := a.edit.Spec()
	q.Image, q.Ready = p.imageOf(on, info), runner.ReadyFor(s.Instance.Ready, info.Type)
	place := runner.Place{Arch: info.Architecture, Type: info.Type}
	return p.launcher(ctx, on, s, q.Image, place, nil, lxd.Source{Fingerprint: info.Fingerprint})
}

// replaceFile writes a file so that it is never seen half written.
func replaceFile(name string, data []byte) error {
	mode := fs.FileMode(0o644)
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	if info, err := os.Stat(name); err == nil {
		mode = info.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return usageError{err: fmt.Errorf("write the spec: %w", err)}
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the spec: %w", err), os.Remove(f.Name()))
	}
	return nil
}
