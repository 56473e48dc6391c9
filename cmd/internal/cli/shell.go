package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/upmaru/icepak/cmd/internal/lxd"
	"github.com/upmaru/icepak/cmd/internal/report"
	"github.com/upmaru/icepak/cmd/internal/runner"
)

// shellOptions are the flags of icepak shell.
type shellOptions struct {
	remote  remoteOptions
	shell   string
	guest   string   // a run's id, or an instance's name
	command []string // instead of a shell
}

func newShellCommand(env *Env) *cobra.Command {
	var opts shellOptions
	cmd := &cobra.Command{
		Use:   "shell [RUN|INSTANCE] [-- COMMAND [ARG...]]",
		Short: "Open a shell in an instance that a run has kept",
		Long: `Open a shell in an instance that icepak test --keep has left running: it is found by
the id of its run, of which the beginning is enough, or by its name. Without an
argument, list the instances that are kept. icepak clean --kept deletes them.

The shell is root's, as /etc/passwd has it, else bash, sh or busybox. After --, a
command is run instead. On a terminal it gets one too; else its input and output
are icepak's. The exit code is the command's: 3 may also mean that it could not
be run.`,
		Example: `  icepak shell
  icepak shell k3w7 --remote rack1
  icepak shell k3w7 -- systemctl --failed`,
		RunE: func(cmd *cobra.Command, args []string) error {
			dash := cmd.ArgsLenAtDash()
			if dash >= 0 {
				args, opts.command = args[:dash], args[dash:]
			}
			switch {
			case len(args) > 1:
				return usageError{err: errors.New("one run or instance is wanted"), hint: "a command comes after --, as in icepak shell RUN -- ls -l"}
			case len(args) == 0 && dash >= 0:
				return usagef("in which instance? name a run or an instance before --")
			case len(args) == 1:
				opts.guest = args[0]
			}
			opts.remote.fromEnv(env)
			return opts.remote.use(cmd.Context(), env, func(on *remote) error { return runShell(cmd.Context(), env, opts, on) })
		},
	}
	f := cmd.Flags()
	opts.remote.flags(f)
	f.StringVar(&opts.shell, "shell", "", "the shell to run, a `path` in the instance")
	return cmd
}

