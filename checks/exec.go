package checks

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// maxStream is what is kept of each of a command's streams.
	maxStream = 1 << 20
	// pipeDelay is how long a command's output is waited for once it has ended:
	// what it left in the background may hold it open for ever.
	pipeDelay = time.Second

	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

	// cookieName names the variable by which all that a command has started is
	// found again, also what has left its process group and lost its parent.
	cookieName = "ICEPAK_COMMAND"
)

// execute is the Exec of the machine that this program runs on. The command is
// in a process group of its own and reads nothing. When ctx ends, it and every
// process that came of it are killed. What it leaves in the background after
// ending by itself, such as a service, stays.
func execute(ctx context.Context, root fs.FS, command Command) (Output, error) {
	if len(command.Args) == 0 {
		return Output{}, errors.New("no command")
	}
	if err := ctx.Err(); err != nil {
		return Output{}, fmt.Errorf("%s: %w", command.Args[0], context.Cause(ctx))
	}
	cookie := cookieName + "=" + rand.Text()
	env := append(os.Environ(), cookie)
	attr := &syscall.SysProcAttr{Setpgid: true}
	if command.User != "" {
		account, credential, err := credentialOf(root, command.User)
		if err != nil {
			return Output{}, err
		}
		attr.Credential = credential
		env = append(env, "HOME="+account.home, "USER="+account.name, "LOGNAME="+account.name)
	}
	env = withPath(append(env, command.Env...))
	program, err := lookPath(command.Args[0], env)
	if err != nil {
		return Output{}, err
	}

	stdout, stderr := &boundedBuffer{}, &boundedBuffer{}
	cmd := exec.CommandContext(ctx, program, command.Args[1:]...)
	cmd.Args[0] = command.Args[0]
	cmd.Env, cmd.Dir, cmd.SysProcAttr = env, command.Dir, attr
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = pipeDelay
	cmd.Cancel = func() error { return killTree(cmd.Process.Pid, cookie) }
	if err := cmd.Start(); err != nil {
		return Output{}, startError(command, err)
	}
	err = cmd.Wait()
	out := Output{
		ExitCode:  exitCode(cmd.ProcessState),
		Stdout:    stdout.kept,
		Stderr:    stderr.kept,
		Truncated: stdout.truncated || stderr.truncated,
	}
	var exit *exec.ExitError
	switch {
	case cmd.ProcessState != nil && cmd.ProcessState.Exited():
		return out, nil // by itself, even if something still held its output
	case ctx.Err() != nil:
		return out, fmt.Errorf("%s: %w", command.Args[0], context.Cause(ctx))
	case errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay):
		return out, nil // ended by a signal
	}
	return out, inconclusivef("%s: %w", command.Args[0], err)
}

// startError says what of a command could not be found: the kernel's ENOENT
// does not tell the program from its folder.
func startError(command Command, err error) error {
	if command.Dir != "" {
		if fi, statErr := os.Stat(command.Dir); statErr != nil || !fi.IsDir() {
			return fmt.Errorf("no folder %s to run %s in", command.Dir, command.Args[0])
		}
	}
	err = fmt.Errorf("cannot start %s: %w", command.Args[0], err)
	if guestsFault(err) {
		return err
	}
	return inconclusive{err}
}

// guestsFault tells whether a program could not be started because of how the
// guest has it. That this process may not start it, or that there is no room for
// one more, is not the guest's doing.
func guestsFault(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOEXEC) || errors.Is(err, syscall.ENOTDIR) ||
		errors.Is(err, fs.ErrPermission) && os.Geteuid() == 0
}

func exitCode(state *os.ProcessState) int {
	if state == nil {
		return -1
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}

// withPath gives env a PATH where it has none.
func withPath(env []string) []string {
	if envValue(env, "PATH") == "" {
		return append(env, "PATH="+defaultPath)
	}
	return env
}

// envValue returns a variable's value: of several, the last.
func envValue(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(env[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// lookPath finds a program on the PATH that it will itself see, which need not
// be this process's.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(envValue(env, "PATH")) {
		if found, err := exec.LookPath(filepath.Join(cmp.Or(dir, "."), name)); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, exec.ErrNotFound)
}

// credentialOf looks a user up in the guest's own files.
func credentialOf(root fs.FS, name string) (account, *syscall.Credential, error) {
	accounts, err := readPasswd(root)
	if err != nil {
		return account{}, nil, err
	}
	for _, a := range accounts {
		if a.name != name {
			continue
		}
		credential := &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
		groups, err := readGroups(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return account{}, nil, err
		}
		for _, g := range groups {
			if g.has(a) {
				credential.Groups = append(credential.Groups, uint32(g.gid))
			}
		}
		return a, credential, nil
	}
	return account{}, nil, fmt.Errorf("no user %q", name)
}

// A boundedBuffer keeps the start of what is written to it and takes the rest.
type boundedBuffer struct {
	kept      []byte
	truncated bool
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), maxStream-len(b.kept))
	b.kept = append(b.kept, p[:n]...)
	b.truncated = b.truncated || n < len(p)
	return len(p), nil
}
