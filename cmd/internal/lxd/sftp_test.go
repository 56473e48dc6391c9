package lxd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
)

// A server is what a network can be: whatever it answers, it ends in an error and
// in no crash, and never in a file that is not there.
func FuzzSFTP(f *testing.F) {
	packet := func(typ byte, body ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(1+len(body))), append([]byte{typ}, body...)...)
	}
	hello := packet(sftpVersion, 0, 0, 0, 3)
	attrs := packet(sftpAttrs, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0x81, 0xa4)
	f.Add(hello)
	f.Add(bytes.Join([][]byte{hello, attrs, packet(sftpStatus, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1, 'x', 0, 0, 0, 0)}, nil))
	f.Add(bytes.Join([][]byte{hello, attrs, packet(sftpHandle, 0, 0, 0, 1, 0, 0, 0, 1, 'h'), packet(sftpData, 0, 0, 0, 2, 0, 0, 0, 1, 'a')}, nil))
	f.Add(bytes.Join([][]byte{hello, packet(sftpName, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0x41, 0xed)}, nil))
	f.Add(append(bytes.Clone(hello), 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, answers []byte) {
		ask := map[string]func(*Files) error{
			"read":     func(f *Files) error { return readAll(f, "a") },
			"list":     func(f *Files) error { _, err := f.ReadDir("a"); return err },
			"readlink": func(f *Files) error { _, err := f.ReadLink("a"); return err },
			"lstat":    func(f *Files) error { _, err := f.Lstat("a"); return err },
		}
		for name, look := range ask {
			conn, err := newSFTP(struct {
				io.Reader
				io.Writer
			}{bytes.NewReader(answers), io.Discard})
			if err != nil {
				return
			}
			files := &Files{conn: conn}
			if err := look(files); errors.Is(err, io.EOF) && files.Err() == nil {
				t.Errorf("%s: a connection that ends is taken for a file's end", name)
			}
		}
	})
}

// readAll reads a file, but no more than a server may send here.
func readAll(f *Files, name string) error {
	file, err := f.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(io.Discard, file)
	return err
}

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
