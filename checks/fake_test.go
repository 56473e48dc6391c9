package checks

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// A script is what a fake guest's commands print, by their arguments joined
// with spaces. Of several outputs each call gets the next, and the last stays.
type script map[string][]Output

// fakeGuest is a guest with these files that knows only the script's commands;
// any other fails the test. A path with a final slash is a folder.
func fakeGuest(t *testing.T, paths []string, commands script) *System {
	t.Helper()
	root := fstest.MapFS{}
	for _, p := range paths {
		if folder, ok := strings.CutSuffix(p, "/"); ok {
			root[folder] = &fstest.MapFile{Mode: 0o755 | os.ModeDir}
			continue
		}
		root[p] = &fstest.MapFile{Mode: 0o755, Data: []byte("x")}
	}
	var mu sync.Mutex
	calls := map[string]int{}
	return &System{
		FS:    root,
		Links: func() ([]Link, error) { return nil, nil },
		Exec: func(_ context.Context, cmd Command) (Output, error) {
			mu.Lock()
			defer mu.Unlock()
			name := strings.Join(cmd.Args, " ")
			outputs, ok := commands[name]
			if !ok {
				t.Errorf("unexpected command: %s", name)
				return Output{}, fmt.Errorf("%s: %w", cmd.Args[0], exec.ErrNotFound)
			}
			n := min(calls[name], len(outputs)-1)
			calls[name]++
			if n < 0 {
				return Output{}, fmt.Errorf("%s: %w", cmd.Args[0], exec.ErrNotFound)
			}
			return outputs[n], nil
		},
	}
}

func prints(stdout string) []Output { return []Output{{Stdout: []byte(stdout)}} }

func exits(code int, stderr string) []Output {
	return []Output{{ExitCode: code, Stderr: []byte(stderr)}}
}

// notFound is a command that the guest does not have.
func notFound() []Output { return nil }

func expects(t *testing.T, kind Kind, v any) Matcher {
	t.Helper()
	m, err := ParseMatcher(kind, v)
	if err != nil {
		t.Fatalf("ParseMatcher(%s, %v): %v", kind, v, err)
	}
	return m
}

// told is one line for each result: property, verdict and message.
func told(list []Result) string {
	var b strings.Builder
	for _, r := range list {
		b.WriteString(strings.TrimSuffix(fmt.Sprintf("%s %s: %s", r.Property, r.Verdict, r.Message), ": "))
		b.WriteString("\n")
	}
	return b.String()
}

func checkTold(t *testing.T, list []Result, want string) {
	t.Helper()
	if got := told(list); got != want {
		t.Errorf("results:\n%swant:\n%s", got, want)
	}
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
