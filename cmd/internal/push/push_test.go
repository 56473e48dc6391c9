package push

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/upmaru/icepak/cmd/internal/polar"
	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// uploads counts what is uploaded through it.
type uploads struct {
	mu   sync.Mutex
	puts int // requests with content
}

func (u *uploads) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		if r.Method == http.MethodPut {
			u.puts++
		}
		u.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

func TestPush(t *testing.T) {
	for name, sizes := range map[string]map[string]int64{
		"container":                 {"incus.tar.xz": 300, "rootfs.squashfs": 1000},
		"virtual machine":           {"incus.tar.xz": 300, "disk.qcow2": 1000},
		"both, in parts":            {"incus.tar.xz": 300, "rootfs.squashfs": large, "disk.qcow2": 20 * smallPart},
		"metadata under LXD's name": {"lxd.tar.xz": 300, "rootfs.squashfs": smallPart},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			dir := writeBuild(t, 1, sizes)
			var mu sync.Mutex
			last := map[string]Progress{}
			opts := options(dir)
			opts.Progress = func(p Progress) {
				mu.Lock()
				defer mu.Unlock()
				last[p.File] = p
			}
			done, err := Run(t.Context(), s.client, opts)
			if err != nil {
				t.Fatal(err)
			}
			total := int64(0)
			for _, size := range sizes {
				total += size
			}
			if done.Known || done.Refused || done.Files != len(sizes) || done.Sent != total || done.Product != testProduct {
				t.Errorf("%+v", done)
			}
			for file, p := range last {
				if p.Sent != p.Size {
					t.Errorf("%s: %+v", file, p)
				}
			}
			if len(last) != len(sizes) {
				t.Errorf("progress of %d files", len(last))
			}
			if sizes["lxd.tar.xz"] > 0 {
				if err := os.Rename(filepath.Join(dir, "lxd.tar.xz"), filepath.Join(dir, "incus.tar.xz")); err != nil {
					t.Fatal(err)
				}
			}
			s.holds(t, testProduct, dir)
		})
	}
}

