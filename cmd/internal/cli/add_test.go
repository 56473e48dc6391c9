package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A folder is where a test runs icepak on specs.
type folder struct {
	t   *testing.T
	dir string
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f folder) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) read(name string) string {
	f.t.Helper()
	data, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}

// run runs icepak; FILE in an argument or in what it says is a file in the folder.
func (f folder) run(args ...string) (stdout, stderr string, code int) {
	f.t.Helper()
	var out, errs strings.Builder
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "DIR/", f.dir+"/")
	}
	env := &Env{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(string) string { return "" }, Environ: func() []string { return nil }}
	code = Run(f.t.Context(), args, env)
	short := func(s string) string { return strings.ReplaceAll(s, f.dir+"/", "DIR/") }
	return short(out.String()), short(errs.String()), code
}

// check runs icepak and holds what it says and how it ends.
func (f folder) check(wantCode int, wantOut, wantErr string, args ...string) {
	f.t.Helper()
	stdout, stderr, code := f.run(args...)
	if code != wantCode || stdout != wantOut || stderr != wantErr {
		f.t.Errorf("%q: exit %d\n%s%s\nwant exit %d\n%s%s", args, code, stdout, stderr, wantCode, wantOut, wantErr)
	}
}

func TestWhatAddWritesPassesOnTheSameMachine(t *testing.T) {
	f := folder{t, t.TempDir()}
	f.check(exitOK, "DIR/x.yaml: added file /etc/passwd\nDIR/x.yaml: added file /none, which is not there\n", "",
		"add", "file", "/etc/passwd", "/none", "/etc/passwd", "--spec", "DIR/x.yaml")
	f.check(exitOK, "DIR/x.yaml: added command echo '{{x}}'\n", "", "add", "command", "echo '{{x}}'", "--spec", "DIR/x.yaml")
	f.check(exitOK, "DIR/x.yaml: added group root\nDIR/x.yaml: added user root\nDIR/x.yaml: added file /etc/group\n", "",
		"autoadd", "root", "/etc/group", "--exclude", "groups,shell", "--spec", "DIR/x.yaml")
	f.check(exitOK, "DIR/x.yaml: ok, 1 check, 6 resources\n", "", "spec", "validate", "DIR/x.yaml")
	if stdout, stderr, code := f.run("test", "--local", "--spec", "DIR/x.yaml"); code != exitOK {
		t.Errorf("exit %d\n%s%s\n%s", code, stdout, stderr, f.read("x.yaml"))
	}
	if text := f.read("x.yaml"); strings.Contains(text, "shell:") || strings.Contains(text, "groups:") || !strings.Contains(text, "home:") {
		t.Errorf("--exclude was not heeded:\n%s", text)
	}
}

func TestWhatIsThereAlreadyIsToldAndRenewedOnRequest(t *testing.T) {
	f := folder{t, t.TempDir()}
	const text = `# ours
checks:
  base:
    file:
      users: {path: /etc/passwd, exists: false, title: who}   # by another name
`
	f.write("x.yaml", text)
	f.check(exitOK, "", "icepak: file users is there already, at DIR/x.yaml:5:7; --force describes it anew\n",
		"add", "file", "users", "--spec", "DIR/x.yaml")
	if got := f.read("x.yaml"); got != text {
		t.Errorf("it was changed:\n%s", got)
	}
	f.check(exitOK, "DIR/x.yaml: renewed file users\n", "", "add", "file", "users", "--spec", "DIR/x.yaml", "--force")
	const want = `# ours
checks:
  base:
    file:
      users: {path: /etc/passwd, exists: true, title: who, mode: "0644", owner: root, group: root, filetype: file}   # by another name
`
	if got := f.read("x.yaml"); got != want {
		t.Errorf("got:\n%s", got)
	}
	if info, err := os.Stat(f.path("x.yaml")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is now %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(f.dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestMistakesOfAddAreTold(t *testing.T) {
	f := folder{t, t.TempDir()}
	f.write("two.yaml", "checks: {a: {user: {root: {exists: true}}}, b: {user: {root: {exists: true}}}}\n")
	f.write("bad.yaml", "usr: {root: {exists: true}}\n")
	f.write("loop.yaml", "user:\n{{range mkSlice \"root\"}}  {{.}}: {exists: true}\n{{end}}")
	tests := []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "icepak: unknown resource type \"fle\"\n  did you mean \"file\"?\n", []string{"add", "fle", "/x"}},
		{exitUsage, "icepak: which file?\n", []string{"add", "file"}},
		{exitUsage, "icepak: there is one nvidia-smi, which has no name\n", []string{"add", "nvidia-smi", "x"}},
		{exitUsage, "icepak: --exclude: want exists, gid, got \"gidd\"\n", []string{"add", "group", "root", "--exclude", "gidd"}},
		{exitUsage, "icepak: --image, --path, --instance and --local exclude one another\n", []string{"add", "group", "root", "--local", "--instance", "x"}},
		{exitUsage, "icepak: DIR/two.yaml is left as it is: DIR/two.yaml has several checks: name one of a, b\n", []string{"add", "group", "root", "--spec", "DIR/two.yaml"}},
		{exitUsage, "DIR/bad.yaml:1:1: unknown resource type \"usr\" (did you mean \"user\"?)\n", []string{"add", "group", "root", "--spec", "DIR/bad.yaml"}},
		{exitUsage, "icepak: DIR/loop.yaml is left as it is: it is YAML only after its templates are carried out\n", []string{"add", "group", "root", "--spec", "DIR/loop.yaml"}},
		{exitUsage, "icepak: nothing by the name no-such-thing is there\n", []string{"autoadd", "no-such-thing", "--spec", "DIR/new.yaml"}},
		{exitUnknown, "icepak: port x: listening: want a port such as 22, tcp:22, tcp6:22, udp:53 or udp6:53, got \"x\"\n", []string{"add", "port", "x", "--spec", "DIR/new.yaml"}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			f := folder{t, f.dir}
			f.check(tt.code, "", tt.want, tt.args...)
		})
	}
	if _, err := os.Stat(f.path("new.yaml")); !os.IsNotExist(err) {
		t.Errorf("a file was made for nothing: %v", err)
	}
}

func TestVarsComeFromManyPlaces(t *testing.T) {
	f := folder{t, t.TempDir()}
	f.write("a.yaml", "db: {host: a, port: 1, name: a}\n")
	f.write("b.json", "{\n\t\"db\": {\"host\": \"b\", \"port\": 2}\n}\n")
	f.write("x.yaml", "vars: {db: {host: own, user: own}, x: own}\nuser: {'{{.Vars.db.host}} {{.Vars.db.port}} {{.Vars.db.name}} {{.Vars.db.user}} {{.Vars.x}}': {exists: true}}\n")
	stdout, stderr, code := f.run("spec", "render", "DIR/x.yaml", "--vars", "DIR/a.yaml", "--vars", "DIR/b.json", "--vars-inline", "{db: {port: 3}}", "--set", "x=set")
	if want := "user: {'b 3 a own set': {exists: true}}\n"; code != exitOK || !strings.HasSuffix(stdout, want) {
		t.Errorf("exit %d, %s%s", code, stdout, stderr)
	}
	f.check(exitUsage, "", "--vars-inline:1:1: want a mapping, got \"x\"\n", "spec", "render", "DIR/x.yaml", "--vars-inline", "x")
	f.check(exitUsage, "", "icepak: --vars: open DIR/none: no such file or directory\n", "spec", "render", "DIR/x.yaml", "--vars", "DIR/none")
}
