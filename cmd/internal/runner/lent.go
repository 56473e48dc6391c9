package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// This file lends the probe to containers on this machine: the server shows them a file
// of ours, where a push of some megabytes would cost more than the rest of what a run
// adds to a container's life. Whatever is wrong with that, the probe is pushed.

// lentDevice is the name of the device that shows the probe to the guest.
const lentDevice = "icepak-probe"

// KeepProgram has the program in a file in the folder, which is named by its content,
// and returns the file's path. Files of others for the same architecture are removed.
func KeepProgram(dir, arch string, p Program) (string, error) {
	dir, err := filepath.Abs(dir) // a server is not where we are
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("probe-%s-%08x", arch, crc32.ChecksumIEEE(p.Data)))
	if kept, err := os.ReadFile(path); err == nil && bytes.Equal(kept, p.Data) {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	others, err := filepath.Glob(filepath.Join(dir, "probe-"+arch+"-*"))
	if err != nil {
		return "", err
	}
	for _, other := range others {
		// One that is in use stays until its guest ends.
		_ = os.Remove(other)
	}
	// Two runs may do this at once, and no guest may see half of it.
	file, err := os.CreateTemp(dir, "new-probe-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(file.Name()) }() // a file that has moved is gone
	_, err = file.Write(p.Data)
	if err = errors.Join(err, file.Chmod(0o755), file.Close()); err != nil {
		return "", err
	}
	return path, os.Rename(file.Name(), path)
}

// lend adds the probe's file to the request, and tells whether it did. A guest that is
// root on the host as well could write to it.
func (r *Remote) lend(ctx context.Context, req *lxd.Request, path string) bool {
	if r.Probe.File == nil || !r.Server.OnThisMachine() || req.Type == "virtual-machine" {
		return false
	}
	file, err := r.Probe.File()
	if err != nil {
		return false
	}
	if privileged, err := r.Server.Privileged(ctx, *req); err != nil || privileged {
		return false
	}
	req.Devices = cloned(req.Devices)
	// The server may see other files than we do, and then starts the guest without.
	req.Devices[lentDevice] = map[string]string{"type": "disk", "source": file, "path": path, "readonly": "true", "required": "false"}
	return true
}

// unlend launches a guest anew that the server did not start while the probe was lent
// to it: it may be for that.
func (r *Remote) unlend(ctx context.Context, g *instance, w *Watch) error {
	if err := g.inst.Delete(ctx); err != nil {
		return err
	}
	r.Probe.File = nil // it is not lent again
	if err := r.create(ctx, g, w); err != nil {
		return err
	}
	return g.boot(ctx, w, report.Start, r.Probe)
}

// mayBeForLoan tells whether a launch failed for what may be the lent probe.
func (g *instance) mayBeForLoan(ctx context.Context, err error) bool {
	var failed *lxd.StartError
	var fault *ImageFault
	return g.lent && errors.As(err, &failed) && !errors.As(err, &fault) && ctx.Err() == nil
}

// unseen tells whether the guest cannot run a probe that it was lent: the server does
// not have the file, or what it is on forbids programs.
func (g *instance) unseen(end ending) bool {
	return g.lent && end.err == nil && (end.code == 126 || end.code == 127)
}
