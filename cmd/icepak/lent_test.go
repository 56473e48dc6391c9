package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

// A server on this machine shows a container the probe as a file, and nothing is
// pushed. Where it cannot, or a guest could write to the file, the probe is pushed, and
// the image is none the worse for it.
func TestProbeIsLentToContainersOnThisMachine(t *testing.T) {
	p := lxdtest.OpenProject(t, "")
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	elsewhere := func(path string) func(string) string {
		return func(source string) string { return strings.Replace(source, path+"/probes/", "/nosuch/", 1) }
	}
	const privileged = "instance: {config: {security.privileged: \"true\"}}\n"
	for _, tt := range []struct {
		name   string
		spec   string
		see    func(state string) func(create string) string // what the server makes of a create with the device
		forbid bool                                          // the server does not take the device
		lent   int32                                         // requests for an instance with the device
		pushed int32
	}{
		{name: "it is lent", lent: 1},
		{name: "the server has other files", see: elsewhere, lent: 1, pushed: 1},
		{name: "the file may not be executed", see: func(state string) func(string) string {
			return func(create string) string {
				from := strings.Index(create, state)
				return create[:from] + plain + create[from+strings.IndexByte(create[from:], '"'):]
			}
		}, lent: 1, pushed: 1},
		{name: "the project forbids such devices", forbid: true, lent: 1, pushed: 1},
		{name: "the guest is root on the server", spec: privileged, pushed: 1},
		{name: "there is no room for the file", lent: 0, pushed: 1, see: func(state string) func(string) string {
			if err := os.WriteFile(state, nil, 0o600); err != nil {
				t.Error(err)
			}
			return nil
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			state := filepath.Join(t.TempDir(), "state")
			see := func(create string) string { return create }
			if tt.see != nil {
				see = tt.see(state)
			}
			var lent, pushed atomic.Int32
			remote := inFront(t, func(server http.Handler, w http.ResponseWriter, r *http.Request, body []byte) {
				switch {
				case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/files"):
					pushed.Add(1)
				case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/instances") && bytes.Contains(body, []byte("/probes/")):
					lent.Add(1)
					if tt.forbid {
						refuse(w, http.StatusForbidden, "Disk devices are forbidden")
						return
					}
					body = []byte(see(string(body)))
					r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				}
				server.ServeHTTP(w, r)
			})
			got := testOnce(t, map[string]string{"ICEPAK_STATE": state}, nil, "--path", lxdtest.Tiny(t, lxdtest.Unique),
				"--remote", remote, "--project", p.Name, "--spec", writeSpec(t, tt.spec+looks))
			if got.Verdict != checks.Pass || lent.Load() != tt.lent || pushed.Load() != tt.pushed {
				t.Errorf("%s, lent %d times, pushed %d: %s", got.Verdict, lent.Load(), pushed.Load(), got.all)
			}
		})
	}
}
