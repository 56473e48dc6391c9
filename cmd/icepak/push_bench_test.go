package main

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/upmaru/icepak/cmd/internal/polar"
)

// BenchmarkPush times the push of a build to an embedded Polar on loopback, in pairs
// with the floor: what it takes to read, hash and send the same file there with the
// library alone. ratio is that of the fastest of each: a push takes all cores and the
// disk, which others may use too. The build has ICEPAK_BENCH_MB megabytes, or 256.
func BenchmarkPush(b *testing.B) {
	size := int64(256)
	if text := os.Getenv("ICEPAK_BENCH_MB"); text != "" {
		var err error
		if size, err = strconv.ParseInt(text, 10, 64); err != nil {
			b.Fatal(err)
		}
	}
	program := build(b)
	var floors, pushes []float64
	memory := 0.0
	for i := range b.N {
		var floor, push, rss float64
		// Of the two, the second may meet the disk at work for the first.
		for j := range 2 {
			s := newPushSite(b, program, size<<20)
			if (i+j)%2 == 0 {
				floor = s.sendAlone()
			} else {
				push, rss = s.timePush()
			}
			s.kill()
			if err := os.RemoveAll(s.data); err != nil {
				b.Fatal(err)
			}
		}
		floors, pushes = append(floors, floor), append(pushes, push)
		memory = max(memory, rss)
	}
	floor, push := slices.Min(floors), slices.Min(pushes)
	b.ReportMetric(floor, "floor-s")
	b.ReportMetric(push, "push-s")
	b.ReportMetric(floor/push, "ratio")
	b.ReportMetric(memory, "MB")
	b.ReportMetric(0, "ns/op")
}

// timePush returns the seconds of a push, and its memory in MB.
func (s *pushSite) timePush() (seconds, rss float64) {
	cmd := exec.Command(s.program, s.pushArgs("http://"+s.listen)...)
	cmd.Env = s.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	rss, err := measure(cmd)
	if err != nil {
		s.t.Fatalf("%v: %s", err, out.String())
	}
	return time.Since(began).Seconds(), rss
}

// sendAlone returns the seconds that the library takes for the build's large file,
// which is hashed while it is read: for itself, and for the image's fingerprint. It
// sends the same requests as a push does, each part with its MD5 and four at once.
func (s *pushSite) sendAlone() float64 {
	ctx := s.t.Context()
	client, err := polar.New("http://"+s.listen, polar.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	if err := client.Authenticate(ctx, s.password()); err != nil {
		s.t.Fatal(err)
	}
	storage, err := client.Storage(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	bucket, err := minio.New(s.listen, &minio.Options{
		Creds:  credentials.NewStaticV4(string(storage.AccessKeyID), string(storage.SecretAccessKey), ""),
		Region: storage.Region, BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	began := time.Now()
	f, err := os.Open(filepath.Join(s.build, "rootfs.squashfs"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		s.t.Fatal(err)
	}
	hash, fingerprint := sha256.New(), sha256.New()
	_, err = bucket.PutObject(ctx, storage.Bucket, "images/debian/bookworm/amd64/default/20261122-01/rootfs.squashfs",
		io.TeeReader(f, io.MultiWriter(hash, fingerprint)), info.Size(), minio.PutObjectOptions{
			PartSize: 16 << 20, NumThreads: 4, ConcurrentStreamParts: true, SendContentMd5: true, DisableContentSha256: true,
		})
	if err != nil {
		s.t.Fatal(err)
	}
	hash.Sum(nil)
	fingerprint.Sum(nil)
	return time.Since(began).Seconds()
}

func (s *pushSite) password() string {
	for _, v := range s.env {
		if password, ok := strings.CutPrefix(v, "POLAR_AUTH_TOKEN="); ok {
			return password
		}
	}
	return ""
}
