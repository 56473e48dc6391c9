package checks

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// shimmed is a guest made of one in testdata/shims, whose tools really run; process
// 1 is that program.
func shimmed(t *testing.T, name, program string) *System {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/shims/"+name)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "proc/1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(dir, "proc/1/exe")); err != nil {
		t.Fatal(err)
	}
	root := os.DirFS(dir)
	return &System{FS: root, Exec: func(ctx context.Context, cmd Command) (Output, error) {
		cmd.Env = append(cmd.Env, "PATH="+dir+"/usr/bin:"+dir+"/sbin:/usr/bin:/bin")
		return execute(ctx, root, cmd)
	}}
}

func TestManagersThatDebianDoesNotHaveInstall(t *testing.T) {
	tests := []struct{ guest, name, want, satisfies, output string }{
		{"xbps", "nginx", "nginx 1.26.3_1", ">= 1.26", "Package 'nosuch' not found in repository pool."},
		{"emerge", "www-servers/nginx", "www-servers/nginx 1.26.3-r1", "> 1.26.3", `emerge: there are no ebuilds to satisfy "nosuch".`},
		{"apk", "nginx", "nginx 1.26.3-r0", ">= 1.26.3-r0", "ERROR: unable to select packages:\n  nosuch (no such package):\n    required by: world[nosuch]"},
	}
	for _, tt := range tests {
		t.Run(tt.guest, func(t *testing.T) {
			t.Parallel()
			sys := shimmed(t, tt.guest, "/sbin/init")
			p := &Package{
				Common: Common{Key: tt.name}, Install: true,
				Installed: expects(t, Bool, true), Versions: expects(t, Versions, map[string]any{"satisfies": tt.satisfies}),
			}
			for _, want := range []string{tt.want, tt.want + ", already installed"} {
				list := p.Evaluate(t.Context(), sys)
				checkTold(t, list, "install pass\ninstalled pass\nversions pass\n")
				if list[0].Actual != want {
					t.Errorf("it tells %v, want %s", list[0].Actual, want)
				}
			}
			list := (&Package{Common: Common{Key: "nosuch"}, Install: true}).Evaluate(t.Context(), sys)
			if list[0].Verdict != Fail || list[0].Output != tt.output {
				t.Errorf("%s %s, output %q", list[0].Verdict, list[0].Message, list[0].Output)
			}
		})
	}
}

func TestInitsThatDebianDoesNotHaveStart(t *testing.T) {
	tests := []struct{ guest, program, bad, output string }{
		{"dinit", "/usr/bin/dinit", "dinitctl start bad: exit 1", "Service 'bad' failed to start.\nReason: executing command failed: exit status 1"},
		{"s6-rc", "/usr/bin/s6-svscan", "s6-rc change bad: exit 1", "s6-rc: warning: unable to start service bad: command exited 1"},
	}
	for _, tt := range tests {
		t.Run(tt.guest, func(t *testing.T) {
			t.Parallel()
			sys := shimmed(t, tt.guest, tt.program)
			running := &Service{Common: Common{Key: "web"}, Running: expects(t, Bool, false)}
			checkTold(t, running.Evaluate(t.Context(), sys), "running pass\n")
			web := &Service{Common: Common{Key: "web"}, Start: true, Running: expects(t, Bool, true), Enabled: expects(t, Bool, false)}
			checkTold(t, web.Evaluate(t.Context(), sys), "start pass\nenabled pass\nrunning pass\n")
			list := (&Service{Common: Common{Key: "bad"}, Start: true}).Evaluate(t.Context(), sys)
			checkTold(t, list, "start fail: "+tt.bad+"\n")
			if list[0].Output != tt.output {
				t.Errorf("output %q", list[0].Output)
			}
		})
	}
}
