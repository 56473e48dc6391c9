package checks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// sh runs a script on this machine.
func sh(ctx context.Context, script string) (Output, error) {
	return Local().Exec(ctx, Command{Args: []string{"sh", "-c", script}})
}

func TestExecTellsExitAndOutput(t *testing.T) {
	for _, tt := range []struct {
		script, stdout, stderr string
		code                   int
	}{
		{"echo out; echo err >&2", "out\n", "err\n", 0},
		{"exit 3", "", "", 3},
		{"kill -TERM $$", "", "", 128 + int(syscall.SIGTERM)},
		{"cat", "", "", 0}, // there is nothing to read
	} {
		t.Run(tt.script, func(t *testing.T) {
			out, err := sh(t.Context(), tt.script)
			if err != nil || out.ExitCode != tt.code || out.Truncated {
				t.Errorf("got %+v, %v", out, err)
			}
			if string(out.Stdout) != tt.stdout || string(out.Stderr) != tt.stderr {
				t.Errorf("it printed %q and %q", out.Stdout, out.Stderr)
			}
		})
	}
}

func TestExecGivesEnvironmentAndFolder(t *testing.T) {
	dir := t.TempDir()
	out, err := Local().Exec(t.Context(), Command{
		Args: []string{"sh", "-c", `echo "$EXTRA $0"; pwd`, "zero"}, Env: []string{"EXTRA=a b"}, Dir: dir,
	})
	if want := "a b zero\n" + dir + "\n"; err != nil || string(out.Stdout) != want {
		t.Errorf("got %q, %v", out.Stdout, err)
	}
}

func TestExecFindsProgramsWithoutPath(t *testing.T) {
	t.Setenv("PATH", "")
	out, err := sh(t.Context(), "echo $PATH")
	if err != nil || strings.TrimSpace(string(out.Stdout)) != defaultPath {
		t.Errorf("got %q, %v", out.Stdout, err)
	}
}

func TestExecThatCannotStartIsAnError(t *testing.T) {
	for name, tt := range map[string]struct {
		cmd  Command
		want string
	}{
		"no arguments": {Command{}, "no command"},
		"no program":   {Command{Args: []string{"no-such-program"}}, "executable file not found"},
		"no path":      {Command{Args: []string{"/no/such/program"}}, "no such file"},
		"no folder":    {Command{Args: []string{"true"}, Dir: "/no/such"}, "no folder /no/such"},
		"no user":      {Command{Args: []string{"true"}, User: "no-such-user"}, `no user "no-such-user"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Local().Exec(t.Context(), tt.cmd)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := Local().Exec(t.Context(), Command{Args: []string{"no-such-program"}}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("%v does not wrap ErrNotFound", err)
	}
}

// TestExecKillsAllThatCameOfTheCommand starts children that ignore SIGTERM,
// one in the group, one in a session of its own, one that has lost its parent
// as well, and one with an environment of its own.
func TestExecKillsAllThatCameOfTheCommand(t *testing.T) {
	dir := t.TempDir()
	const stay = `trap "" TERM INT HUP; echo $$ >%; while :; do sleep 60; done`
	child := func(name string) string {
		return "'" + strings.ReplaceAll(stay, "%", filepath.Join(dir, name)) + "'"
	}
	script := "trap '' TERM INT HUP\n" +
		"sh -c " + child("group") + " &\n" +
		"setsid sh -c " + child("session") + " &\n" +
		"(setsid sh -c " + child("orphan") + " &)\n" +
		`setsid env -i "PATH=$PATH" sh -c ` + child("bare") + " &\n" +
		"echo started\nwait\n"

	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	pids := make(map[string]int)
	go func() {
		defer cancel(errors.New("the deadline"))
		for _, name := range []string{"group", "session", "orphan", "bare"} {
			pids[name] = waitForPid(ctx, filepath.Join(dir, name))
		}
	}()
	start := time.Now()
	out, err := sh(ctx, script)
	if err == nil || !strings.Contains(err.Error(), "the deadline") || string(out.Stdout) != "started\n" {
		t.Errorf("got %q, %v", out.Stdout, err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	for name, pid := range pids {
		if pid == 0 {
			t.Fatalf("%s did not start", name)
		}
		waitForDeath(t, name, pid)
	}
}

// waitForPid waits until a process has written its number.
func waitForPid(ctx context.Context, path string) int {
	for ctx.Err() == nil {
		data, _ := os.ReadFile(path)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			return pid
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0
}

// waitForDeath waits until a process is gone, or only waits to be reaped.
func waitForDeath(t *testing.T, name string, pid int) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, alive := parentOf("/proc/" + strconv.Itoa(pid))
		if !alive {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s is still alive", name)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestExecDoesNotWaitForABackgroundChild(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pid")
	start := time.Now()
	out, err := sh(t.Context(), "sh -c 'echo $$ >"+file+"; exec sleep 300' & echo started; exit 4")
	if err != nil || out.ExitCode != 4 || string(out.Stdout) != "started\n" {
		t.Errorf("got %+v, %v", out, err)
	}
	if took := time.Since(start); took > 60*time.Second {
		t.Errorf("it took %v", took)
	}
	pid := waitForPid(t.Context(), file)
	if _, alive := parentOf("/proc/" + strconv.Itoa(pid)); !alive {
		t.Error("what a command leaves running was killed")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}

func TestExecBoundsOutput(t *testing.T) {
	out, err := sh(t.Context(), "head -c 3000000 /dev/zero; head -c 10 /dev/zero >&2")
	if err != nil || len(out.Stdout) != maxStream || len(out.Stderr) != 10 || !out.Truncated || out.ExitCode != 0 {
		t.Errorf("%d and %d bytes, truncated %v, exit %d, %v", len(out.Stdout), len(out.Stderr), out.Truncated, out.ExitCode, err)
	}
}

func TestExecWithEndedContextStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(t.TempDir(), "file")
	if _, err := sh(ctx, "echo >"+file); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the command ran")
	}
}

func TestCredentialIsTheGuestsOwn(t *testing.T) {
	root := fstest.MapFS{
		"etc/passwd": {Data: []byte("root:x:0:0:root:/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n")},
		"etc/group":  {Data: []byte("web:x:44:\nadm:x:4:root,web\nother:x:5:root\n")},
	}
	a, c, err := credentialOf(root, "web")
	if err != nil || a.home != "/srv" || c.Uid != 33 || c.Gid != 44 || len(c.Groups) != 2 || c.Groups[1] != 4 {
		t.Errorf("got %+v, %+v, %v", a, c, err)
	}
}

func TestExecRunsAsAUser(t *testing.T) {
	daemon, _, err := credentialOf(os.DirFS("/"), "daemon")
	if err != nil {
		t.Fatal(err)
	}
	out, err := Local().Exec(t.Context(), Command{
		Args: []string{"sh", "-c", "id -u; echo $USER $HOME"}, User: "daemon", Dir: "/",
	})
	if os.Getuid() != 0 {
		if err == nil {
			t.Error("it ran as a user that this process may not become")
		}
		return
	}
	if want := fmt.Sprintf("%d\ndaemon %s\n", daemon.uid, daemon.home); err != nil || string(out.Stdout) != want {
		t.Errorf("got %q %q, %v", out.Stdout, out.Stderr, err)
	}
}
