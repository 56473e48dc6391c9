// Package push brings a build to Polar: its files to the storage that Polar names,
// then the version that they make, then that version into testing.
//
// What can be refused is refused before a byte is sent. A version is created only
// of files that are in the storage as they were read, and is put into testing only
// if they still are. Files that are there already are not sent again, so that a
// push that was cut short is continued, and a finished one is left alone.
package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/upmaru/icepak/cmd/internal/build"
	"github.com/upmaru/icepak/cmd/internal/polar"
)

// maxSize is the least size that Polar does not take.
const maxSize = 1 << 31

// Options say what is pushed.
type Options struct {
	Dir       string
	Product   string // os:release:arch:variant
	Serial    string
	Progress  func(Progress) // told how far a file has come, by one goroutine at a time; may be nil
	RetryWait time.Duration  // before what failed is tried again, growing; 0: 0.5 s

	partSize int64         // 0: defaultPartSize
	stall    time.Duration // 0: defaultStall
}

// withDefaults fills in what was not said.
func (o Options) withDefaults() Options {
	o.RetryWait = cmp.Or(o.RetryWait, 500*time.Millisecond)
	o.partSize = cmp.Or(o.partSize, defaultPartSize)
	o.stall = cmp.Or(o.stall, defaultStall)
	return o
}

// Progress is how much of a file is in the storage.
type Progress struct {
	File       string
	Sent, Size int64
}

// A Result is what Run did.
type Result struct {
	Product string // as Polar writes it
	Version polar.Version
	Known   bool  // the version was there already, with the same files
	Files   int   // of the build
	Sent    int64 // bytes that were uploaded
	// Refused tells that Polar did not put a version that it had into testing, which
	// is so where it is active.
	Refused bool
}

// A RefusedError says why a build is not pushed as it was asked for.
type RefusedError struct {
	Reason string
}

func (e *RefusedError) Error() string { return e.Reason }

// Run pushes a build. The client is one that is authenticated.
func Run(ctx context.Context, client *polar.Client, opts Options) (Result, error) {
	opts = opts.withDefaults()
	sources, err := check(opts)
	if err != nil {
		return Result{}, err
	}
	p := &push{client: client, opts: opts, sources: sources}
	defer p.close()
	if err := p.ask(ctx); err != nil {
		return Result{}, err
	}
	if p.known {
		err = p.compare(ctx)
	} else {
		err = p.publish(ctx)
		if err != nil && ctx.Err() == nil && p.overtaken(ctx) {
			err = nil
		}
	}
	if err != nil {
		return Result{}, err
	}
	refused, err := p.test(ctx)
	return Result{
		Product: p.product.Key, Version: p.version, Known: p.known,
		Files: len(sources), Sent: p.sent, Refused: refused,
	}, err
}

// check tells what is wrong with the build and the serial themselves.
func check(opts Options) ([]build.Source, error) {
	if err := build.CheckSerial(opts.Serial); err != nil {
		return nil, &RefusedError{"the serial " + err.Error()}
	}
	sources, err := build.Find(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", opts.Dir, err)
	}
	for _, src := range sources {
		if src.Size >= maxSize {
			return nil, &RefusedError{fmt.Sprintf("%s has %d bytes: Polar takes files below 2 GiB", src.Path, src.Size)}
		}
	}
	return sources, nil
}

// A push is what is known of one while it runs.
type push struct {
	client  *polar.Client
	opts    Options
	sources []build.Source

	product polar.Product
	version polar.Version
	known   bool // the version was there before
	bucket  *bucket
	folder  string            // in the bucket
	objects map[string]object // what is in the folder, by file name
	sent    int64
}

func (p *push) close() {
	if p.bucket != nil {
		p.bucket.close()
	}
}

// ask finds out what there is: the product, the storage, and what is in them.
func (p *push) ask(ctx context.Context) (err error) {
	if p.product, err = p.client.Product(ctx, p.opts.Product); err != nil {
		return err
	}
	storage, err := p.client.Storage(ctx)
	if err != nil {
		return err
	}
	if p.bucket, err = openBucket(storage, p.opts); err != nil {
		return err
	}
	return p.look(ctx)
}

