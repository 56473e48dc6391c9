package checks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

func withShell() fstest.MapFS { return fstest.MapFS{"bin/sh": {Mode: 0o755}} }

// ends is a guest whose every command ends so.
func ends(out Output, err error) *System {
	return &System{FS: withShell(), Exec: func(context.Context, Command) (Output, error) { return out, err }}
}

func TestCommandProperties(t *testing.T) {
	out := Output{ExitCode: 2, Stdout: []byte("foo 1.2\nbar\n"), Stderr: []byte("oops\n")}
	for _, tt := range []struct {
		property, want string
		verdict        Verdict
		message        string
	}{
		{"exit-status", `2`, Pass, ""},
		{"exit-status", `0`, Fail, ""},
		{"exit-status", `{"or": [1, 2]}`, Pass, ""},
		{"stdout", `["foo", "/^bar$/", "!oops"]`, Pass, ""},
		{"stdout", `["oops"]`, Fail, `missing: "oops"`},
		{"stderr", `["oops"]`, Pass, ""},
		{"stderr", `""`, Fail, ""},
	} {
		t.Run(tt.property+" "+tt.want, func(t *testing.T) {
			list := evaluate(t, ends(out, nil), "command", "x", map[string]string{tt.property: tt.want})
			checkOne(t, list, tt.property, tt.verdict, tt.message)
			if output := list[0].Output; (output != "") != (tt.verdict == Fail) {
				t.Errorf("output is %q", output)
			}
		})
	}
}

func TestCommandThatDoesNotRunNeverPasses(t *testing.T) {
	anything := map[string]string{"exit-status": `{"ge": 0}`, "stdout": `["!x"]`, "stderr": `""`}
	for name, tt := range map[string]struct {
		sys     *System
		message string
	}{
		"no shell":    {&System{FS: fstest.MapFS{}, Exec: ends(Output{}, errors.New("not found")).Exec}, "no /bin/sh in the guest"},
		"not started": {ends(Output{}, errors.New(`no user "x"`)), `no user "x"`},
		"timed out":   {ends(Output{Stdout: []byte("so far")}, fmt.Errorf("sh: %w", &timeoutError{time.Second})), "timed out after 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			list := evaluate(t, tt.sys, "command", "x", anything)
			if len(list) != 3 {
				t.Fatalf("got %+v", list)
			}
			for _, r := range list {
				if r.Verdict != Fail || r.Message != tt.message {
					t.Errorf("got %+v", r)
				}
			}
		})
	}
}

func TestCommandWithTooMuchOutputIsNotBelieved(t *testing.T) {
	out := Output{Stdout: []byte("x"), Truncated: true}
	list := evaluate(t, ends(out, nil), "command", "x", map[string]string{"exit-status": `0`, "stdout": `["!ERROR"]`})
	if list[0].Verdict != Pass || list[1].Verdict != Error {
		t.Errorf("got %+v", list)
	}
}

func TestCommandThatTheShellCannotRunNeverPassesByItsSilence(t *testing.T) {
	for _, tt := range []struct {
		code    int
		with    map[string]string
		verdict Verdict
		message string
	}{
		{127, map[string]string{"stdout": `["!ERROR"]`}, Fail, "the shell could not run it: exit 127"},
		{126, map[string]string{"stdout": `""`}, Fail, "the shell could not run it: exit 126"},
		{127, map[string]string{"exit-status": `127`, "stdout": `["!ERROR"]`}, Pass, ""},
		{1, map[string]string{"stdout": `["!ERROR"]`}, Pass, ""},
	} {
		t.Run(fmt.Sprint(tt.code, tt.with), func(t *testing.T) {
			list := evaluate(t, ends(Output{ExitCode: tt.code}, nil), "command", "x", tt.with)
			if last := list[len(list)-1]; last.Verdict != tt.verdict || last.Message != tt.message {
				t.Errorf("got %+v", last)
			}
		})
	}
}

func TestCommandThatOurSideCannotStartIsAnError(t *testing.T) {
	sys := ends(Output{}, startError(Command{Args: []string{"/bin/sh"}}, syscall.EAGAIN))
	list := evaluate(t, sys, "command", "x", map[string]string{"exit-status": `0`})
	checkOne(t, list, "exit-status", Error, "cannot start /bin/sh")
}

func TestFactsReadBeforeACommandAreForgotten(t *testing.T) {
	sys := ends(Output{}, nil)
	sys.FS = fstest.MapFS{"bin/sh": {}, "etc/passwd": {Data: []byte("")}}
	absent := map[string]string{"exists": `false`}
	checkOne(t, evaluate(t, sys, "user", "-x", absent), "exists", Pass, "")
	sys.FS = fstest.MapFS{"bin/sh": {}, "etc/passwd": {Data: []byte("-x:x:9:9::/:/bin/sh\n")}}
	evaluate(t, sys, "command", "useradd", map[string]string{"exit-status": `0`})
	checkOne(t, evaluate(t, sys, "user", "-x", absent), "exists", Fail, "")
}

func TestCommandShowsItsOutputOnceAndBounded(t *testing.T) {
	long := []byte(strings.Repeat("a line\n", 10_000))
	out := Output{ExitCode: 1, Stdout: long, Stderr: append(long, "the last\n"...)}
	list := evaluate(t, ends(out, nil), "command", "x", map[string]string{"exit-status": `0`, "stdout": `["x"]`, "stderr": `["x"]`})
	if o := list[0].Output; len(o) > maxOutput || !strings.HasSuffix(o, "the last") || !strings.HasPrefix(o, "a line") {
		t.Errorf("%d bytes: %q", len(o), o)
	}
	if list[1].Output+list[2].Output != "" {
		t.Error("it is shown again")
	}
}

func TestCommandRunsAsTheSpecSays(t *testing.T) {
	var ran Command
	sys := &System{FS: withShell(), Exec: func(ctx context.Context, cmd Command) (Output, error) {
		ran = cmd
		deadline, ok := ctx.Deadline()
		if left := time.Until(deadline); !ok || left > 10*time.Second || left < 5*time.Second {
			t.Errorf("the deadline is in %v", left)
		}
		return Output{}, nil
	}}
	c := &CommandResource{
		Common: Common{Key: "the key"}, Exec: "echo $A", User: "web", Dir: "/srv",
		Env: map[string]string{"B": "2", "A": "1"}, ExitStatus: want(t, Int, `0`),
	}
	c.Evaluate(t.Context(), sys)
	if got := fmt.Sprint(ran); got != "{[/bin/sh -c echo $A] [A=1 B=2] /srv web}" {
		t.Errorf("got %s", got)
	}
}

func TestCommandOnThisMachine(t *testing.T) {
	c := &CommandResource{
		Common:     Common{Key: `echo "$WHO" >&2; sleep 300`},
		Env:        map[string]string{"WHO": "me"},
		Timeout:    Duration(2 * time.Second),
		ExitStatus: want(t, Int, `{"not": 0}`),
	}
	it := Item{Type: "command", ID: c.Key, Resource: c}
	list := it.Evaluate(t.Context(), Local())
	checkOne(t, list, "exit-status", Fail, "timed out after 2s")
	if list[0].Output != "me" {
		t.Errorf("output is %q", list[0].Output)
	}
}
