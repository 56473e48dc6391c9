package lxd_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

const product = "tiny:one:" + runtime.GOARCH + ":default"

// forget deletes a fetched image when the test ends.
func forget(t *testing.T, s *lxd.Server, fingerprint string) {
	t.Cleanup(func() {
		if err := s.DeleteImage(context.Background(), fingerprint); err != nil {
			t.Error(err)
		}
	})
}

func fromFeed(t *testing.T, url, fingerprint string) lxd.Request {
	return lxd.Request{
		Name:   lxdtest.Name(t),
		Type:   "container",
		Source: lxd.Source{Fingerprint: fingerprint, Server: url},
		Config: map[string]string{label: t.Name()},
	}
}

// LXD keeps what a feed says for an hour. A version that was published since
// must be launched all the same, and be that version.
func TestCreateFromFeedSeesVersionsPublishedSince(t *testing.T) {
	s := lxdtest.Server(t)
	feed := lxdtest.NewFeed(t)
	for _, serial := range []string{"20250101-01", "20250102-01", "20250103-01"} {
		fingerprint := feed.Publish(t, product, serial, lxdtest.Tiny(t, lxdtest.Unique))
		forget(t, s, fingerprint)
		inst, err := s.Create(t.Context(), fromFeed(t, feed.URL, fingerprint), nil)
		if err != nil {
			t.Fatalf("%s: %v", serial, err)
		}
		if !inst.Fetched() {
			t.Errorf("%s: not Fetched", serial)
		}
		image, err := s.Image(t.Context(), fingerprint[:16])
		if err != nil || image.Fingerprint != fingerprint || image.Type != "container" || !image.Cached {
			t.Errorf("%s: image %+v, %v", serial, image, err)
		}
	}
}

// The same, where somebody asked for the fingerprint before it was published.
func TestCreateFromFeedThatWasAskedTooEarly(t *testing.T) {
	s := lxdtest.Server(t)
	feed := lxdtest.NewFeed(t)
	feed.Publish(t, product, "20250101-01", lxdtest.Tiny(t, lxdtest.Unique))
	dir := lxdtest.Tiny(t, lxdtest.Unique)
	fingerprint, err := lxd.Fingerprint(dir+"/incus.tar.xz", dir+"/rootfs.squashfs")
	if err != nil {
		t.Fatal(err)
	}
	forget(t, s, fingerprint)
	var missing *lxd.NotFoundError
	if _, err := s.Create(t.Context(), fromFeed(t, feed.URL, fingerprint), nil); !errors.As(err, &missing) {
		t.Fatalf("before it is published: %v", err)
	}
	feed.Publish(t, product, "20250102-01", dir)
	if _, err := s.Create(t.Context(), fromFeed(t, feed.URL, fingerprint), nil); err != nil {
		t.Errorf("after: %v", err)
	}
}

