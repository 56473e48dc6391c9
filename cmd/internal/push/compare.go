package push

import (
	"context"
	"crypto/md5" // S3's ETags are made of it; nothing is secured by it
	"encoding/hex"
	"hash"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/build"
)

// isObject reads a file of the build and tells whether the storage has the same. An
// ETag that is none of the known kinds is that of another.
func (p *push) isObject(ctx context.Context, src build.Source, sums *build.Sums) (build.File, bool, error) {
	o := p.objects[src.Name]
	f, err := os.Open(src.Path)
	if err != nil {
		return build.File{}, false, err
	}
	defer f.Close()
	tags := etagsLike(o.etag, src.Size, p.opts.partSize)
	writers := []io.Writer{sums}
	for _, t := range tags {
		writers = append(writers, t)
	}
	if _, err := io.CopyBuffer(io.MultiWriter(writers...), reader{ctx, f}, make([]byte, 1<<20)); err != nil {
		return build.File{}, false, err
	}
	file := sums.File()
	same := o.etag == file.Hash // as the embedded Polar has it for a version's files
	for _, t := range tags {
		same = same || o.etag == t.String()
	}
	return file, same && o.size == file.Size, nil
}

// A reader reads until its context is done.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// etagsLike returns the ETags that are to be made of a file to see whether one of
// them is the given one. That of an upload in parts depends on how large they were,
// which it does not tell: it may be what this program uses, or other ones do.
func etagsLike(etag string, size, ours int64) []*tagger {
	_, count, inParts := strings.Cut(etag, "-")
	if !inParts {
		return []*tagger{newTagger(0)}
	}
	var tags []*tagger
	for _, part := range []int64{ours, 5 << 20, 8 << 20, 64 << 20} {
		if strconv.FormatInt((size+part-1)/part, 10) == count {
			tags = append(tags, newTagger(part))
		}
	}
	return tags
}

// likeTag tells whether an ETag is of the same kind as the one that was computed:
// some storages have their own for what was sent in parts.
func likeTag(etag, computed string) bool {
	_, parts, _ := strings.Cut(etag, "-")
	_, want, _ := strings.Cut(computed, "-")
	return len(etag) == len(computed) && parts == want
}

// A tagger makes the ETag that S3 gives a file which is written to it: the MD5 of
// it, or of the MD5s of its parts.
type tagger struct {
	part  int64 // how large parts are; 0: the file was sent as a whole
	room  int64 // in the part that is being written
	sum   hash.Hash
	parts partTags
}

func newTagger(part int64) *tagger { return &tagger{part: part, room: part, sum: md5.New()} }

func (t *tagger) Write(p []byte) (int, error) {
	n := len(p)
	for t.part > 0 && int64(len(p)) >= t.room {
		t.sum.Write(p[:t.room])
		p = p[t.room:]
		t.endPart()
	}
	t.sum.Write(p)
	t.room -= int64(len(p))
	return n, nil
}

func (t *tagger) endPart() {
	t.parts = append(t.parts, t.sum.Sum(nil))
	t.sum.Reset()
	t.room = t.part
}

// String returns the ETag once all was written.
func (t *tagger) String() string {
	if t.part == 0 {
		return hex.EncodeToString(t.sum.Sum(nil))
	}
	if t.room < t.part {
		t.endPart()
	}
	return t.parts.String()
}

// partTags are the MD5s of an upload's parts.
type partTags [][]byte

// String returns the ETag of the whole.
func (p partTags) String() string {
	sum := md5.Sum(slices.Concat(p...))
	return hex.EncodeToString(sum[:]) + "-" + strconv.Itoa(len(p))
}
