package checks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// CommandResource is a command that the guest's shell runs.
type CommandResource struct {
	Common
	Exec       string            `json:"exec,omitempty"`
	ExitStatus Matcher           `json:"exit-status,omitzero" kind:"int"`
	Stdout     Matcher           `json:"stdout,omitzero" kind:"text"`
	Stderr     Matcher           `json:"stderr,omitzero" kind:"text"`
	Timeout    Duration          `json:"timeout,omitempty"` // 10 s where not set
	User       string            `json:"user,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
	Dir        string            `json:"dir,omitempty"`
}

// Evaluate runs the command once.
func (c *CommandResource) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	timeout := c.Timeout.Or(10 * time.Second)
	limited, cancel := context.WithTimeoutCause(ctx, timeout, &timeoutError{timeout})
	defer cancel()
	defer sys.Refresh() // it may have changed anything
	out, err := sys.Exec(limited, Command{
		Args: []string{"/bin/sh", "-c", c.id(c.Exec)},
		Env:  environment(c.Env),
		Dir:  c.Dir,
		User: c.User,
	})
	switch late := (*timeoutError)(nil); {
	case err == nil:
	case errors.As(err, &late):
		r.failRest(late.Error())
	case noShell(sys):
		r.failRest("no /bin/sh in the guest")
	default:
		r.errRest(err)
	}
	r.match("exit-status", c.ExitStatus, out.ExitCode)
	switch {
	case r.rest != "":
	case !c.ExitStatus.IsSet() && (out.ExitCode == 126 || out.ExitCode == 127):
		r.failRest(fmt.Sprintf("the shell could not run it: exit %d", out.ExitCode))
	case out.Truncated:
		r.errRest(errTooMuch)
	}
	r.match("stdout", c.Stdout, string(out.Stdout))
	r.match("stderr", c.Stderr, string(out.Stderr))
	if i := slices.IndexFunc(r.list, func(res Result) bool { return res.Verdict != Pass }); i >= 0 {
		r.list[i].Output = bothStreams(out)
	}
	return r.list
}

func environment(vars map[string]string) []string {
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

func noShell(sys *System) bool {
	_, err := fs.Stat(sys.FS, "bin/sh")
	return errors.Is(err, fs.ErrNotExist)
}

// bothStreams is the end of what was printed, errors last.
func bothStreams(out Output) string {
	stdout, stderr := string(out.Stdout), string(out.Stderr)
	if stdout == "" || stderr == "" {
		return tail(stdout+stderr, maxOutput)
	}
	return fmt.Sprintf("%s\n%s", tail(stdout, maxOutput/2-1), tail(stderr, maxOutput/2))
}