func runShell(ctx context.Context, env *Env, opts shellOptions, on *remote) error {
	if opts.guest == "" {
		return listKept(ctx, env, on)
	}
	inst, err := opts.find(ctx, on)
	if err != nil {
		return err
	}
	command := opts.command
	if len(command) == 0 {
		if command, err = opts.shellOf(ctx, inst); err != nil {
			return err
		}
	}
	code, err := runInside(ctx, env, inst, command)
	if err != nil {
		return err
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

// listKept lists the instances that are kept, the latest first.
func listKept(ctx context.Context, env *Env, on *remote) error {
	found, err := runner.Leftovers(ctx, on.server, time.Now())
	if err != nil {
		return err
	}
	found = slices.DeleteFunc(found, func(l runner.Leftover) bool { return !l.Kept })
	if len(found) == 0 {
		fmt.Fprintf(env.Out, "no instance is kept on %s\n", on.name)
		return nil
	}
	sort.Slice(found, func(i, k int) bool { return found[i].CreatedAt.After(found[k].CreatedAt) })
	w := tabwriter.NewWriter(env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tINSTANCE\tIMAGE\tREMOTE\tSTATUS\tAGE")
	for _, l := range found {
		image := l.Config["image.description"]
		if image == "" {
			image = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", report.Line(l.Config[runner.LabelRun]), l.Name, report.Line(image),
			on.name, strings.ToLower(l.Status), time.Since(l.CreatedAt).Round(time.Second))
	}
	return w.Flush()
}

// find returns the running instance that was named.
func (o shellOptions) find(ctx context.Context, on *remote) (*lxd.Instance, error) {
	all, err := on.server.Labelled(ctx, runner.LabelRun)
	if err != nil {
		return nil, err
	}
	of := func(is func(lxd.Labelled) bool) []lxd.Labelled {
		return slices.DeleteFunc(slices.Clone(all), func(l lxd.Labelled) bool { return !is(l) })
	}
	found := of(func(l lxd.Labelled) bool { return l.Name == o.guest })
	if len(found) == 0 {
		found = of(func(l lxd.Labelled) bool { return strings.HasPrefix(l.Config[runner.LabelRun], o.guest) })
	}
	server := on.server
	name := o.guest // of any other instance of the remote's project
	switch len(found) {
	case 0:
	case 1:
		name, server = found[0].Name, on.server.In(found[0].Project)
	default:
		var names []string
		for _, l := range found {
			names = append(names, l.Name)
		}
		slices.Sort(names)
		return nil, usageError{err: fmt.Errorf("%q is %d instances", o.guest, len(found)), hint: "name one of " + strings.Join(names, ", ")}
	}
	inst, err := server.Instance(ctx, name)
	var missing *lxd.NotFoundError
	if errors.As(err, &missing) {
		return nil, usageError{err: fmt.Errorf("no run and no instance %q on %s", o.guest, on.name), hint: "icepak shell lists what is kept"}
	}
	if err != nil {
		return nil, err
	}
	return inst, o.running(ctx, on, inst)
}

// running refuses an instance that does not run: one that was kept because it never
// came up is worth more as it is.
func (o shellOptions) running(ctx context.Context, on *remote, inst *lxd.Instance) error {
	status, err := inst.Status(ctx)
	if err != nil || status == "Running" {
		return err
	}
	client, remote := report.ClientOf(on.name)
	path := remote + ":" + inst.Name()
	return usageError{
		err: fmt.Errorf("%s is %s, and nothing runs in it", inst.Name(), strings.ToLower(status)),
		hint: fmt.Sprintf("its files: %[1]s file pull %[2]s/etc/fstab -; what it said: %[1]s console %[2]s --show-log, %[1]s info %[2]s --show-log; to start it: %[1]s start %[2]s",
			client, path),
	}
}

// shellOf is the command line of a shell in the instance.
func (o shellOptions) shellOf(ctx context.Context, inst *lxd.Instance) ([]string, error) {
	if o.shell != "" {
		if !inst.Executable(ctx, o.shell) {
			return nil, usagef("--shell: %s has no program %s", inst.Name(), o.shell)
		}
		return []string{o.shell}, nil
	}
	var candidates []string
	if passwd, err := inst.Content(ctx, "/etc/passwd", 1<<20); err == nil {
		candidates = append(candidates, rootShell(string(passwd)))
	}
	for _, shell := range append(candidates, "/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh") {
		if strings.HasPrefix(shell, "/") && inst.Executable(ctx, shell) {
			return []string{shell}, nil
		}
	}
	for _, busybox := range []string{"/bin/busybox", "/usr/bin/busybox"} {
		if inst.Executable(ctx, busybox) {
			return []string{busybox, "sh"}, nil
		}
	}
	return nil, usageError{
		err:  fmt.Errorf("%s has no shell", inst.Name()),
		hint: "run one of its programs: icepak shell " + inst.Name() + " -- PROGRAM",
	}
}

// rootShell is root's shell as /etc/passwd has it, or nothing. One that refuses
// everybody is none.
func rootShell(passwd string) string {
	for line := range strings.Lines(passwd) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) == 7 && f[0] == "root" && !strings.HasSuffix(f[6], "/nologin") && !strings.HasSuffix(f[6], "/false") {
			return f[6]
		}
	}
	return ""
}

// runInside runs the command in the instance, on a terminal where icepak has one.
func runInside(ctx context.Context, env *Env, inst *lxd.Instance, command []string) (int, error) {
	req := lxd.ExecRequest{Args: command, Stdin: env.In, Stdout: env.Out, Stderr: env.Err, Env: map[string]string{}}
	if v := env.Getenv("TERM"); v != "" {
		req.Env["TERM"] = v
	}
	in, ok := env.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || !isTerminal(env.Out) {
		return inst.Exec(ctx, req)
	}
	t, ctx, err := takeTerminal(ctx, in)
	if err != nil {
		return -1, err
	}
	defer t.giveBack()
	req.Terminal = &lxd.Terminal{Size: t.size, Resized: t.resized}
	return inst.Exec(ctx, req)
}
