package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
	"github.com/upmaru/icepak/cmd/internal/simplestreams"
	"github.com/upmaru/icepak/spec"
)

// imageJobs plans an image that is on the remote already.
func (p *planner) imageJobs(ctx context.Context) ([]runner.Job, error) {
	on, info, err := p.image(ctx)
	if err != nil {
		return nil, err
	}
	return p.direct(ctx, on, p.imageOf(on, info), productOf(info.Properties, info.Architecture), info.Architecture, nil, nil)
}

// image finds the image of --image, which the remote can run.
func (p *planner) image(ctx context.Context) (*remote, lxd.ImageInfo, error) {
	p.remotes.image = p.opts.source.image
	on, err := p.remotes.named(ctx)
	if err != nil {
		return nil, lxd.ImageInfo{}, err
	}
	info, err := on.asked.image, on.asked.imageErr
	if err != nil {
		return nil, info, err
	}
	if !p.wantsType(info.Type) {
		return nil, info, usagef("image %s is for a %s", p.opts.source.image, info.Type)
	}
	if archs := on.server.Architectures(); !slices.Contains(archs, info.Architecture) {
		return nil, info, usagef("image %s is for %s, and %s runs %s", p.opts.source.image, info.Architecture, on.name, strings.Join(archs, ", "))
	}
	return on, info, nil
}

func (p *planner) imageOf(on *remote, info lxd.ImageInfo) report.Image {
	return report.Image{Product: p.opts.source.image, Serial: info.Properties["serial"], Type: info.Type, Remote: on.name, Fingerprint: info.Fingerprint}
}

// pathJobs plans built files: a job for each root file in the folder.
func (p *planner) pathJobs(ctx context.Context) ([]runner.Job, error) {
	dir := p.opts.source.path
	if _, err := os.ReadDir(dir); err != nil {
		return nil, usagef("--path: %w", err)
	}
	meta := firstFile(dir, "incus.tar.xz", "lxd.tar.xz")
	if meta == "" {
		return nil, usagef("--path %s: there is no incus.tar.xz or lxd.tar.xz with the image's metadata", dir)
	}
	on, err := p.remotes.named(ctx)
	if err != nil {
		return nil, err
	}
	var jobs []runner.Job
	for _, f := range []struct{ typ, name, kind string }{
		{"container", "rootfs.squashfs", simplestreams.SquashFS},
		{"virtual-machine", "disk.qcow2", simplestreams.DiskKVM},
	} {
		root := firstFile(dir, f.name)
		if root == "" || !p.wantsType(f.typ) {
			continue
		}
		if f.typ == "virtual-machine" && !on.server.SupportsVM() {
			p.warn("%s is not tested: %s runs no virtual machines", root, on.name)
			continue
		}
		upload := func(ctx context.Context, w *runner.Watch) (string, bool, error) {
			fingerprint, err := lxd.Fingerprint(meta, root)
			if err != nil {
				return "", false, err
			}
			there, err := on.server.HasImage(ctx, fingerprint)
			if err != nil || there {
				return fingerprint, false, err
			}
			w.Fetching(fingerprint)
			_, err = on.server.Upload(ctx, meta, root, f.typ, func(pr lxd.Progress) { w.Progress(pr.Percent, pr.Text) })
			return fingerprint, true, err
		}
		img := report.Image{Product: filepath.Clean(dir), Type: f.typ, Remote: on.name}
		files := map[string]int64{filepath.Base(meta): sizeOf(meta), f.kind: sizeOf(root)}
		more, err := p.direct(ctx, on, img, "", on.server.Architectures()[0], upload, files)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, more...)
	}
	if len(jobs) == 0 {
		return nil, usagef("--path %s: there is no rootfs.squashfs or disk.qcow2 to be tested on %s", dir, on.name)
	}
	return jobs, nil
}

// instanceJobs plans an instance that runs already.
func (p *planner) instanceJobs(ctx context.Context) ([]runner.Job, error) {
	on, host, err := p.running(ctx)
	if err != nil {
		return nil, err
	}
	inst := host.Instance
	job, err := p.untracked(ctx, on, productOf(inst.ImageProperties(), inst.Architecture()), inst.Architecture(), instanceImage(on, inst), inst)
	if err != nil {
		return nil, err
	}
	job.Host = host
	return []runner.Job{job.Job}, nil
}

// running finds the instance of --instance, which must be running.
func (p *planner) running(ctx context.Context) (*remote, *runner.Running, error) {
	on, err := p.remotes.named(ctx)
	if err != nil {
		return nil, nil, err
	}
	inst, err := on.server.Instance(ctx, p.opts.source.instance)
	if err != nil {
		return nil, nil, err
	}
	status, err := inst.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	if status != "Running" {
		return nil, nil, usagef("instance %s is %s, not running", inst.Name(), strings.ToLower(status))
	}
	probe, err := p.probe(inst.Architecture())
	return on, &runner.Running{Server: on.server, Instance: inst, Probe: probe}, err
}

func instanceImage(on *remote, inst *lxd.Instance) report.Image {
	return report.Image{Product: inst.Name(), Type: inst.Type(), Remote: on.name}
}

// direct plans an image that comes from no feed.
func (p *planner) direct(ctx context.Context, on *remote, img report.Image, product, arch string,
	upload func(context.Context, *runner.Watch) (string, bool, error), files map[string]int64) ([]runner.Job, error) {
	job, err := p.untracked(ctx, on, product, arch, img, nil)
	if err != nil || job.Nothing != "" {
		return []runner.Job{job.Job}, err
	}
	host, err := p.launcher(ctx, on, job.spec, img, job.place, job.Checks, lxd.Source{Fingerprint: img.Fingerprint})
	if err != nil {
		return nil, err
	}
	host.Upload, host.Files = upload, files
	job.Host = host
	return []runner.Job{job.Job}, nil
}

// untrackedJob is a job of which Polar is not told, with what it was made of.
type untrackedJob struct {
	runner.Job
	spec  *spec.Spec
	place runner.Place
}

// untracked makes the job of an image that Polar does not know. product, where it
// is known, finds the spec. An instance that runs already has the remote's GPUs only
// where one is among its devices.
func (p *planner) untracked(ctx context.Context, on *remote, product, arch string, img report.Image, running *lxd.Instance) (untrackedJob, error) {
	s, err := p.specs.forProduct(product)
	if err != nil {
		return untrackedJob{}, err
	}
	wanted, err := p.wanted(s)
	if err != nil {
		return untrackedJob{}, err
	}
	gpus, err := gpusFor(ctx, s, on.server)
	if err != nil {
		return untrackedJob{}, err
	}
	where := "on " + on.name
	if running != nil && !running.HasGPU() {
		gpus, where = nil, "in "+running.Name()
	}
	place := p.place(arch, img.Type, where, gpus)
	return untrackedJob{runner.NewJob(img, s, place, wanted, nil, p.opts.timeout), s, place}, nil
}

// productOf makes a product's key of an image's properties; it is empty where they
// do not say enough.
func productOf(props map[string]string, arch string) string {
	if props["os"] == "" || props["release"] == "" {
		return ""
	}
	variant := props["variant"]
	if variant == "" {
		variant = "default"
	}
	return strings.ToLower(fmt.Sprintf("%s:%s:%s:%s", props["os"], props["release"], arch, variant))
}

// sizeOf is a file's size in bytes, or 0.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// firstFile is the path of the first of the names that is a file in the folder.
func firstFile(dir string, names ...string) string {
	for _, name := range names {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}