// An image that the server has is not fetched again, even if its feed is gone.
func TestCreateUsesTheServersOwnImage(t *testing.T) {
	s := lxdtest.Server(t)
	inst, err := s.Create(t.Context(), fromFeed(t, "http://127.0.0.1:1", lxdtest.Image(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if inst.Fetched() {
		t.Error("Fetched")
	}
}

func TestCreateTellsProgress(t *testing.T) {
	s := lxdtest.Server(t)
	feed := lxdtest.NewFeed(t)
	feed.Throttle(2 * time.Second)
	fingerprint := feed.Publish(t, product, "20250101-01", lxdtest.Tiny(t, lxdtest.Unique))
	forget(t, s, fingerprint)
	stages := map[string]bool{}
	_, err := s.Create(t.Context(), fromFeed(t, feed.URL, fingerprint), func(p lxd.Progress) {
		stages[p.Stage] = true
		if p.Percent < 0 || p.Percent > 100 || p.Text == "" {
			t.Errorf("got %+v", p)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !stages["download"] {
		t.Errorf("stages: %v", stages)
	}
}

func TestCreateKeepsTokensOutOfErrors(t *testing.T) {
	feed := httptest.NewServer(http.NotFoundHandler())
	defer feed.Close()
	const token = "s3cr3tt0k3n"
	request := fromFeed(t, feed.URL+"/spaces/"+token, strings.Repeat("ab", 32))
	_, err := lxdtest.Server(t).Create(t.Context(), request, nil)
	if err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("got %v", err)
	}
}

func TestCreateRefused(t *testing.T) {
	s := lxdtest.Server(t)
	first := create(t, s)
	image := lxdtest.Image(t)
	tests := []struct {
		name    string
		request lxd.Request
	}{
		{"an instance of that name is there", lxd.Request{Name: first.Name(), Type: "container", Source: lxd.Source{Fingerprint: image}}},
		{"an unknown profile", lxd.Request{Name: lxdtest.Name(t), Type: "container", Source: lxd.Source{Fingerprint: image}, Profiles: []string{"nosuch"}}},
		{"a type that the image is not for", lxd.Request{Name: lxdtest.Name(t), Type: "virtual-machine", Source: lxd.Source{Fingerprint: image}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := s.Create(t.Context(), test.request, nil); err == nil {
				t.Error("no error")
			}
		})
	}
	if _, err := s.Instance(t.Context(), first.Name()); err != nil {
		t.Errorf("the instance that was there first: %v", err)
	}
	var missing *lxd.NotFoundError
	_, err := s.Create(t.Context(), lxd.Request{Name: lxdtest.Name(t), Type: "container", Source: lxd.Source{Fingerprint: strings.Repeat("cd", 32)}}, nil)
	if !errors.As(err, &missing) {
		t.Errorf("an image that is not there: %v", err)
	}
}

// A create that is given up, at whatever moment, leaves nothing.
func TestCreateGivenUpLeavesNothing(t *testing.T) {
	s := lxdtest.Server(t)
	t.Run("during the download", func(t *testing.T) {
		feed := lxdtest.NewFeed(t)
		feed.Throttle(20 * time.Second)
		fingerprint := feed.Publish(t, product, "20250101-01", lxdtest.Tiny(t, lxdtest.Unique))
		forget(t, s, fingerprint)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		request := fromFeed(t, feed.URL, fingerprint)
		_, err := s.Create(ctx, request, func(lxd.Progress) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		wantGone(t, s, request.Name)
	})
	t.Run("at once", func(t *testing.T) {
		request := fromFeed(t, "", lxdtest.Image(t))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Create(ctx, request, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		wantGone(t, s, request.Name)
	})
	t.Run("while it is asked for", func(t *testing.T) {
		image := lxdtest.Image(t)
		proxy := lxdtest.NewProxy(t, lxdtest.Remote(t))
		slow := lxdtest.Connect(t, proxy.Remote)
		proxy.Delay(20 * time.Millisecond)
		var given []string
		for n := range 8 {
			request := fromFeed(t, "", image)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*30*time.Millisecond)
			inst, err := slow.Create(ctx, request, nil)
			cancel()
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				given = append(given, request.Name)
				wantGone(t, s, request.Name)
			} else if inst == nil {
				t.Error("neither an instance nor an error")
			}
		}
		for _, name := range given { // none came later either
			wantGone(t, s, name)
		}
	})
	t.Run("without an answer", func(t *testing.T) {
		request := fromFeed(t, "", lxdtest.Image(t))
		proxy := lxdtest.NewProxy(t, lxdtest.Remote(t))
		behind := lxdtest.Connect(t, proxy.Remote)
		proxy.Swallow(1)
		if _, err := behind.Create(t.Context(), request, nil); err == nil {
			t.Error("no error")
		}
		wantGone(t, s, request.Name)
	})
}

func wantGone(t *testing.T, s *lxd.Server, name string) {
	t.Helper()
	var missing *lxd.NotFoundError
	if _, err := s.Instance(t.Context(), name); !errors.As(err, &missing) {
		t.Errorf("%s is still there (%v)", name, err)
	}
}
