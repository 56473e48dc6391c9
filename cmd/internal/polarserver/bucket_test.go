package polarserver

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

const testFolder = "images/debian/bookworm/amd64/default/" + testSerial

// openBucket serves the store's bucket, and returns a client of it.
func openBucket(t *testing.T, s *polarstore.Store, srv *httptest.Server) *minio.Core {
	t.Helper()
	keys, err := s.StorageKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bucketClient(t, srv, keys.AccessKey, string(keys.SecretKey))
}

func bucketClient(t *testing.T, srv *httptest.Server, access, secret string) *minio.Core {
	t.Helper()
	c, err := minio.NewCore(srv.Listener.Addr().String(), &minio.Options{
		Creds: credentials.NewStaticV4(access, secret, ""), Region: bucketRegion, BucketLookup: minio.BucketLookupPath,
		Secure: srv.TLS != nil, Transport: srv.Client().Transport, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// S3's clients send bodies in several ways, which depend on TLS and on how much
// they know of the body before.
func TestBucketTakesWhatS3sClientsSend(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){"http": (*httptest.Server).Start, "https": (*httptest.Server).StartTLS} {
		t.Run(name, func(t *testing.T) {
			s, _ := newStore(t)
			srv := httptest.NewUnstartedServer(New(s, Options{}))
			start(srv)
			defer srv.Close()
			c := openBucket(t, s, srv)
			ctx := t.Context()
			if there, err := c.BucketExists(ctx, bucketName); err != nil || !there {
				t.Errorf("bucket: %t, %v", there, err)
			}
			large := bytes.Repeat([]byte("0123456789abcdef"), 11<<16) // 11 MiB, in three parts
			for key, opts := range map[string]minio.PutObjectOptions{
				"as-it-is+x":     {},
				"unsigned":       {DisableContentSha256: true},
				"with-a-digest":  {SendContentMd5: true},
				"public":         {UserMetadata: map[string]string{"x-amz-acl": "public-read"}},
				"20261122_04:15": {DisableMultipart: true},
			} {
				opts.PartSize = 5 << 20
				key = testFolder + "/" + key
				for _, content := range [][]byte{large, []byte("small")} {
					if _, err := c.Client.PutObject(ctx, bucketName, key, bytes.NewReader(content), int64(len(content)), opts); err != nil {
						t.Fatalf("%s, %d bytes: %v", key, len(content), err)
					}
					info, err := c.StatObject(ctx, bucketName, key, minio.StatObjectOptions{})
					if err != nil || info.Size != int64(len(content)) || info.ETag == "" {
						t.Errorf("%s, %d bytes: %+v, %v", key, len(content), info, err)
					}
				}
			}
		})
	}
}

func TestBucketSaysWhatIsWrong(t *testing.T) {
	s, _ := newStore(t)
	importBuild(t, s, testSerial)
	srv := httptest.NewServer(New(s, Options{}))
	defer srv.Close()
	c := openBucket(t, s, srv)
	keys, err := s.StorageKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	put := func(c *minio.Core, key string) error {
		_, err := c.PutObject(t.Context(), bucketName, key, strings.NewReader("x"), 1, "", "", minio.PutObjectOptions{})
		return err
	}
	for _, tt := range []struct {
		name string
		do   func() error
		code string
	}{
		{"another secret", func() error {
			return put(bucketClient(t, srv, keys.AccessKey, "secret"), testFolder+"/x")
		}, "SignatureDoesNotMatch"},
		{"another access key", func() error {
			return put(bucketClient(t, srv, "access", string(keys.SecretKey)), testFolder+"/x")
		}, "InvalidAccessKeyId"},
		{"a key that is none", func() error { return put(c, "images/x") }, "InvalidArgument"},
		{"a file of a version", func() error { return put(c, testFolder+"/rootfs.squashfs") }, "AccessDenied"},
		{"another digest", func() error {
			_, err := c.PutObject(t.Context(), bucketName, testFolder+"/x", strings.NewReader("x"), 1, "1B2M2Y8AsgTpgAmY7PhCfg==", "", minio.PutObjectOptions{})
			return err
		}, "BadDigest"},
		{"a part of no upload", func() error {
			_, err := c.PutObjectPart(t.Context(), bucketName, testFolder+"/x", "NONE", 1, strings.NewReader("x"), 1, minio.PutObjectPartOptions{})
			return err
		}, "NoSuchUpload"},
		{"nothing there", func() error {
			_, err := c.StatObject(t.Context(), bucketName, testFolder+"/x", minio.StatObjectOptions{})
			return err
		}, "NoSuchKey"},
		{"reading", func() error {
			_, _, _, err := c.GetObject(t.Context(), bucketName, testFolder+"/rootfs.squashfs", minio.GetObjectOptions{})
			return err
		}, "MethodNotAllowed"},
		{"deleting", func() error {
			return c.RemoveObject(t.Context(), bucketName, testFolder+"/rootfs.squashfs", minio.RemoveObjectOptions{})
		}, "MethodNotAllowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := minio.ToErrorResponse(tt.do()).Code; got != tt.code {
				t.Errorf("got %q, want %q", got, tt.code)
			}
		})
	}
	t.Run("no signature", func(t *testing.T) {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
			rec := httptest.NewRecorder()
			New(s, Options{}).ServeHTTP(rec, httptest.NewRequest(method, "/"+bucketName+"/"+testFolder+"/x?uploads", nil))
			if rec.Code != http.StatusForbidden {
				t.Errorf("%s: %d %s", method, rec.Code, rec.Body)
			}
		}
	})
}

