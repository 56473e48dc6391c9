package lxd

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a server answers to an exec, it is an error and no crash.
func TestHostileAnswersToExec(t *testing.T) {
	var fds string
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/1.0":
			fmt.Fprint(w, `{"type":"sync","metadata":{"auth":"trusted"}}`)
		case strings.HasSuffix(r.URL.Path, "/exec"):
			fmt.Fprintf(w, `{"type":"async","metadata":{"id":"a","status_code":103,"metadata":{"fds":%s}}}`, fds)
		default: // also where a websocket is asked for
			fmt.Fprint(w, `{"type":"sync","metadata":{}}`)
		}
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	s, err := Connect(t.Context(), Remote{Name: "a", Addr: "unix:" + socket}, "icepak/test")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, answer := range map[string]string{
		"no streams":       `null`,
		"another type":     `[1, 2]`,
		"one of them":      `{"1": "x"}`,
		"no websockets":    `{"control": "x", "0": "x", "1": "x", "2": "x"}`,
		"no secrets":       `{"control": 1, "0": {}, "1": null, "2": false}`,
		"one has a secret": `{"control": 1, "0": "x", "1": null, "2": false}`,
	} {
		t.Run(name, func(t *testing.T) {
			fds = answer
			if _, err := (&Instance{server: s, name: "t"}).Exec(t.Context(), ExecRequest{Args: []string{"true"}}); err == nil {
				t.Error("no error")
			}
		})
	}
}
