package push

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/upmaru/icepak/cmd/internal/polar"
)

// A StorageError says what the storage did not do.
type StorageError struct {
	Endpoint string
	Doing    string
	Err      error
}

func (e *StorageError) Error() string {
	return fmt.Sprintf("storage %s: %s: %v", e.Endpoint, e.Doing, e.Err)
}

func (e *StorageError) Unwrap() error { return e.Err }

// A bucket is the storage that Polar names.
type bucket struct {
	core      *minio.Core
	transport *http.Transport
	storage   polar.Storage
	opts      Options
}

// An object is what the bucket has under a key.
type object struct {
	there bool
	size  int64
	etag  string
}

// openBucket returns the bucket. Nothing is asked of it yet.
func openBucket(s polar.Storage, opts Options) (*bucket, error) {
	b := &bucket{storage: s, opts: opts}
	host, secure := strings.CutPrefix(s.Endpoint, "http://")
	secure = !secure
	host = strings.TrimRight(strings.TrimPrefix(host, "https://"), "/")
	var err error
	if b.transport, err = minio.DefaultTransport(secure); err != nil {
		return nil, b.failed("open", err)
	}
	// To put a large file together takes a storage its time.
	b.transport.ResponseHeaderTimeout = 3 * time.Minute
	b.core, err = minio.NewCore(host, &minio.Options{
		Creds:        credentials.NewStaticV4(string(s.AccessKeyID), string(s.SecretAccessKey), ""),
		Region:       s.Region,
		Secure:       secure,
		Transport:    b.transport,
		BucketLookup: minio.BucketLookupPath,
		MaxRetries:   1, // see try
	})
	if err != nil {
		return nil, b.failed("open", err)
	}
	return b, nil
}

func (b *bucket) close() { b.transport.CloseIdleConnections() }

// failed returns the error for what went wrong, without secrets and without the
// URL, which is long and says nothing more.
func (b *bucket) failed(doing string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	text := err.Error()
	if answer, ok := errors.AsType[minio.ErrorResponse](err); ok && answer.Message != "" {
		text = fmt.Sprintf("%s (%s)", strings.TrimRight(answer.Message, "."), answer.Code)
	}
	clean := text
	for _, secret := range []polar.Secret{b.storage.AccessKeyID, b.storage.SecretAccessKey} {
		clean = strings.ReplaceAll(clean, string(secret), secret.String())
	}
	const limit = 300
	clean = strings.ToValidUTF8(clean[:min(len(clean), limit)], "")
	if clean != err.Error() {
		err = errors.New(clean)
	}
	return &StorageError{b.storage.Endpoint, doing, err}
}

// attempts is how often a request is made that fails for reasons that may pass.
const attempts = 6

// try makes a request, and makes it again where that may help. The library would do
// so by itself, but hand the same body to a request while the one before, which it
// has given up, may still read it.
func (b *bucket) try(ctx context.Context, doing string, request func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := request(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !passing(err) || attempt == attempts:
			return b.failed(doing, err)
		}
		wait := min(b.opts.RetryWait<<(attempt-1), 5*time.Second)
		if err := pause(ctx, wait/2+rand.N(wait/2+1)); err != nil {
			return err
		}
	}
}

// passing tells whether what went wrong may go well the next time.
func passing(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	answer, ok := errors.AsType[minio.ErrorResponse](err)
	if !ok || answer.StatusCode == 0 {
		return true // no answer came
	}
	switch answer.Code {
	case "BadDigest", "IncompleteBody", "RequestTimeout": // the way there is at fault
		return true
	}
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusInsufficientStorage:
		return false
	}
	return answer.StatusCode >= 500
}

// stat returns what there is under the key.
func (b *bucket) stat(ctx context.Context, key string) (o object, err error) {
	err = b.try(ctx, "look for "+key, func(ctx context.Context) error {
		info, err := b.core.StatObject(ctx, b.storage.Bucket, key, minio.StatObjectOptions{})
		if answer, ok := errors.AsType[minio.ErrorResponse](err); ok && answer.Code == minio.NoSuchKey {
			return nil
		}
		o = object{err == nil, info.Size, info.ETag}
		return err
	})
	return o, err
}
