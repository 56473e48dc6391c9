package push

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// newProxy serves the handler, but cuts the connection of requests that fail tells.
func newProxy(t *testing.T, h http.Handler, fail func(*http.Request) bool) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fail(r) {
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// A fault is what happens to one request on its way.
type fault func(w http.ResponseWriter, r *http.Request, h http.Handler)

func faults() map[string]fault {
	return map[string]fault{
		"the request is cut": func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
			panic(http.ErrAbortHandler)
		},
		"the answer is dropped": func(_ http.ResponseWriter, r *http.Request, h http.Handler) {
			h.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		},
		"the answer is cut": func(w http.ResponseWriter, r *http.Request, h http.Handler) {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			w.Header().Set("Content-Length", "1000")
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"the request is doubled": func(w http.ResponseWriter, r *http.Request, h http.Handler) {
			data, _ := io.ReadAll(r.Body)
			for _, to := range []http.ResponseWriter{httptest.NewRecorder(), w} {
				again := r.Clone(r.Context())
				again.Body = io.NopCloser(bytes.NewReader(data))
				h.ServeHTTP(to, again)
			}
		},
		"a gateway fails": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusBadGateway) },
	}
}

// Whatever happens to one request, the build gets there by that push, and once.
func TestOneFaultOnTheWay(t *testing.T) {
	for name, fault := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of the time the disk is waited for
			var mu sync.Mutex
			var asked, failing int
			var what string
			s := newSite(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					asked++
					mine := asked == failing
					if mine {
						what = r.Method + " " + r.URL.String()
					}
					mu.Unlock()
					if mine {
						fault(w, r, h)
						return
					}
					h.ServeHTTP(w, r)
				})
			})
			for n := 1; ; n++ {
				product := fmt.Sprintf("debian:bookworm:amd64:v%d", n)
				if _, err := s.store.AddProduct(t.Context(), product, nil); err != nil {
					t.Fatal(err)
				}
				opts := options(container(t, byte(n), large))
				opts.Product = product
				asked, failing = 0, n
				_, err := Run(t.Context(), s.client, opts)
				if asked < n {
					break // there was nothing left to fail
				}
				failing = 0
				if err != nil {
					t.Errorf("with request %d, %s: %v", n, what, err)
				}
				s.holds(t, product, opts.Dir)
			}
		})
	}
}

// A part whose connection breaks is sent again, and no other.
func TestABrokenPartIsSentAgainAlone(t *testing.T) {
	var mu sync.Mutex
	parts := map[string]int{}
	s := newSite(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			number := r.URL.Query().Get("partNumber")
			mu.Lock()
			parts[number]++
			broken := number == "2" && parts[number] == 1
			mu.Unlock()
			if broken {
				_, _ = io.CopyN(io.Discard, r.Body, smallPart/2)
				panic(http.ErrAbortHandler)
			}
			h.ServeHTTP(w, r)
		})
	})
	dir := container(t, 1, 6*smallPart)
	if _, err := s.push(t, dir); err != nil {
		t.Fatal(err)
	}
	delete(parts, "")
	if got := fmt.Sprint(parts); got != "map[1:1 2:2 3:1 4:1 5:1 6:1]" {
		t.Errorf("parts were sent %s", got)
	}
	s.holds(t, testProduct, dir)
}

// A part of which nothing is taken any more is sent again.
func TestAPartThatStallsIsSentAgain(t *testing.T) {
	released := make(chan struct{})
	var once sync.Once
	s := newSite(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			stalled := false
			if r.URL.Query().Get("partNumber") == "2" {
				once.Do(func() { stalled = true })
			}
			if stalled {
				<-released
				panic(http.ErrAbortHandler)
			}
			h.ServeHTTP(w, r)
		})
	})
	defer close(released)
	const part = 16 << 20 // more than a connection holds
	dir := container(t, 1, 2*part)
	opts := options(dir)
	opts.partSize, opts.stall = part, 2*time.Second
	if _, err := Run(t.Context(), s.client, opts); err != nil {
		t.Fatal(err)
	}
	s.holds(t, testProduct, dir)
}

// Of a storage whose ETags are its own, only sizes can be compared.
func TestAStorageWithItsOwnETags(t *testing.T) {
	s := newSite(t, withHeads(func(h http.Header) { h.Set("ETag", `"CLaGlPCv"`) }))
	dir := container(t, 1, large)
	if _, err := s.push(t, dir); err != nil {
		t.Fatal(err)
	}
	s.holds(t, testProduct, dir)
}

// withHeads changes what the storage says of the objects that it has.
func withHeads(change func(http.Header)) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodHead {
				h.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			change(rec.Header())
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
		})
	}
}

// withStorage changes what Polar says of its storage.
func withStorage(change func(map[string]string)) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/publish/storage" {
				h.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			var answer struct {
				Data map[string]string `json:"data"`
			}
			if json.Unmarshal(rec.Body.Bytes(), &answer) == nil && answer.Data != nil {
				change(answer.Data)
			}
			w.WriteHeader(rec.Code)
			_ = json.NewEncoder(w).Encode(answer)
		})
	}
}

