package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// icepak makes a command of icepak in the script's environment.
func icepak(ts *testscript.TestScript, args ...string) *exec.Cmd {
	var program string
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if program = filepath.Join(dir, "icepak"); isFile(program) {
			break
		}
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "LXD_CONF", "LXD_DIR", "LXD_SOCKET", "INCUS_CONF", "INCUS_REMOTE", "INCUS_DIR", "INCUS_SOCKET", "ICEPAK_POLAR_DATA", "LANG",
		"POLAR_ENDPOINT", "POLAR_AUTH_TOKEN", "TESTING_IMAGE_SERVER"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	return cmd
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// run runs icepak, which must succeed, and returns the last line that it printed.
func mustRun(ts *testscript.TestScript, args ...string) string {
	cmd := icepak(ts, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		ts.Fatalf("icepak %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// servePolar readies a Polar of the script's own, with the checks, serves it, and
// sets the variables that lead to it: polar CHECK…
func servePolar(ts *testscript.TestScript, _ bool, args []string) {
	listen := ts.Getenv("LISTEN")
	ts.Setenv("POLAR_AUTH_TOKEN", mustRun(ts, "polar", "password", "--generate"))
	mustRun(ts, append([]string{"polar", "check", "add"}, args...)...)
	mustRun(ts, "polar", "cluster", "add", "here", "--endpoint", "unix:", "--arch", "amd64")
	ts.Setenv("TESTING_IMAGE_SERVER", mustRun(ts, "polar", "space", "add", "--channel", "testing", "--type", "lxd", "--url", "http://"+listen))
	ts.Setenv("POLAR_ENDPOINT", "http://"+listen)
	server := icepak(ts, "polar", "serve", "--listen", listen)
	var said lockedBuffer
	server.Stdout, server.Stderr = &said, &said
	ts.Check(server.Start())
	ts.Defer(func() {
		_ = server.Process.Signal(os.Interrupt)
		if err := server.Wait(); err != nil {
			ts.Logf("polar serve: %v: %s", err, said.String())
		}
	})
	await(ts, &said, "http://")
}

// interrupt and terminate start icepak test, send SIGINT or SIGTERM once it is in a
// stage, and hold how it ends: interrupt STAGE ARGS….
func interrupt(ts *testscript.TestScript, _ bool, args []string) { gently(ts, os.Interrupt, args) }

func terminate(ts *testscript.TestScript, _ bool, args []string) { gently(ts, syscall.SIGTERM, args) }

func gently(ts *testscript.TestScript, sig os.Signal, args []string) {
	if code := signalled(ts, sig, args); code != 130 {
		ts.Fatalf("interrupted in %s, it ended with %d", args[0], code)
	}
}

// kill is interrupt with a signal that nobody can catch.
func kill(ts *testscript.TestScript, _ bool, args []string) {
	if code := signalled(ts, syscall.SIGKILL, args); code != -1 {
		ts.Fatalf("killed in %s, it ended by itself with %d", args[0], code)
	}
}

// signalled runs icepak test and signals it in a stage.
func signalled(ts *testscript.TestScript, sig os.Signal, args []string) int {
	if len(args) < 2 {
		ts.Fatalf("usage: interrupt|terminate|kill9 STAGE ARGS...")
	}
	stage := args[0]
	cmd := icepak(ts, append([]string{"test"}, args[1:]...)...)
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	await(ts, &said, ": "+stage+"\n")
	ts.Check(cmd.Process.Signal(sig))
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return exit.ExitCode()
		}
		ts.Check(err)
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		ts.Fatalf("it did not end within a minute: %s", said.String())
	}
	return 0
}

// derive makes an image of another with some files replaced: derive FROM TO PATH=FILE…
func derive(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: derive FROM TO PATH=FILE...")
	}
	from, to := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	work := ts.MkAbs("derive.work")
	root, meta := filepath.Join(work, "root"), filepath.Join(work, "meta")
	ts.Check(os.MkdirAll(meta, 0o755))
	ts.Check(os.MkdirAll(to, 0o755))
	defer os.RemoveAll(work)
	ts.Check(ts.Exec("unsquashfs", "-quiet", "-no-progress", "-d", root, filepath.Join(from, "rootfs.squashfs")))
	for _, pair := range args[2:] {
		path, file, _ := strings.Cut(pair, "=")
		ts.Check(os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755))
		ts.Check(os.WriteFile(filepath.Join(root, path), []byte(ts.ReadFile(file)), 0o644))
	}
	ts.Check(ts.Exec("mksquashfs", root, filepath.Join(to, "rootfs.squashfs"), "-quiet", "-no-progress", "-noappend", "-comp", "zstd", "-Xcompression-level", "1"))
	// Polar takes no file twice, whatever the version: the metadata has to differ too.
	ts.Check(ts.Exec("tar", "-C", meta, "-xJf", filepath.Join(from, "incus.tar.xz")))
	f, err := os.OpenFile(filepath.Join(meta, "metadata.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = f.WriteString("# derived: " + args[1] + "\n")
	ts.Check(errors.Join(err, f.Close()))
	ts.Check(ts.Exec("tar", "-C", meta, "-cJf", filepath.Join(to, "incus.tar.xz"), "."))
}

// await waits until a program has said something.
func await(ts *testscript.TestScript, said *lockedBuffer, what string) {
	for range 600 {
		if strings.Contains(said.String(), what) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("nothing of %q was said: %s", what, said.String())
}

// A lockedBuffer is written by a program while the test reads it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
