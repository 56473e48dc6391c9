package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

type backgroundKey struct{}

// background starts a run and returns when it evaluates checks: background SPEC ARGS…
func background(ts *testscript.TestScript, _ bool, args []string) {
	cmd := icepak(ts, append([]string{"test", "--spec", args[0]}, args[1:]...)...)
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	ts.Defer(func() { _ = cmd.Process.Kill() }) // unless it has ended
	ts.Value(backgroundKey{}).(chan func() error) <- func() error {
		if err := <-ended; err != nil {
			return errors.New(err.Error() + ": " + said.String())
		}
		return nil
	}
	await(ts, &said, ": checks")
}

// ended waits for the run in the background, which must have passed.
func ended(ts *testscript.TestScript, _ bool, _ []string) {
	wait := <-ts.Value(backgroundKey{}).(chan func() error)
	ts.Check(wait())
}

// nothing holds that no instance, image or journal is left: nothing left.
func nothing(ts *testscript.TestScript, _ bool, _ []string) {
	for _, what := range [][]string{{"list", "-c", "n"}, {"image", "list", "-c", "f"}} {
		ts.Check(ts.Exec("lxc", append(what, "--project", ts.Getenv("PROJECT"), "--format", "csv")...))
		if left := strings.TrimSpace(ts.ReadFile("stdout")); left != "" {
			ts.Fatalf("lxc %s: %s", what[0], left)
		}
	}
	files, err := os.ReadDir(filepath.Join(ts.Getenv("HOME"), ".local", "state", "icepak", "runs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) || len(files) > 0 {
		ts.Fatalf("journals are left: %v, %v", files, err)
	}
}