func TestTheSameAgainUploadsNothing(t *testing.T) {
	var u uploads
	s := newSite(t, u.wrap)
	dir := container(t, 1, large)
	if _, err := s.push(t, dir); err != nil {
		t.Fatal(err)
	}
	before := u.puts
	for range 2 {
		done, err := s.push(t, dir)
		if err != nil || !done.Known || done.Sent != 0 || done.Refused {
			t.Errorf("%+v, %v", done, err)
		}
	}
	if u.puts != before {
		t.Errorf("%d uploads", u.puts-before)
	}
	s.holds(t, testProduct, dir)

	// A version that is active stays so.
	if _, err := s.store.FireVersion(t.Context(), s.version(t, testProduct).ID, "activate", polarstore.By{}); err != nil {
		t.Fatal(err)
	}
	done, err := s.push(t, dir)
	if err != nil || !done.Known || !done.Refused || s.version(t, testProduct).State != "active" {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestAnImportedVersionIsTheSame(t *testing.T) {
	s := newSite(t, nil)
	dir := container(t, 1, large)
	if _, err := s.store.ImportVersion(t.Context(), testProduct, testSerial, dir); err != nil {
		t.Fatal(err)
	}
	done, err := s.push(t, dir)
	if err != nil || !done.Known || done.Sent != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	s.holds(t, testProduct, dir)
}

// A push that died after the version was created did not put it into testing.
func TestACreatedVersionGetsIntoTesting(t *testing.T) {
	s := newSite(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/events") && r.Header.Get("User-Agent") == "icepak" {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	dir := container(t, 1, 1000)
	if _, err := s.push(t, dir); err == nil || s.version(t, testProduct).State != "created" {
		t.Fatalf("%v", err)
	}
	var err error
	if s.client, err = polar.New(s.server.URL, polar.Options{UserAgent: "another"}); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Authenticate(t.Context(), password); err != nil {
		t.Fatal(err)
	}
	if done, err := s.push(t, dir); err != nil || !done.Known {
		t.Errorf("%+v, %v", done, err)
	}
	s.holds(t, testProduct, dir)
}

func TestAnotherBuildUnderAKnownSerialIsRefused(t *testing.T) {
	var u uploads
	s := newSite(t, u.wrap)
	dir := container(t, 1, large)
	if _, err := s.push(t, dir); err != nil {
		t.Fatal(err)
	}
	before := u.puts
	for name, tt := range map[string]struct {
		dir  string
		want string
	}{
		"another content": {container(t, 2, large), "with another incus.tar.xz"},
		"another size":    {container(t, 1, large+1), "with another rootfs.squashfs"},
		"a file less":     {writeBuild(t, 1, map[string]int64{"incus.tar.xz": 300, "disk.qcow2": 100}), "with other files"},
		"a file more":     {writeBuild(t, 1, map[string]int64{"incus.tar.xz": 300, "rootfs.squashfs": large, "disk.qcow2": 100}), "with other files"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.push(t, tt.dir)
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if u.puts != before {
		t.Errorf("%d uploads", u.puts-before)
	}
	s.holds(t, testProduct, dir)
}

func TestNothingIsUploadedOfWhatIsRefused(t *testing.T) {
	good := container(t, 1, 1000)
	huge := container(t, 1, 1000)
	if err := os.Truncate(filepath.Join(huge, "rootfs.squashfs"), maxSize); err != nil {
		t.Fatal(err)
	}
	empty := container(t, 1, 0)
	for name, tt := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"an unknown product":    {func(o *Options) { o.Product = "debian:buzz:amd64:default" }, "get product debian:buzz:amd64:default: 404 not found"},
		"an invisible serial":   {func(o *Options) { o.Serial = "1795357939a" }, "LXD would not see the version"},
		"a serial with a slash": {func(o *Options) { o.Serial = "20261122/../x" }, "is not made of"},
		"no folder":             {func(o *Options) { o.Dir = filepath.Join(good, "nowhere") }, "there is no such folder"},
		"no root":               {func(o *Options) { o.Dir = writeBuild(t, 1, map[string]int64{"incus.tar.xz": 1}) }, "neither rootfs.squashfs nor disk.qcow2"},
		"no metadata":           {func(o *Options) { o.Dir = writeBuild(t, 1, map[string]int64{"disk.qcow2": 1}) }, "it has no incus.tar.xz"},
		"an empty file":         {func(o *Options) { o.Dir = empty }, "rootfs.squashfs is empty"},
		"more than Polar takes": {func(o *Options) { o.Dir = huge }, "Polar takes files below 2 GiB"},
	} {
		t.Run(name, func(t *testing.T) {
			var u uploads
			s := newSite(t, u.wrap)
			opts := options(good)
			tt.change(&opts)
			_, err := Run(t.Context(), s.client, opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if all, err := s.store.Versions(t.Context(), ""); err != nil || len(all) != 0 || u.puts != 0 {
				t.Errorf("%d versions, %d uploads, %v", len(all), u.puts, err)
			}
		})
	}
}

// Polar takes no file twice, and tells only when the version is created.
func TestAFileOfAnotherVersionIsRefused(t *testing.T) {
	s := newSite(t, nil)
	dir := container(t, 1, 1000)
	if _, err := s.store.ImportVersion(t.Context(), testProduct, "20261121-01", dir); err != nil {
		t.Fatal(err)
	}
	_, err := s.push(t, dir)
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "incus.tar.xz is the same file as in "+testProduct+" 20261121-01") {
		t.Errorf("got %v", err)
	}
}

func TestAHalfFinishedPushIsContinued(t *testing.T) {
	var u uploads
	s := newSite(t, u.wrap)
	dir := container(t, 1, large)
	half := *s // whose Polar cannot create versions
	failing := newProxy(t, s.server.Config.Handler, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/versions") })
	half.client = login(t, failing.URL)
	if _, err := half.push(t, dir); err == nil {
		t.Fatal("created")
	}
	before := u.puts
	done, err := s.push(t, dir)
	if err != nil || done.Known || done.Sent != 0 || u.puts != before {
		t.Errorf("%+v, %v, %d uploads", done, err, u.puts-before)
	}
	s.holds(t, testProduct, dir)
}

func TestWhatAnotherPushLeftIsReplaced(t *testing.T) {
	var u uploads
	s := newSite(t, u.wrap)
	half := *s
	failing := newProxy(t, s.server.Config.Handler, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/versions") })
	half.client = login(t, failing.URL)
	if _, err := half.push(t, container(t, 1, large)); err == nil {
		t.Fatal("created")
	}
	dir := container(t, 2, large)
	done, err := s.push(t, dir)
	if err != nil || done.Sent != large+300 {
		t.Errorf("%+v, %v", done, err)
	}
	s.holds(t, testProduct, dir)
}

// Of different builds that are pushed under one serial at once, at most one gets
// there; all may fail, since each finds files of another in its place. Then a push
// by itself gets through.
func TestOfPushesAtOnceOneGetsThrough(t *testing.T) {
	s := newSite(t, nil)
	dirs := []string{container(t, 1, large), container(t, 2, large), container(t, 1, large), container(t, 2, large)}
	errs := make([]error, len(dirs))
	var all sync.WaitGroup
	for i, dir := range dirs {
		all.Go(func() { _, errs[i] = s.push(t, dir) })
	}
	all.Wait()
	won := -1
	for i, err := range errs {
		if err != nil {
			continue
		}
		if won >= 0 && won%2 != i%2 {
			t.Error("two builds under one serial")
		}
		won = i
	}
	if won < 0 {
		won = 0
	}
	if _, err := s.push(t, dirs[won]); err != nil {
		t.Errorf("again: %v, after %v", err, errs)
	}
	s.holds(t, testProduct, dirs[won])
}
