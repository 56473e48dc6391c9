package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/upmaru/icepak/cmd/internal/lxd/lxdtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"icepak": func() { os.Exit(run()) }})
}

// TestScripts runs icepak as people do, on the real LXD of this machine. Every
// script has a project of its own there, in which it must leave no instance.
func TestScripts(t *testing.T) {
	testscript.Run(t, scripts(t))
}

// TestScriptsAlone runs the scripts that kill runs, keep instances or clean up: what runs
// have left behind is looked for in all projects of the server, so each is alone on it.
func TestScriptsAlone(t *testing.T) {
	alone(t, "testdata/alone/*.txtar", scripts(t))
}

// alone runs scripts one after another.
func alone(t *testing.T, pattern string, params testscript.Params) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	params.Dir = ""
	for _, file := range files {
		params.Files = []string{file}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { testscript.Run(t, params) })
	}
}

// scripts are the parameters of scripts on LXD.
func scripts(t *testing.T) testscript.Params {
	t.Helper()
	tiny := map[string]string{
		"DEBIAN":  lxdtest.Debian(t),
		"OTHERS":  lxdtest.Others(t),
		"TINY":    lxdtest.Tiny(t),
		"NOINIT":  lxdtest.Tiny(t, lxdtest.NoInit),
		"NOSHELL": lxdtest.Tiny(t, lxdtest.NoShell),
	}
	return testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			for name, dir := range tiny {
				env.Setenv(name, dir)
			}
			return setUp(t, env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"background": background,
			"derive":     derive,
			"ended":      ended,
			"exits":      exits,
			"https":      serveHTTPS,
			"interrupt":  interrupt,
			"kill9":      kill,
			"listen":     listen,
			"nothing":    nothing,
			"person":     person,
			"polar":      servePolar,
			"setenv":     setFromFile,
			"terminate":  terminate,
			"token":      token,
			"trusted":    trusted,
		},
	}
}

// setUp gives a script a home, a remote rack1 and a free port for its Polar.
func setUp(t *testing.T, env *testscript.Env) error { return setUpOn("lxc:local", t, env) }

// setUpOn is setUp with the script's project on another server of this machine.
func setUpOn(server string, t *testing.T, env *testscript.Env) error {
	project, err := lxdtest.NewProjectOn(server, "")
	if err != nil {
		return fmt.Errorf("%w; .ci/setup readies this machine", err)
	}
	env.Defer(func() {
		for _, left := range project.Remove() {
			t.Error(left)
		}
	})
	conf := filepath.Join(env.WorkDir, "lxc")
	if err := os.MkdirAll(conf, 0o700); err != nil {
		return err
	}
	remotes := fmt.Sprintf("default-remote: rack1\nremotes:\n  rack1: {addr: \"unix://\", project: %s}\n  gone: {addr: \"https://127.0.0.1:9\"}\n", project.Name)
	if err := os.WriteFile(filepath.Join(conf, "config.yml"), []byte(remotes), 0o600); err != nil {
		return err
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	env.Values[backgroundKey{}] = make(chan func() error, 1)
	env.Values[shownKey{}] = new(atomic.Pointer[tls.Certificate])
	env.Vars = append(env.Vars,
		"HOME="+env.WorkDir, "LXD_CONF="+conf, "PROJECT="+project.Name,
		"LXD_DIR="+os.Getenv("LXD_DIR"), "LXD_SOCKET="+os.Getenv("LXD_SOCKET"),
		"EXAMPLES="+examples,
		"ICEPAK_POLAR_DATA="+filepath.Join(env.WorkDir, "polar"),
		"LISTEN=127.0.0.1:"+port, "LANG=C.UTF-8",
	)
	return nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// exits runs a command and holds its exit code: exits CODE PROGRAM ARGS…
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// setFromFile sets a variable to the last line of a file: setenv NAME FILE. The file
// stdout is what the last command printed.
func setFromFile(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: setenv NAME FILE")
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile(args[1])), "\n")
	ts.Setenv(args[0], strings.TrimSpace(lines[len(lines)-1]))
}
