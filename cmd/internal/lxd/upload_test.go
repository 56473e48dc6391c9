package lxd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A file that cannot be read to its end must not become a shorter image.
func TestUploadOfUnreadableFileFails(t *testing.T) {
	dir := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, `{"type":"async","metadata":{"id":"a","status_code":200,"auth":"trusted"}}`)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	s, err := Connect(t.Context(), Remote{Name: "a", Addr: "unix:" + dir + "/s"}, "icepak/test")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	meta := filepath.Join(dir, "meta")
	if err := os.WriteFile(meta, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	ignore := func(Progress) {}
	if err := s.upload(t.Context(), meta, meta, "container", ignore); err != nil {
		t.Errorf("two files: %v", err)
	}
	if err := s.upload(t.Context(), meta, dir, "container", ignore); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a folder: %v", err)
	}
}
