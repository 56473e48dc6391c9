package lxd

import (
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// serve is a server at whose socket the files of all instances are answered for so.
func serve(t *testing.T, files http.HandlerFunc) *Server {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/1.0" {
			_, _ = io.WriteString(w, `{"type":"sync","metadata":{"auth":"trusted"}}`)
			return
		}
		files(w, r)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	s, err := Connect(t.Context(), Remote{Name: "a", Addr: "unix:" + socket}, "icepak/test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Of a virtual machine a refusal is how things are; of a container it is a fault.
func TestFilesThatTheServerDoesNotShow(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"type":"error","error":"Instance is not running","error_code":400}`)
	})
	look := func(*Files) error { t.Error("there are files"); return nil }
	var hidden *HiddenError
	for typ, want := range map[string]bool{"virtual-machine": true, "container": false} {
		err := (&Instance{server: s, name: "t", typ: typ}).Files(t.Context(), look)
		if err == nil || errors.As(err, &hidden) != want {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// Incus names the headers that tell of a file after itself.
func TestFilesOfIncusAreToldByItsOwnHeaders(t *testing.T) {
	var pushed http.Header
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			pushed = r.Header
			_, _ = io.WriteString(w, `{"type":"sync","status_code":200,"metadata":null}`)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("X-Incus-uid", "0")
		w.Header().Set("X-Incus-gid", "0")
		switch r.URL.Query().Get("path") {
		case "/sbin/init":
			w.Header().Set("X-Incus-type", "symlink")
			w.Header().Set("X-Incus-mode", "0777")
			_, _ = io.WriteString(w, "../bin/busybox")
		case "/bin/busybox":
			w.Header().Set("X-Incus-type", "file")
			w.Header().Set("X-Incus-mode", "0644")
			_, _ = io.WriteString(w, "program")
		}
	})
	inst := &Instance{server: s, name: "t", typ: "container"}
	if text, err := inst.Content(t.Context(), "/sbin/init", 100); string(text) != "program" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if inst.Executable(t.Context(), "/sbin/init") {
		t.Error("executable, with the mode 0644")
	}
	if err := inst.Push(t.Context(), "/probe", strings.NewReader("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Uid", "Gid", "Mode", "Type"} {
		if lxd := pushed.Get("X-LXD-" + name); lxd == "" || pushed.Get("X-Incus-"+name) != lxd {
			t.Errorf("%s: LXD is told %q, Incus %q", name, lxd, pushed.Get("X-Incus-"+name))
		}
	}
}
