package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/upmaru/icepak/cmd/internal/build"
)

// A file is read once, in parts, and each part is hashed and sent from memory: what
// the version says of a file is true of the bytes that were sent. Memory is that of
// the parts which are on their way, and of the one that is being read.
const (
	defaultPartSize = 16 << 20
	parallel        = 4
)

var errChanged = errors.New("the file changed while it was read")

// An upload is that of one file.
type upload struct {
	bucket *bucket
	key    string
	src    build.Source
	sums   *build.Sums                     // what is read is written to them
	commit func(ctx context.Context) error // asked before the file gets into place
	report func(Progress)                  // may be nil

	mu   sync.Mutex
	sent int64
}

// run brings the file to the bucket, and returns what is there then.
func (u *upload) run(ctx context.Context) (object, error) {
	f, err := os.Open(u.src.Path)
	if err != nil {
		return object{}, err
	}
	defer f.Close()
	u.moved(0)
	var tag string // what the bucket should call it; empty where its ETags tell nothing
	if u.src.Size <= u.bucket.opts.partSize {
		tag, err = u.whole(ctx, f)
	} else {
		tag, err = u.inParts(ctx, f)
	}
	if err != nil {
		return object{}, err
	}
	return u.verify(ctx, tag)
}

// verify asks the bucket for what it has.
func (u *upload) verify(ctx context.Context, tag string) (object, error) {
	o, err := u.bucket.stat(ctx, u.key)
	if err != nil {
		return o, err
	}
	if !o.there || o.size != u.src.Size || likeTag(o.etag, tag) && o.etag != tag {
		return o, u.bucket.failed("look for "+u.key, errors.New("it is not what was uploaded"))
	}
	return o, nil
}

// moved counts bytes that were sent, or that are to be sent again.
func (u *upload) moved(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent += int64(n)
	if u.report != nil {
		u.report(Progress{u.src.Name, u.sent, u.src.Size})
	}
}

// next reads and hashes the file's next bytes.
func (u *upload) next(ctx context.Context, f io.Reader, buf []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := io.ReadFull(f, buf); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errChanged
	} else if err != nil {
		return err
	}
	_, err := u.sums.Write(buf)
	return err
}

// ended tells whether the file has no more than was read.
func (u *upload) ended(f io.Reader) error {
	if n, err := io.ReadFull(f, make([]byte, 1)); n > 0 {
		return errChanged
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (u *upload) whole(ctx context.Context, f io.Reader) (tag string, err error) {
	data := make([]byte, u.src.Size)
	if err := u.next(ctx, f, data); err != nil {
		return "", err
	}
	if err := u.ended(f); err != nil {
		return "", err
	}
	if err := u.commit(ctx); err != nil {
		return "", err
	}
	p := &piece{number: 1, data: data}
	if err := u.bucket.put(ctx, u.key, p, u.moved); err != nil || !p.tagged() {
		return "", err
	}
	return p.etag, nil
}

func (u *upload) inParts(ctx context.Context, f io.Reader) (tag string, err error) {
	b := u.bucket
	var id string
	err = b.try(ctx, "begin the upload of "+u.key, func(ctx context.Context) (err error) {
		id, err = b.core.NewMultipartUpload(ctx, b.storage.Bucket, u.key, objectOptions())
		return err
	})
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			u.abort(ctx, id)
		}
	}()
	parts, err := u.sendParts(ctx, f, id)
	if err != nil {
		return "", err
	}
	if err := u.ended(f); err != nil {
		return "", err
	}
	if err := u.commit(ctx); err != nil {
		return "", err
	}
	var list []minio.CompletePart
	var tags partTags
	tagged := true
	for _, p := range parts {
		list = append(list, minio.CompletePart{PartNumber: p.number, ETag: p.etag})
		tags = append(tags, p.sum)
		tagged = tagged && p.tagged()
	}
	if tagged {
		tag = tags.String()
	}
	return tag, u.complete(ctx, id, list, tag)
}

// complete has the bucket put the parts together. Where it fails to say so, it is
// asked for the file.
func (u *upload) complete(ctx context.Context, id string, list []minio.CompletePart, tag string) error {
	b := u.bucket
	err := b.try(ctx, "complete the upload of "+u.key, func(ctx context.Context) error {
		_, err := b.core.CompleteMultipartUpload(ctx, b.storage.Bucket, u.key, id, list, minio.PutObjectOptions{})
		return err
	})
	if err == nil || ctx.Err() != nil || tag == "" {
		return err
	}
	if o, askErr := b.stat(ctx, u.key); askErr == nil && o.size == u.src.Size && o.etag == tag {
		return nil
	}
	return err
}

// abort has the bucket forget the parts. Whoever gave up waits for no more than this.
func (u *upload) abort(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	// The storage drops what is left of uploads in time, too.
	_ = u.bucket.core.AbortMultipartUpload(ctx, u.bucket.storage.Bucket, u.key, id)
}

// sendParts reads the file and sends its parts, several at once. Of those it
// returns the data is gone.
func (u *upload) sendParts(ctx context.Context, f io.Reader, id string) ([]*piece, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	free, full := make(chan []byte, parallel+1), make(chan *piece)
	for range cap(free) {
		free <- nil // made where it is needed
	}
	var senders sync.WaitGroup
	for range parallel {
		senders.Go(func() {
			for p := range full {
				if err := u.bucket.putPart(ctx, u.key, id, p, u.moved); err != nil {
					fail(err)
				}
				free <- p.data
				p.data = nil
			}
		})
	}
	parts, err := u.readParts(ctx, f, free, full)
	if err != nil {
		fail(err) // those on their way are not needed any more
	}
	close(full)
	senders.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return parts, nil
}

// readParts reads the file's parts into free buffers, and hands them on.
func (u *upload) readParts(ctx context.Context, f io.Reader, free <-chan []byte, full chan<- *piece) ([]*piece, error) {
	var parts []*piece
	partSize := u.bucket.opts.partSize
	for at := int64(0); at < u.src.Size; at += partSize {
		var buf []byte
		select {
		case buf = <-free:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if buf == nil {
			buf = make([]byte, partSize)
		}
		buf = buf[:min(partSize, u.src.Size-at)]
		if err := u.next(ctx, f, buf); err != nil {
			return nil, fmt.Errorf("read %s: %w", u.src.Path, err)
		}
		p := &piece{number: len(parts) + 1, data: buf}
		parts = append(parts, p)
		select {
		case full <- p:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return parts, nil
}
