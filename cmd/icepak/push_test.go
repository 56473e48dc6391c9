package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A pushSite is a Polar in a process of its own, and a build that is pushed to it.
type pushSite struct {
	t       testing.TB
	program string
	data    string
	listen  string
	build   string
	env     []string

	server *exec.Cmd
}

func newPushSite(t testing.TB, program string, size int64) *pushSite {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &pushSite{t: t, program: program, data: filepath.Join(t.TempDir(), "polar"), listen: "127.0.0.1:" + port, build: t.TempDir()}
	s.env = append(os.Environ(), "ICEPAK_POLAR_DATA="+s.data)
	random := rand.NewChaCha8([32]byte{byte(time.Now().UnixNano())})
	for name, size := range map[string]int64{"incus.tar.xz": 300, "rootfs.squashfs": size} {
		f, err := os.Create(filepath.Join(s.build, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(f, random, size); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	password, _ := s.run("polar", "password", "--generate")
	s.run("polar", "product", "add", "debian:bookworm:amd64:default")
	s.env = append(s.env, "POLAR_AUTH_TOKEN="+strings.TrimSpace(password))
	s.serve()
	t.Cleanup(s.kill)
	return s
}

// run runs icepak, and returns what it printed and how it ended.
func (s *pushSite) run(args ...string) (stdout string, err error) {
	cmd := exec.Command(s.program, args...)
	cmd.Env = s.env
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		s.t.Logf("icepak %s: %v: %s", args[0], err, errs.String())
	}
	return string(out), err
}

// serve starts the server and waits until it answers.
func (s *pushSite) serve() {
	s.server = exec.Command(s.program, "polar", "serve", "--listen", s.listen)
	s.server.Env = s.env
	if err := s.server.Start(); err != nil {
		s.t.Error(err)
		return
	}
	for range 1000 {
		if res, err := http.Get("http://" + s.listen + "/health"); err == nil {
			res.Body.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Error("the server does not answer")
}

// kill ends the server as a crash does.
func (s *pushSite) kill() {
	_ = s.server.Process.Kill()
	_ = s.server.Wait()
}

// pushArgs are those of the push to a Polar that is there.
func (s *pushSite) pushArgs(endpoint string) []string {
	return []string{"push", "--endpoint", endpoint, "--path", s.build, "--os", "debian", "--release", "bookworm", "--arch", "amd64", "--serial", "20261122-01"}
}

// proxy passes requests on, but calls crash once, when the third part comes. It
// returns its URL.
func (s *pushSite) proxy(crash func()) string {
	to := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.listen})
	to.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	var once sync.Once
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("partNumber") == "3" {
			once.Do(crash)
		}
		to.ServeHTTP(w, r) // as it was addressed, or its signature would be wrong
	}))
	s.t.Cleanup(proxy.Close)
	return proxy.URL
}

// holds fails unless the build is in testing as it is.
func (s *pushSite) holds() {
	s.t.Helper()
	list, err := s.run("polar", "version", "list")
	if err != nil || strings.Count(list, "20261122-01  testing") != 1 {
		s.t.Errorf("%v, got\n%s", err, list)
	}
	for _, name := range []string{"incus.tar.xz", "rootfs.squashfs"} {
		want, err := os.ReadFile(filepath.Join(s.build, name))
		if err != nil {
			s.t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(s.data, "files/images/debian/bookworm/amd64/default/20261122-01", name))
		if err != nil || !bytes.Equal(got, want) {
			s.t.Errorf("%s is not what was pushed: %v", name, err)
		}
	}
}

func TestPushOutlivesItsServer(t *testing.T) {
	s := newPushSite(t, build(t), 80<<20)
	args := s.pushArgs(s.proxy(func() {
		s.kill()
		s.serve()
	}))
	if out, err := s.run(args...); err != nil || !strings.Contains(out, "pushed 2 files, 83.9 MB") {
		t.Errorf("%s, %v", out, err)
	}
	s.holds()
}

// When the machine goes down under both, what was acknowledged is there afterwards,
// and the push is run again.
func TestPushAfterServerAndPushWereKilled(t *testing.T) {
	s := newPushSite(t, build(t), 80<<20)
	killed := make(chan struct{})
	args := s.pushArgs(s.proxy(func() {
		s.kill()
		close(killed)
	}))
	first := exec.Command(s.program, args...)
	first.Env = s.env
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	<-killed
	_ = first.Process.Kill()
	_ = first.Wait()
	s.serve()
	if out, err := s.run(args...); err != nil || !strings.Contains(out, "pushed 2 files, 83.9 MB") || strings.Contains(out, "before") {
		t.Errorf("%s, %v", out, err)
	}
	s.holds()
	if out, err := s.run(args...); err != nil || !strings.Contains(out, "was pushed before") {
		t.Errorf("%s, %v", out, err)
	}
}