func TestAStorageThatDoesNotAnswer(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Errorf("%s was asked", r.URL) }))
	defer elsewhere.Close()
	redirect := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirect.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tt := range map[string]struct {
		change func(map[string]string)
		want   string
	}{
		"nobody is there":   {func(s map[string]string) { s["endpoint"] = closed.URL }, "connection refused"},
		"it has no TLS":     {func(s map[string]string) { s["endpoint"] = strings.TrimPrefix(s["endpoint"], "http://") }, "HTTP response to HTTPS client"},
		"it sends on":       {func(s map[string]string) { s["endpoint"] = redirect.URL }, "storage " + redirect.URL},
		"another secret":    {func(s map[string]string) { s["secret_access_key"] = "x" + s["secret_access_key"] }, "storage http://127.0.0.1"},
		"another bucket":    {func(s map[string]string) { s["bucket"] = "backups" }, "storage http://127.0.0.1"},
		"no name of a host": {func(s map[string]string) { s["endpoint"] = "http://a b" }, "storage http://a b: open"},
	} {
		t.Run(name, func(t *testing.T) {
			var secrets []string
			s := newSite(t, withStorage(func(answer map[string]string) {
				tt.change(answer)
				secrets = append(secrets, answer["access_key_id"], answer["secret_access_key"])
			}))
			_, err := s.push(t, container(t, 1, 1000))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(fmt.Sprintf("%v %#v", err, err), secret) }) {
				t.Errorf("it tells its keys: %v", err)
			}
			if all, err := s.store.Versions(t.Context(), ""); err != nil || len(all) != 0 {
				t.Errorf("%d versions, %v", len(all), err)
			}
		})
	}
}

// A storage may quote in an error what it was sent.
func TestErrorsTellNoKeys(t *testing.T) {
	var access string
	quoting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<Error><Code>InvalidAccessKeyId</Code><Message>no key %s here</Message></Error>", access)
	}))
	defer quoting.Close()
	s := newSite(t, withStorage(func(answer map[string]string) {
		answer["endpoint"], access = quoting.URL, answer["access_key_id"]
	}))
	_, err := s.push(t, container(t, 1, large))
	if err == nil || strings.Contains(err.Error(), access) || !strings.Contains(err.Error(), "no key *** here (InvalidAccessKeyId)") {
		t.Errorf("got %v", err)
	}
}

// What is not whole in the storage when its version is created is refused there.
func TestAnObjectThatWasCutIsRefused(t *testing.T) {
	var s *site
	s = newSite(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/versions") {
				for _, file := range s.left(t) {
					if err := os.Truncate(file, 100); err != nil {
						t.Error(err)
					}
				}
			}
			h.ServeHTTP(w, r)
		})
	})
	dir := container(t, 1, large)
	_, err := s.push(t, dir)
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "is not there any more") {
		t.Errorf("got %v", err)
	}
	if all, err := s.store.Versions(t.Context(), ""); err != nil || len(all) != 0 {
		t.Errorf("%d versions, %v", len(all), err)
	}
}

// A file of another build that gets into place between the last look and the
// version's creation keeps the version out of testing: a Polar whose storage is
// elsewhere cannot see it.
func TestAVersionWhoseFilesChangedStaysOutOfTesting(t *testing.T) {
	var s *site
	s = newSite(t, withHeads(func(h http.Header) {
		if all, err := s.store.Versions(t.Context(), ""); err != nil || len(all) > 0 {
			h.Set("ETag", `"0123456789abcdef0123456789abcdef"`)
		}
	}))
	if _, err := s.push(t, container(t, 1, large)); err == nil || !strings.Contains(err.Error(), "is created and not in testing: somebody has changed its incus.tar.xz") {
		t.Errorf("got %v", err)
	}
	if v := s.version(t, testProduct); v.State != "created" {
		t.Errorf("%+v", v)
	}
}

func TestAnInterruptedPushLeavesNoParts(t *testing.T) {
	s := newSite(t, nil)
	dir := container(t, 1, 20*smallPart)
	ctx, cancel := context.WithCancel(t.Context())
	opts := options(dir)
	opts.Progress = func(p Progress) {
		if p.Sent > 5*smallPart {
			cancel()
		}
	}
	if _, err := Run(ctx, s.client, opts); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if left := s.left(t); len(left) != 1 { // the metadata, which the next push needs not send
		t.Errorf("left behind: %v", left)
	}
	done, err := s.push(t, dir)
	if err != nil || done.Sent != 20*smallPart {
		t.Errorf("%+v, %v", done, err)
	}
	s.holds(t, testProduct, dir)
}

func TestAFileThatChangesWhileItIsReadIsNotPushed(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"it grows": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("more")
			return errors.Join(err, f.Close())
		},
		"it shrinks": func(path string) error { return os.Truncate(path, 15*smallPart) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			dir := container(t, 1, 20*smallPart)
			var once sync.Once
			opts := options(dir)
			opts.Progress = func(p Progress) {
				if p.File == "rootfs.squashfs" {
					once.Do(func() {
						if err := change(dir + "/rootfs.squashfs"); err != nil {
							t.Error(err)
						}
					})
				}
			}
			if _, err := Run(t.Context(), s.client, opts); !errors.Is(err, errChanged) {
				t.Errorf("got %v", err)
			}
			if all, err := s.store.Versions(t.Context(), ""); err != nil || len(all) != 0 {
				t.Errorf("%d versions, %v", len(all), err)
			}
			if left := s.left(t); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
