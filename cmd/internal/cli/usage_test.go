package cli

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every mistake ends with 2, and what is said of it is about what was typed.
func TestMistakesOnTheCommandLineAreNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"spec.yaml": twoChecks, "file": ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("empty", 0o700); err != nil {
		t.Fatal(err)
	}
	const local = "test --local --spec spec.yaml "
	for _, tt := range []struct{ args, want string }{
		{"tset", `unknown command "tset" of icepak\n  did you mean "test"\?`},
		{"help tset", `unknown command "tset" of icepak\n  did you mean "test"\?`},
		{"help polar chekc", `unknown command "chekc" of icepak polar\n  did you mean "check"\?`},
		{"completion csh", `unknown command "csh" of icepak completion\n  did you mean "bash"\?`},
		{"images nope", `unknown command "nope" of icepak images\n  see icepak images --help`},
		{"polar check list --data nope", `--data: stat nope: no such file or directory`},
		{"test --remot x", `unknown flag: --remot\n  did you mean --remote\?`},
		{"test --nothing-like-it", `unknown flag: --nothing-like-it\n  see icepak test --help`},
		{"test -x", `unknown shorthand flag: 'x' in -x\n  see icepak test --help`},
		{"test --remote", `flag needs an argument: --remote`},
		{"test --all --parallel x", `--parallel: want a whole number, got "x"`},
		{"test --timeout 5", `--timeout: want a time such as 90s or 15m, got "5"`},
		{"test --all=maybe", `--all: want true or false, got "maybe"`},
		{"promote", `icepak: promote takes PRODUCT SERIAL, got none\n  see icepak promote --help`},
		{"promote a", `icepak: promote takes PRODUCT SERIAL, got \["a"\]`},
		{"polar check add", `icepak: polar check add takes SLUG\.\.\., got none`},
		{"clean everything", `icepak: clean takes no arguments, got \["everything"\]`},
		{"test --path nowhere", `--path: open nowhere: no such file`},
		{"test --path file", `--path: .*file: not a directory`},
		{"test --path empty", `--path empty: there is no incus.tar.xz or lxd.tar.xz`},
		{"test --path empty --shard 1/2", `--shard does not go with`},
		{"test --path empty --target n1", `and with no --target`},
		{"test --feed nonsense a:b:amd64:default", `image feed nonsense: not an http or https URL`},
		{"clean --remote https://", `want an address such as https://host:8443`},
		{"shell --remote images", `remote images only serves images`},
		{local + "--remote rack1", `--local is this machine`},
		{local + "--project p", `--local is this machine`},
		{local + "--keep failed", `--keep does not go with`},
		{"clean --remote https://me:mellon@localhost:8443", `no user and no password`},
		{"test --path empty --remote https://me:mellon@localhost:8443", `no user and no password`},
	} {
		t.Run(tt.args, func(t *testing.T) {
			code, said := runWith(t.Context(), nil, tt.args)
			if code != exitUsage || !regexp.MustCompile(tt.want).MatchString(said) {
				t.Errorf("exit %d: %s, want %s", code, said, tt.want)
			}
			if strings.Contains(said, "mellon") {
				t.Errorf("it says a password: %s", said)
			}
		})
	}
}

func TestHelpIsOfWhatIsNamed(t *testing.T) {
	for args, want := range map[string]string{
		"help":            "Available Commands:",
		"help test":       "icepak test \\[PRODUCT...\\]",
		"help polar gc":   "icepak polar gc",
		"help polar":      "Run a small Polar",
		"completion":      "autocompletion script",
		"completion bash": "bash completion",
	} {
		if code, said := runWith(t.Context(), nil, args); code != exitOK || !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("%s: exit %d: %.300s", args, code, said)
		}
	}
}

// Whoever saves help to a full disk is told.
func TestHelpThatCannotBeWrittenIsAnError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range [][]string{nil, {"help"}, {"test", "--help"}} {
		var said strings.Builder
		code := Run(t.Context(), args, &Env{In: strings.NewReader(""), Out: full, Err: &said, Getenv: func(string) string { return "" }, Environ: os.Environ})
		if code != exitUnknown || !strings.Contains(said.String(), "no space left on device") {
			t.Errorf("%q: exit %d: %s", args, code, said.String())
		}
	}
}
