package polar

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/build"
)

const createdVersion = `{"data":{"id":3,"serial":"20261122-01"}}`

// creation answers requests to create a version in turn, and tells whether there is
// one.
type creation struct {
	posts answers
	taken []bool // whether the n-th request makes the version, answered or not
	there atomic.Bool
}

func (c *creation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		if n := int(c.posts.asked.Load()); n < len(c.taken) && c.taken[n] {
			c.there.Store(true)
		}
		c.posts.ServeHTTP(w, r)
		return
	}
	if c.there.Load() {
		say(200, createdVersion)(w, r)
		return
	}
	say(404, "")(w, r)
}

func TestVersionIsCreatedOnce(t *testing.T) {
	ok, conflict := say(201, createdVersion), say(409, `{"errors":{"detail":"rootfs.squashfs is the same file as in another"}}`)
	for _, tt := range []struct {
		name  string
		posts []http.HandlerFunc
		taken []bool
		asked int64
		want  string // the error; empty for none
	}{
		{"at once", []http.HandlerFunc{ok}, []bool{true}, 1, ""},
		{"an answer is lost", []http.HandlerFunc{cut}, []bool{true}, 1, ""},
		{"an answer is lost in part", []http.HandlerFunc{half}, []bool{true}, 1, ""},
		{"a proxy answers", []http.HandlerFunc{say(502, "<html>")}, []bool{true}, 1, ""},
		{"a login page answers", []http.HandlerFunc{say(200, "<html>")}, []bool{true}, 1, ""},
		{"a request is lost", []http.HandlerFunc{cut, ok}, []bool{false, true}, 2, ""},
		{"a request is late", []http.HandlerFunc{cut, conflict}, []bool{false, true}, 2, ""},
		{"it crashes afterwards", []http.HandlerFunc{say(500, "")}, []bool{true}, 1, ""},
		{"it is refused", []http.HandlerFunc{say(500, "")}, nil, 1, "polar: create version 20261122-01: refused, or the server failed (500)"},
		{"it is refused with a reason", []http.HandlerFunc{conflict}, nil, 1, "refused: rootfs.squashfs is the same file as in another"},
		{"somebody else's is refused", []http.HandlerFunc{conflict}, []bool{true}, 1, "refused: rootfs.squashfs is the same file as in another"},
		{"nothing answers", []http.HandlerFunc{cut}, nil, 3, "no answer from"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := &creation{taken: tt.taken}
			srv.posts.handlers = tt.posts
			v, err := newClient(t, srv).CreateVersion(t.Context(), 1, "20261122-01", []build.Item{{Name: "incus.tar.xz"}})
			if tt.want == "" && (err != nil || v != (Version{3, "20261122-01"})) {
				t.Errorf("got %v, %v", v, err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if n := srv.posts.asked.Load(); n != tt.asked {
				t.Errorf("asked %d times, want %d", n, tt.asked)
			}
		})
	}
}

func TestStorageIsAsPolarTellsIt(t *testing.T) {
	c := newClient(t, readRecording(t))
	if err := c.Authenticate(t.Context(), "a-password"); err != nil {
		t.Fatal(err)
	}
	s, err := c.Storage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s != (Storage{"testkey", "testsecret", "polar", "us-east-1", "127.0.0.1:9000"}) {
		t.Errorf("%v", s)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", s, s, s, s); strings.Contains(text, "testkey") || strings.Contains(text, "testsecret") {
		t.Errorf("its secrets are printed: %s", text)
	}
	_, err = newClient(t, say(200, `{"data":{"bucket":"polar"}}`)).Storage(t.Context())
	if !errors.Is(err, errMalformed) {
		t.Errorf("a storage without keys: %v", err)
	}
}
