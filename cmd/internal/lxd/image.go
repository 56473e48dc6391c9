package lxd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// An ImageInfo describes an image that is on the server.
type ImageInfo struct {
	Fingerprint  string
	Type         string // container, virtual-machine
	Architecture string // amd64, arm64
	Properties   map[string]string
	Size         int64     // bytes
	CreatedAt    time.Time // by the metadata; zero where it does not say
	Cached       bool      // fetched by the server for somebody's instance
}

// HasImage tells whether the image with that full fingerprint is on the server.
func (s *Server) HasImage(ctx context.Context, fingerprint string) (bool, error) {
	has := false
	err := s.call(ctx, func(c client.InstanceServer) error {
		image, _, err := c.GetImage(fingerprint)
		has = err == nil && image.Fingerprint == fingerprint
		return err
	})
	if isNotFound(err) {
		return false, nil
	}
	return has, err
}

// Image returns the image with that fingerprint in full, or else with that alias, or
// else with a fingerprint that begins so. If there is none, or more than one, it returns an error; the
// former is a *NotFoundError.
func (s *Server) Image(ctx context.Context, name string) (ImageInfo, error) {
	var image *api.Image
	err := s.call(ctx, func(c client.InstanceServer) (err error) {
		if len(name) == 2*sha256.Size { // hardly an alias
			if image, _, err = c.GetImage(name); !isNotFound(err) {
				return err
			}
		}
		fingerprint := name
		alias, _, err := c.GetImageAlias(name)
		if err == nil {
			fingerprint = alias.Target
		} else if !isNotFound(err) {
			return err
		}
		image, _, err = c.GetImage(fingerprint)
		return err
	})
	if isNotFound(err) {
		return ImageInfo{}, &NotFoundError{What: "image", Name: name}
	}
	if err != nil {
		return ImageInfo{}, fmt.Errorf("image %s: %w", name, err)
	}
	return imageInfo(image), nil
}

func imageInfo(image *api.Image) ImageInfo {
	info := ImageInfo{
		Fingerprint:  image.Fingerprint,
		Type:         image.Type,
		Architecture: architecture(image.Architecture),
		Properties:   image.Properties,
		Size:         image.Size,
		Cached:       image.Cached,
	}
	if image.CreatedAt.Unix() > 0 {
		info.CreatedAt = image.CreatedAt
	}
	return info
}

// Image returns the image that the instance was made from. Where the server does
// not have it any more, or it was made from none, it returns what the instance
// knows of it, and a *NotFoundError.
func (i *Instance) Image(ctx context.Context) (ImageInfo, error) {
	left := ImageInfo{Fingerprint: i.image, Type: i.typ, Architecture: i.architecture, Properties: i.properties}
	missing := &NotFoundError{What: "image", Name: i.image}
	if i.image == "" {
		return left, missing
	}
	var image *api.Image
	err := i.server.call(ctx, func(c client.InstanceServer) (err error) {
		image, _, err = c.GetImage(i.image)
		return err
	})
	switch {
	case isNotFound(err) && i.properties == nil: // nobody has looked yet
		made, err := i.server.Instance(ctx, i.name)
		if err != nil {
			return left, i.wrap("its image", err)
		}
		left.Architecture, left.Properties = made.architecture, made.properties
		return left, missing
	case isNotFound(err):
		return left, missing
	case err != nil:
		return left, i.wrap("its image", err)
	}
	return imageInfo(image), nil
}

// DeleteImage deletes an image. One that is gone is no error.
func (s *Server) DeleteImage(ctx context.Context, fingerprint string) error {
	err := s.run(ctx, func(c client.InstanceServer) (client.Operation, error) {
		return c.DeleteImage(fingerprint)
	})
	if err == nil || isNotFound(err) {
		return nil
	}
	// An operation's error has no code; somebody else may have been faster.
	if has, askErr := s.HasImage(ctx, fingerprint); askErr == nil && !has {
		return nil
	}
	return fmt.Errorf("delete image %s: %w", fingerprint, err)
}

// Fingerprint returns the fingerprint of a split image: the sha256 of both
// files, one after the other.
func Fingerprint(meta, rootfs string) (string, error) {
	sum := sha256.New()
	for _, path := range []string{meta, rootfs} {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, f)
		f.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Upload gives the server a split image: its metadata and its root file system,
// of a container or a virtual-machine. An image that is there already is no
// error, and progress is told that it is.
func (s *Server) Upload(ctx context.Context, meta, rootfs, typ string, progress func(Progress)) (string, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	fingerprint, err := Fingerprint(meta, rootfs)
	if err != nil {
		return "", err
	}
	has, err := s.HasImage(ctx, fingerprint)
	if err == nil && !has {
		err = s.upload(ctx, meta, rootfs, typ, progress)
		var failed *operationError
		if errors.As(err, &failed) {
			// Another upload of the same image may have been faster.
			if now, askErr := s.HasImage(ctx, fingerprint); askErr == nil && now {
				has, err = true, nil
			}
		}
	}
	if err != nil {
		return "", fmt.Errorf("upload image %s: %w", filepath.Dir(rootfs), err)
	}
	if has {
		progress(Progress{Stage: "upload", Percent: 100, Text: "already on the server"})
	}
	return fingerprint, nil
}

func (s *Server) upload(ctx context.Context, meta, rootfs, typ string, progress func(Progress)) error {
	reading, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	both := &upload{progress: progress, fail: fail}
	defer both.close()
	args := &client.ImageCreateArgs{MetaName: filepath.Base(meta), RootfsName: filepath.Base(rootfs), Type: typ}
	for _, file := range []struct {
		path string
		to   *io.Reader
	}{{meta, &args.MetaFile}, {rootfs, &args.RootfsFile}} {
		f, err := os.Open(file.path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		both.size += info.Size()
		*file.to = uploadFile{both, f}
	}
	err := s.run(reading, func(c client.InstanceServer) (client.Operation, error) {
		return c.CreateImage(api.ImagesPost{}, args)
	})
	if err != nil && ctx.Err() == nil && reading.Err() != nil {
		return context.Cause(reading)
	}
	return err
}

// An upload is how far an image's files have been read.
type upload struct {
	progress func(Progress)
	fail     context.CancelCauseFunc

	mu      sync.Mutex
	closed  bool
	size    int64
	read    int64
	percent int
}

func (u *upload) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
}

// An uploadFile is one file of an upload. A request that was given up may still
// read it, and then comes to its end.
type uploadFile struct {
	*upload
	file io.Reader
}

// Read ends the whole upload where it fails: the library would send what it has
// as if it were all.
func (f uploadFile) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, os.ErrClosed
	}
	n, err := f.file.Read(p)
	if err != nil && err != io.EOF {
		f.fail(err)
	}
	f.read += int64(n)
	if percent := int(f.read * 100 / max(f.size, 1)); percent != f.percent {
		f.percent = percent
		f.progress(Progress{Stage: "upload", Percent: percent})
	}
	return n, err
}
