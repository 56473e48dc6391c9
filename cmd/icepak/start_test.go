package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// Servers say that a start failed where init was gone before they had done all that
// belongs to one, as Incus does on a busy machine. The image is to blame only where
// another start, or the init itself, shows that it is. What else does not start is
// launched once more, with the probe inside.
func TestStartsThatTheServerSaysFailed(t *testing.T) {
	p := lxdtest.OpenProject(t, "")
	for _, tt := range []struct {
		name    string
		option  lxdtest.Option
		starts  bool  // what the server says failed was done
		lies    int32 // how often it says so
		verdict checks.Verdict
		says    string
	}{
		{"init of another architecture", lxdtest.WrongArch, true, 9, checks.Fail, "does not start: its /sbin/init is of another architecture"},
		{"init ends at once", lxdtest.InitExits, true, 1, checks.Fail, "stopped by itself, .*init gives up"},
		{"a good image that runs", lxdtest.Unique, true, 9, checks.Error, "no such file or directory"},
		{"a good image that was not started at first", lxdtest.Unique, false, 1, checks.Pass, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			remote := startsFail(t, tt.starts, tt.lies)
			got := testOnce(t, nil, nil, "--path", lxdtest.Tiny(t, tt.option, lxdtest.Unique), "--remote", remote, "--project", p.Name, "--spec", writeSpec(t, looks))
			stage := "start"
			if tt.verdict == checks.Pass {
				stage = ""
			}
			if got.Verdict != tt.verdict || got.Stage != stage || !match(tt.says, got.Reason) {
				t.Errorf("%s while %q: %s\n%s", got.Verdict, got.Stage, got.Reason, got.all)
			}
		})
	}
}

// startsFail stands before the real LXD, and says so many times that a start failed. It
// returns the address.
func startsFail(t *testing.T, start bool, times int32) string {
	t.Helper()
	var left atomic.Int32
	left.Store(times)
	return inFront(t, func(server http.Handler, w http.ResponseWriter, r *http.Request, body []byte) {
		if r.Method != http.MethodPut || !bytes.Contains(body, []byte(`"start"`)) || left.Add(-1) < 0 {
			server.ServeHTTP(w, r)
			return
		}
		if start {
			var begun struct{ Operation string }
			answer := httptest.NewRecorder()
			server.ServeHTTP(answer, r)
			if err := json.Unmarshal(answer.Body.Bytes(), &begun); err != nil {
				t.Error(err)
			}
			end := httptest.NewRequestWithContext(r.Context(), http.MethodGet, begun.Operation+"/wait", nil)
			server.ServeHTTP(httptest.NewRecorder(), end)
		}
		refuse(w, http.StatusInternalServerError, "no such file or directory")
	})
}

// refuse answers as LXD does.
func refuse(w http.ResponseWriter, code int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"type": "error", "error": %q, "error_code": %d}`, why, code)
}

// inFront has requests for the real LXD pass meddle, with their bodies. It returns
// the address, a socket's.
func inFront(t *testing.T, meddle func(server http.Handler, w http.ResponseWriter, r *http.Request, body []byte)) string {
	t.Helper()
	server := lxdtest.Behind(lxdtest.Remote(t))
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		meddle(server, w, r, body)
	}))
	dir, err := os.MkdirTemp("", "lxd-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	if front.Listener, err = net.Listen("unix", socket); err != nil {
		t.Fatal(err)
	}
	front.Start()
	t.Cleanup(front.Close)
	return "unix://" + socket
}
