package cli

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/upmaru/icepak/cmd/internal/polarstore"
)

// polarPasswordOptions are the flags of icepak polar password.
type polarPasswordOptions struct {
	data     dataOptions
	generate bool
}

func newPolarPasswordCommand(env *Env) *cobra.Command {
	var opts polarPasswordOptions
	cmd := &cobra.Command{
		Use:   "password",
		Short: "Set the password of those who publish and test",
		Long: `Set the password that icepak test has as POLAR_AUTH_TOKEN. It is asked for on a
terminal, and else is the first line of standard input. Sessions that were opened
with the old one end.`,
		Example: `  icepak polar password
  export POLAR_AUTH_TOKEN="$(icepak polar password --generate)"`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPolarPassword(cmd.Context(), env, opts)
		},
	}
	f := cmd.Flags()
	opts.data.flags(f)
	f.BoolVar(&opts.generate, "generate", false, "make one up and print it")
	return cmd
}

func runPolarPassword(ctx context.Context, env *Env, opts polarPasswordOptions) error {
	password := rand.Text()
	if !opts.generate {
		var err error
		if password, err = readPassword(ctx, env); err != nil {
			return err
		}
	}
	err := opts.data.use(ctx, env, func(store *polarstore.Store) error {
		return store.SetPassword(ctx, password)
	})
	if err == nil && opts.generate {
		_, err = fmt.Fprintln(env.Out, password)
	}
	return err
}

// readPassword asks for a password twice on a terminal, and reads a line of what
// is not one.
func readPassword(ctx context.Context, env *Env) (string, error) {
	if f, ok := env.In.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		first, err := promptPassword(ctx, env.Err, f, "New password: ")
		if err != nil {
			return "", err
		}
		second, err := promptPassword(ctx, env.Err, f, "The same again: ")
		if err != nil {
			return "", err
		}
		if first != second {
			return "", usagef("the two passwords differ")
		}
		return first, nil
	}
	return readLine(ctx, env, "password", "or give --generate")
}

// readLine returns the first line of standard input.
func readLine(ctx context.Context, env *Env, what, hint string) (string, error) {
	return await(ctx, func() (string, error) {
		line := bufio.NewScanner(io.LimitReader(env.In, 1<<16))
		if line.Scan() {
			return line.Text(), nil
		}
		if err := line.Err(); err != nil {
			return "", fmt.Errorf("read %s: %w", what, err)
		}
		return "", usageError{err: fmt.Errorf("standard input has no %s", what), hint: hint}
	})
}

// promptPassword reads a line without showing it. Where ctx ends first, the
// terminal shows again what is typed.
func promptPassword(ctx context.Context, w io.Writer, f *os.File, prompt string) (string, error) {
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	fmt.Fprint(w, prompt)
	defer fmt.Fprintln(w)
	text, err := await(ctx, func() (string, error) {
		text, err := term.ReadPassword(fd)
		return string(text), err
	})
	if err != nil {
		return "", errors.Join(fmt.Errorf("read password: %w", err), term.Restore(fd, before))
	}
	return text, nil
}

// await returns what read does, or the context's error where that ends first:
// nothing else ends a read of a terminal or a pipe.
func await(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