// What the body of a request lacks is not made up for by what is there already.
func TestTruncatedUploadIsNotKept(t *testing.T) {
	s, _ := newStore(t)
	srv := httptest.NewServer(New(s, Options{}))
	defer srv.Close()
	c := openBucket(t, s, srv)
	half := io.MultiReader(strings.NewReader("half"), errorReader{})
	if _, err := c.PutObject(t.Context(), bucketName, testFolder+"/x", half, 8, "", "", minio.PutObjectOptions{DisableContentSha256: true}); err == nil {
		t.Error("taken")
	}
	if _, err := c.StatObject(t.Context(), bucketName, testFolder+"/x", minio.StatObjectOptions{}); minio.ToErrorResponse(err).Code != "NoSuchKey" {
		t.Errorf("got %v", err)
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestUploadsMayTakeLongerThanOtherRequests(t *testing.T) {
	s, _ := newStore(t)
	if err := s.SetPassword(t.Context(), "bot-password"); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(New(s, Options{}))
	srv.Config.ReadHeaderTimeout = time.Minute
	srv.Config.ReadTimeout = time.Nanosecond
	srv.Start()
	defer srv.Close()
	c := openBucket(t, s, srv)
	content := strings.Repeat("x", 4<<20)
	if _, err := c.PutObject(t.Context(), bucketName, testFolder+"/x", strings.NewReader(content), int64(len(content)), "", "", minio.PutObjectOptions{}); err != nil {
		t.Errorf("upload: %v", err)
	}
	body := `{"user":{"password":"` + strings.Repeat("x", 1<<19) + `"}}`
	if res, err := http.Post(srv.URL+"/publish/sessions", "application/json", strings.NewReader(body)); err == nil {
		res.Body.Close()
		if res.StatusCode == http.StatusUnauthorized {
			t.Error("a small request was waited for")
		}
	}
}

func TestStorageIsWhereTheRequestCameTo(t *testing.T) {
	s, _ := newStore(t)
	h, session := New(s, Options{}), newSession(t, s)
	for _, tt := range []struct{ url, proto, want string }{
		{"http://127.0.0.1:8080", "", "http://127.0.0.1:8080"},
		{"https://images.example.com", "", "images.example.com"},
		{"http://images.example.com", "https", "images.example.com"},
	} {
		r := httptest.NewRequest("GET", tt.url+"/publish/storage", nil)
		r.Header.Set("Authorization", session)
		r.Header.Set("X-Forwarded-Proto", tt.proto)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		var answer struct{ Data struct{ Endpoint string } }
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || answer.Data.Endpoint != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.url, answer.Data.Endpoint, err, tt.want)
		}
	}
}

func TestServeCollectsAbandonedUploads(t *testing.T) {
	now := time.Now().Add(-25 * time.Hour)
	dir := filepath.Join(t.TempDir(), "polar")
	s, err := polarstore.Open(t.Context(), dir, polarstore.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.PutObject(t.Context(), testFolder+"/x", polarstore.Content{Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	now = time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, s, Options{Listen: "127.0.0.1:0"}) }()
	for {
		if _, err := s.Object(ctx, testFolder+"/x"); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
