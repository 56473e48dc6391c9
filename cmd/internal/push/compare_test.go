package push

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/upmaru/icepak/cmd/internal/build"
)

func TestETags(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 100)
	md5Of := func(parts ...[]byte) []byte { sum := md5.Sum(slices.Concat(parts...)); return sum[:] }
	for _, tt := range []struct {
		part int64
		want string
	}{
		{0, hex.EncodeToString(md5Of(data))},
		{400, hex.EncodeToString(md5Of(md5Of(data[:400]), md5Of(data[400:800]), md5Of(data[800:]))) + "-3"},
		{500, hex.EncodeToString(md5Of(md5Of(data[:500]), md5Of(data[500:]))) + "-2"},
		{2000, hex.EncodeToString(md5Of(md5Of(data))) + "-1"},
	} {
		for _, piece := range []int{1, 333, 500, 1000} {
			tag := newTagger(tt.part)
			for p := range slices.Chunk(data, piece) {
				tag.Write(p)
			}
			if got := tag.String(); got != tt.want {
				t.Errorf("in parts of %d, written in pieces of %d: %s, want %s", tt.part, piece, got, tt.want)
			}
		}
	}
}

// Files that another client has uploaded are not uploaded again.
func TestUploadsOfOtherClientsAreRecognised(t *testing.T) {
	dir := container(t, 1, 12<<20)
	for name, part := range map[string]uint64{"in parts of 5 MiB": 5 << 20, "in parts of 8 MiB": 8 << 20, "as a whole": 0} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			storage, err := s.client.Storage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b, err := openBucket(storage, Options{}.withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			for _, name := range []string{"incus.tar.xz", "rootfs.squashfs"} {
				f, err := os.Open(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				info, err := f.Stat()
				if err != nil {
					t.Fatal(err)
				}
				key := build.Folder(testProduct, testSerial) + "/" + name
				if _, err := b.core.Client.PutObject(t.Context(), storage.Bucket, key, f, info.Size(), minio.PutObjectOptions{PartSize: part}); err != nil {
					t.Fatal(err)
				}
			}
			done, err := s.push(t, dir)
			if err != nil || done.Sent != 0 || done.Known {
				t.Errorf("%+v, %v", done, err)
			}
			s.holds(t, testProduct, dir)
		})
	}
}
