package push

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
)

// objectOptions are what objects are made with: everybody may read images. The
// signature is bound to a body by its MD5.
func objectOptions() minio.PutObjectOptions {
	return minio.PutObjectOptions{
		UserMetadata:         map[string]string{"x-amz-acl": "public-read"},
		ContentType:          "application/octet-stream",
		DisableContentSha256: true,
	}
}

// A piece is what is sent in one request: a part of a file, or all of it.
type piece struct {
	number int
	data   []byte
	sum    []byte // its MD5
	etag   string // what the bucket calls it
}

// tagged tells whether the bucket's ETags are MD5s, so that they tell what it has.
func (p *piece) tagged() bool { return p.etag == hex.EncodeToString(p.sum) }

func (p *piece) md5() string { return base64.StdEncoding.EncodeToString(p.sum) }

// put sends a whole file. sent is told how many bytes were taken, or are to be sent
// again.
func (b *bucket) put(ctx context.Context, key string, p *piece, sent func(int)) error {
	return b.send(ctx, "upload "+key, p, sent, func(ctx context.Context, data io.Reader) (string, error) {
		info, err := b.core.PutObject(ctx, b.storage.Bucket, key, data, int64(len(p.data)), p.md5(), "", objectOptions())
		return info.ETag, err
	})
}

// putPart sends a part of a file.
func (b *bucket) putPart(ctx context.Context, key, id string, p *piece, sent func(int)) error {
	return b.send(ctx, fmt.Sprintf("upload part %d of %s", p.number, key), p, sent, func(ctx context.Context, data io.Reader) (string, error) {
		part, err := b.core.PutObjectPart(ctx, b.storage.Bucket, key, id, p.number, data, int64(len(p.data)),
			minio.PutObjectPartOptions{Md5Base64: p.md5(), DisableContentSha256: true})
		return part.ETag, err
	})
}

// defaultStall is how long the bucket may take nothing of a body.
const defaultStall = time.Minute

var (
	errStalled = errors.New("nothing is taken any more")
	errNoETag  = errors.New("the answer has no ETag")
)

// send sends a piece, again where that may help.
func (b *bucket) send(ctx context.Context, doing string, p *piece, sent func(int), put func(context.Context, io.Reader) (string, error)) error {
	sum := md5.Sum(p.data)
	p.sum = sum[:]
	return b.try(ctx, doing, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		watch := time.AfterFunc(b.opts.stall, func() { cancel(errStalled) })
		defer watch.Stop()
		data := &body{data: p.data, moved: func(n, left int) {
			sent(n)
			if watch.Reset(b.opts.stall); left == 0 {
				watch.Stop() // an answer has a limit of its own
			}
		}}
		p.etag, err = put(ctx, data)
		if err == nil && p.etag == "" {
			err = errNoETag
		}
		taken := data.close()
		if err == nil {
			return nil
		}
		sent(-taken)
		if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
			return cause
		}
		return err
	})
}

// A body is the body of one request. A request that was given up may still read it,
// and then finds it closed: what it reads from is used again.
type body struct {
	mu     sync.Mutex
	data   []byte
	at     int
	closed bool
	moved  func(n, left int)
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, os.ErrClosed
	}
	if b.at == len(b.data) {
		return 0, io.EOF
	}
	n := copy(p, b.data[b.at:])
	b.at += n
	b.moved(n, len(b.data)-b.at)
	return n, nil
}

// close ends the body, and returns how much of it was read.
func (b *body) close() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.at
}
