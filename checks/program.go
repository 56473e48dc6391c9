package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
)

// A commandError is a command that ran and did not succeed.
type commandError struct {
	message string
	code    int
	output  string // what it printed, or what matters of it
}

func (e *commandError) Error() string { return e.message }

// run runs a command that is named what in errors. An exit code other than
// zero is a *commandError. That the guest has no such program, or one that cannot
// be executed, is its own fault; anything else that keeps a command from running
// is inconclusive.
func (s *System) run(ctx context.Context, what string, cmd Command) (Output, error) {
	out, err := s.Exec(ctx, cmd)
	switch {
	case err == nil && out.ExitCode != 0:
		return out, &commandError{
			message: fmt.Sprintf("%s: exit %d", what, out.ExitCode),
			code:    out.ExitCode,
			output:  out.printed(),
		}
	case errors.Is(err, exec.ErrNotFound):
		return out, fmt.Errorf("no %s in the guest", cmd.Args[0])
	case guestsFault(err):
		return out, err
	case err != nil:
		return out, inconclusivef("%s: %w", what, err)
	}
	return out, nil
}

// errTooMuch is of output that was not kept whole: what was not could hold what
// must not be there.
var errTooMuch = inconclusivef("it printed more than can be looked at")

// printed returns what a command left on both streams.
func (o Output) printed() string { return string(o.Stdout) + string(o.Stderr) }

// withOutput gives the first of the results what the failed command behind err
// printed.
func withOutput(list []Result, err error) {
	if e, ok := errors.AsType[*commandError](err); ok && len(list) > 0 {
		list[0].Output = tail(e.output, maxOutput)
	}
}

// hasProgram tells whether the guest has the program where programs are.
func (s *System) hasProgram(name string) bool {
	dirs := os.Getenv("PATH") + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for dir := range strings.SplitSeq(dirs, ":") {
		if !path.IsAbs(dir) {
			continue
		}
		info, err := fs.Stat(s.FS, fsPath(path.Join(dir, name)))
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return true
		}
	}
	return false
}

// exists tells whether the guest has something at the path.
func (s *System) exists(name string) bool {
	_, err := fs.Stat(s.FS, fsPath(name))
	return err == nil
}
