package lxd

import (
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
)

// serveRefusal is a server that refuses to show files.
func serveRefusal(t *testing.T) *Server {
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
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"type":"error","error":"Instance is not running","error_code":400}`)
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
	s := serveRefusal(t)
	look := func(*Files) error { t.Error("there are files"); return nil }
	var hidden *HiddenError
	for typ, want := range map[string]bool{"virtual-machine": true, "container": false} {
		err := (&Instance{server: s, name: "t", typ: typ}).Files(t.Context(), look)
		if err == nil || errors.As(err, &hidden) != want {
			t.Errorf("%s: %v", typ, err)
		}
	}
}