// look finds out whether there is the version, and which files are in the storage.
func (p *push) look(ctx context.Context) (err error) {
	p.version, err = p.client.Version(ctx, p.product.ID, p.opts.Serial)
	_, missing := errors.AsType[*polar.NotFoundError](err)
	if err != nil && !missing {
		return err
	}
	p.known = !missing
	serial := p.opts.Serial
	if p.known {
		serial = p.version.Serial
	}
	p.folder = build.Folder(p.product.Key, serial)
	p.objects = map[string]object{}
	for _, name := range build.Names() {
		o, err := p.bucket.stat(ctx, path.Join(p.folder, name))
		if err != nil {
			return err
		}
		if o.there {
			p.objects[name] = o
		}
	}
	return nil
}

// compare holds the build against the files of the version that there is. Polar
// does not tell their hashes: those in the storage have to be the same.
func (p *push) compare(ctx context.Context) error {
	another := func(what string) error {
		return &RefusedError{fmt.Sprintf("%s has a version %s already, with %s; nothing was changed", p.product.Key, p.version.Serial, what)}
	}
	if len(p.objects) != len(p.sources) {
		return another("other files")
	}
	for _, src := range p.sources {
		o, ok := p.objects[src.Name]
		if !ok {
			return another("other files")
		}
		if o.size != src.Size {
			return another("another " + src.Name)
		}
	}
	var hasher build.Hasher
	for _, src := range p.sources {
		_, same, err := p.isObject(ctx, src, hasher.Begin(src.Name))
		if err != nil {
			return err
		}
		if !same {
			return another("another " + src.Name)
		}
	}
	return nil
}

// overtaken tells whether somebody else has pushed the same build meanwhile, which is
// a reason for publish to fail.
func (p *push) overtaken(ctx context.Context) bool {
	return p.look(ctx) == nil && p.known && p.compare(ctx) == nil
}

// publish brings the files to the storage and creates their version.
func (p *push) publish(ctx context.Context) error {
	files, err := p.upload(ctx)
	if err != nil {
		return err
	}
	p.version, err = p.client.CreateVersion(ctx, p.product.ID, p.opts.Serial, build.Items(files, p.folder))
	if refused, ok := errors.AsType[*polar.RefusedError](err); ok && refused.Reason != "" {
		return &RefusedError{err.Error()}
	}
	if err != nil {
		return err
	}
	// Somebody else may have pushed another build under this serial meanwhile, and
	// have put a file of theirs in the place of one of these.
	for _, src := range p.sources {
		now, err := p.bucket.stat(ctx, path.Join(p.folder, src.Name))
		if err != nil {
			return fmt.Errorf("version %s is created and not in testing: %w", p.version.Serial, err)
		}
		if before := p.objects[src.Name]; !now.there || now.size != before.size || now.etag != before.etag && now.etag != hashOf(files, src.Name) {
			return fmt.Errorf("version %s is created and not in testing: somebody has changed its %s in the storage; push the build under another serial", p.version.Serial, src.Name)
		}
	}
	return nil
}

// hashOf is the hash of the file of that name.
func hashOf(files []build.File, name string) string {
	for _, f := range files {
		if f.Name == name {
			return f.Hash
		}
	}
	return ""
}

// upload brings those files to the storage that are not there already, and notes
// what is there then.
func (p *push) upload(ctx context.Context) ([]build.File, error) {
	var hasher build.Hasher
	var files []build.File
	for _, src := range p.sources {
		if o := p.objects[src.Name]; o.there && o.size == src.Size {
			f, same, err := p.isObject(ctx, src, hasher.Begin(src.Name))
			if err != nil {
				return nil, err
			}
			if same {
				files = append(files, f)
				continue
			}
		}
		sums := hasher.Begin(src.Name)
		u := upload{bucket: p.bucket, key: path.Join(p.folder, src.Name), src: src, sums: sums, report: p.opts.Progress, commit: p.unclaimed}
		o, err := u.run(ctx)
		if err != nil {
			return nil, fmt.Errorf("upload %s: %w", src.Name, err)
		}
		p.objects[src.Name] = o
		p.sent += o.size
		files = append(files, sums.File())
	}
	return files, nil
}

// unclaimed tells whether there is still no version, just before a file gets into
// place: a file of a version is never replaced.
func (p *push) unclaimed(ctx context.Context) error {
	_, err := p.client.Version(ctx, p.product.ID, p.opts.Serial)
	if err == nil {
		return &RefusedError{fmt.Sprintf("somebody else has just created the version %s of %s", p.opts.Serial, p.product.Key)}
	}
	if _, ok := errors.AsType[*polar.NotFoundError](err); ok {
		return nil
	}
	return err
}
